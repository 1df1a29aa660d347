package crash

import (
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slow has a task that takes its time, after a notification.
const slow = `
- name: slow
  hosts: web
  gather_facts: false
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  handlers:
  - {name: restart, shell: "echo restart >> {{ log }}"}
  tasks:
  - {name: one, shell: "echo one >> {{ log }}", notify: restart}
  - {name: two, shell: "TRAP echo two >> {{ log }}; sleep 2; echo end of two >> {{ log }}"}
  - {name: three, shell: "echo three >> {{ log }}"}
`

const slowHosts = 3

// slowEffects is what slow does, with or without the end of its slow task.
func slowEffects(end bool) []string {
	var all []string
	for _, h := range hostNames(slowHosts) {
		all = append(all, of(h, []string{"one", "two", "three", "restart"})...)
		if end {
			all = append(all, h+": end of two")
		}
	}
	slices.Sort(all)
	return all
}

// slowly begins the playbook, and returns while its slow task is at work on all
// hosts. A stubborn one does not heed SIGTERM.
func slowly(t *testing.T, stubborn bool) (*project, *life) {
	trap := ""
	if stubborn {
		trap = "trap '' TERM;"
	}
	p := newProject(t, strings.Replace(slow, "TRAP", trap, 1), slowHosts)
	l := p.start(program, nil, apply...)
	p.awaits(l, "two", slowHosts)
	return p, l
}

// awaits waits until an effect has been seen that often.
func (p *project) awaits(l *life, effect string, times int) {
	require.Eventually(p.t, func() bool {
		n := 0
		for _, e := range p.effects() {
			if strings.HasSuffix(e, ": "+effect) {
				n++
			}
		}
		return n == times
	}, lifeLimit, 5*time.Millisecond, "%s", l.printed())
}

// TestTheFirstSignalLetsTasksEnd, whichever it is, and the run is resumed.
func TestTheFirstSignalLetsTasksEnd(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			p, l := slowly(t, false)
			l.signal(s)
			require.Equal(t, 130, l.end(), l.printed())
			seen := strings.Join(p.effects(), "\n")
			require.Equal(t, slowHosts, strings.Count(seen, "end of two"), "what is at work may end: %s", seen)
			require.NotContains(t, seen, "three")
			require.Equal(t, "interrupted", p.listed()[0].State)
			code, out := p.run("resume")
			require.Zero(t, code, out)
			p.settled(slowEffects(true), s.String())
		})
	}
}

// TestTheSecondSignalEndsWhatIsAtWork: how far that came is not known, and nobody
// says that it is. It is not done again without being asked.
func TestTheSecondSignalEndsWhatIsAtWork(t *testing.T) {
	p, l := slowly(t, false)
	l.signal(syscall.SIGINT)
	require.False(t, l.within(300*time.Millisecond), "the first signal lets tasks end: %s", l.printed())
	l.signal(syscall.SIGINT)
	require.True(t, l.within(10*time.Second), "the second ends them: %s", l.printed())
	require.Equal(t, 130, l.end(), l.printed())
	require.NotContains(t, strings.Join(p.effects(), "\n"), "end of two")
	for range 2 { // the question stays open
		code, out := p.run("resume", "--unknown=fail")
		require.Equal(t, 2, code, out)
		require.Equal(t, slowHosts, reported(out), out)
	}
	lost, doubled := compare(slowEffects(false), p.effects())
	require.Empty(t, doubled)
	require.NotEmpty(t, lost, "what comes after the unknown is not done")
	code, out := p.run("resume", "--unknown=skip")
	require.Zero(t, code, out)
	p.settled(slowEffects(false), "skipped")
}

// reported is of how many hosts the program says that nobody knows.
func reported(out string) int {
	n := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "fatal: ") && strings.Contains(line, "it is not known whether this has run") {
			n++
		}
	}
	return n
}

// TestTheThirdSignalLeavesAtOnce: what does not heed the second goes on, and the
// resumption takes its result.
func TestTheThirdSignalLeavesAtOnce(t *testing.T) {
	p, l := slowly(t, true)
	for range 2 {
		l.signal(syscall.SIGINT)
		require.False(t, l.within(200*time.Millisecond), l.printed())
	}
	l.signal(syscall.SIGINT)
	require.True(t, l.within(time.Second), "the third leaves: %s", l.printed())
	require.Equal(t, 130, l.end(), l.printed())
	require.NotContains(t, strings.Join(p.effects(), "\n"), "end of two")
	code, out := p.run("resume")
	require.Zero(t, code, out)
	p.settled(slowEffects(true), "third signal")
}

// TestNobodyReads: the run goes on when whoever read what it prints has gone.
func TestNobodyReads(t *testing.T) {
	p := newProject(t, small, smallHosts)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	l := p.startTo(w, program, nil, apply...)
	require.NoError(t, w.Close())
	_, err = io.ReadFull(r, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Zero(t, l.end())
	p.settled(smallEffects(), "nobody reads")
}
