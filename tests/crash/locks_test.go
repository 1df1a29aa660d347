package crash

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rival says on every host when one of its tasks begins, and when it has ended.
const rival = `
- name: rival
  hosts: web
  gather_facts: false
  tasks:
  - name: at work
    shell: echo {{ who }} begin {{ item }} >> {{ logs }}/{{ inventory_hostname }}; sleep {{ nap }}; echo {{ who }} end {{ item }} >> {{ logs }}/{{ inventory_hostname }}
    loop: [1, 2, 3, 4]
`

const rivals = 3 // hosts

// at is what two controllers have done on a host, in order.
func at(t *testing.T, logs, host string) []string {
	data, err := os.ReadFile(filepath.Join(logs, host))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// apart requires that on every host whoever began something had ended it before
// anybody began anything else, and, with whole, that one run had ended before the
// other began.
func apart(t *testing.T, logs string, whole bool) {
	t.Helper()
	for _, host := range hostNames(rivals) {
		lines := at(t, logs, host)
		turns := 1
		for i := 0; i+1 < len(lines); i++ {
			what := strings.Fields(lines[i])
			if what[1] == "begin" {
				require.Equal(t, what[0]+" end "+what[2], lines[i+1], "%s: %v", host, lines)
			}
			if !strings.HasPrefix(lines[i+1], what[0]+" ") {
				turns++
			}
		}
		if whole {
			require.LessOrEqual(t, turns, 2, "%s: %v", host, lines)
		}
	}
}

// did is everything that a controller is to do, in the words of effects.
func did(who string) []string {
	var all []string
	for _, h := range hostNames(rivals) {
		for _, item := range []string{"1", "2", "3", "4"} {
			all = append(all, h+": "+who+" begin "+item, h+": "+who+" end "+item)
		}
	}
	return all
}

func by(who string, more ...string) []string {
	return append([]string{"apply", "site.yaml", "-i", "hosts", "-e", "who=" + who, "-e", "nap=0.1"}, more...)
}

// TestTwoControllersThatWait: both get all their hosts, one after the other.
func TestTwoControllersThatWait(t *testing.T) {
	s, logs := startTargets(t, rivals), t.TempDir()
	a, b := s.project(rival, logs), s.project(rival, logs)
	one := a.start(program, nil, by("a", "--lock-timeout", "60s")...)
	two := b.start(program, nil, by("b", "--lock-timeout", "60s")...)
	require.Zero(t, one.end(), one.printed())
	require.Zero(t, two.end(), two.printed())
	apart(t, logs, true)
	lost, doubled := compare(append(did("a"), did("b")...), a.effects())
	require.Empty(t, lost)
	require.Empty(t, doubled)
	require.Contains(t, one.printed()+two.printed(), "locked by run", "somebody had to wait: %s%s", one.printed(), two.printed())
}

// TestTheSecondControllerIsTold: who does not wait is told who has the hosts, and
// has done nothing.
func TestTheSecondControllerIsTold(t *testing.T) {
	s, logs := startTargets(t, rivals), t.TempDir()
	a, b := s.project(rival, logs), s.project(rival, logs)
	one := a.start(program, nil, by("a", "-e", "nap=1")...)
	begun(t, one, logs)
	code, out := b.run(by("b")...)
	require.Equal(t, 2, code, out)
	run := a.listed()[0].Run
	require.Regexp(t, `locked by run `+run+` of \S+@\S+ since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`, out)
	require.Zero(t, one.end(), one.printed())
	lost, doubled := compare(did("a"), a.effects())
	require.Empty(t, lost)
	require.Empty(t, doubled)
}

// begun waits until the run has begun to work on every host.
func begun(t *testing.T, l *life, logs string) {
	require.Eventually(t, func() bool {
		for _, host := range hostNames(rivals) {
			if len(at(t, logs, host)) == 0 {
				return false
			}
		}
		return true
	}, lifeLimit, 5*time.Millisecond, "nothing began: %s", l.printed())
}

// TestADeadControllerHoldsNothing: its hosts are free as soon as what it began on
// them has ended; and later it goes on where it was.
func TestADeadControllerHoldsNothing(t *testing.T) {
	s, logs := startTargets(t, rivals), t.TempDir()
	a, b := s.project(rival, logs), s.project(rival, logs)
	one := a.start(program, nil, by("a")...)
	begun(t, one, logs)
	one.signal(syscall.SIGKILL)
	require.Equal(t, -1, one.end())
	died := time.Now()
	two := b.start(program, nil, by("b", "--lock-timeout", "30s")...)
	require.Eventually(t, func() bool {
		for _, host := range hostNames(rivals) {
			if !strings.Contains(strings.Join(at(t, logs, host), "\n"), "b begin") {
				return false
			}
		}
		return true
	}, lifeLimit, 5*time.Millisecond)
	t.Logf("the other controller was at work %v after the death of the first", time.Since(died).Round(time.Millisecond))
	require.Zero(t, two.end(), two.printed())
	code, out := a.run("resume")
	require.Zero(t, code, out)
	apart(t, logs, false)
	lost, doubled := compare(append(did("a"), did("b")...), a.effects())
	require.Empty(t, lost)
	require.Empty(t, doubled)
}
