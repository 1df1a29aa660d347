package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// computer is a machine that can be rebooted: it goes down some time after it was
// told to, and comes up again.
type computer struct {
	mu      sync.Mutex
	boots   int           // how many it has had
	ordered int           // how often it was told to reboot
	downAt  time.Time     // when it goes down; zero: it stays up
	down    time.Duration // for how long
	code    int           // of the order to reboot
	wrong   error         // of every dial after the reboot
	deaf    bool          // it never goes down
	silent  bool          // what is sent to it while it is down is lost, and answered by nobody
	drops   bool          // the order's answer is lost
}

func bootID(n int) string { return fmt.Sprintf("00000000-1111-4222-8333-%012d", n) }

// up says whether it is, and passes the time in which it was not.
func (c *computer) up() bool {
	if c.downAt.IsZero() || time.Now().Before(c.downAt) {
		return true
	}
	if time.Now().Before(c.downAt.Add(c.down)) {
		return false
	}
	c.boots, c.downAt = c.boots+1, time.Time{}
	return true
}

type console struct {
	Machine
	c    *computer
	boot int // the boot that the connection is with
}

func (c *computer) on(r *Runner, _ *fleet) {
	dial := r.Dial
	r.Dial = func(ctx context.Context, a Address) (Machine, error) {
		m, err := dial(ctx, a)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch up := c.up(); {
		case err != nil:
			return nil, err
		case !up && c.silent:
			c.mu.Unlock()
			<-ctx.Done()
			c.mu.Lock()
			return nil, ctx.Err()
		case !up:
			return nil, gone{}
		case c.boots > 0 && c.wrong != nil:
			return nil, c.wrong
		}
		return &console{m, c, c.boots}, nil
	}
}

func (m *console) alive() error {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if !m.c.up() || m.c.boots != m.boot {
		return gone{}
	}
	return nil
}

func (m *console) Lock(context.Context, Holder) (Grip, error) {
	return Grip{Boot: bootID(m.boot)}, m.alive()
}

func (m *console) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	if err := m.alive(); err != nil {
		return modules.Output{}, err
	}
	if strings.Contains(r.String(), "boot_id") {
		return modules.Output{Stdout: bootID(m.boot) + "\nbtime 1\n\n"}, nil
	}
	return modules.Output{}, nil
}

func (m *console) Do(ctx context.Context, id string, r modules.Run) (modules.Output, error) {
	if err := m.alive(); err != nil {
		return modules.Output{}, err
	}
	if !strings.Contains(r.Shell, "sleep 2; $command") {
		return m.Machine.Do(ctx, id, r)
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.ordered++
	if m.c.code == 0 && !m.c.deaf {
		m.c.downAt = time.Now().Add(3 * time.Second)
	}
	if m.c.drops {
		return modules.Output{}, gone{}
	}
	return modules.Output{Code: m.c.code, Stderr: "no way\n"}, nil
}

const rebootRun = `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: before, command: do before}
  - {name: again, reboot: {reboot_timeout: 120}, register: again}
  - {name: after, command: "do after {{ again.rebooted }}"}
`

type otherKey struct{ gone }

func (otherKey) Error() string { return "host key of h1 has changed" }
func (otherKey) Refused() bool { return true }

func TestRebootStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		pc     *computer
		status Status
		msg    string
		took   time.Duration // at most, by the clock of the test
		did    string
		orders int
	}{
		{name: "it comes back", pc: &computer{down: 40 * time.Second}, status: Changed, took: time.Minute, did: "h1: do before, h1: do after True", orders: 1},
		{name: "it is back before anybody sees it down", pc: &computer{}, status: Changed, took: time.Minute, did: "h1: do before, h1: do after True", orders: 1},
		{name: "the order's answer is lost", pc: &computer{down: time.Second, drops: true}, status: Changed, took: time.Minute, did: "h1: do before, h1: do after True", orders: 1},
		{name: "it does not come back", pc: &computer{down: time.Hour}, status: Unreachable, took: 3 * time.Minute, did: "h1: do before", orders: 1,
			msg: "reboot: did not come back within 2m0s after the reboot; last seen at "},
		{name: "it comes back, and nothing said no meanwhile", pc: &computer{down: 40 * time.Second, silent: true}, status: Changed, took: time.Minute, did: "h1: do before, h1: do after True", orders: 1},
		{name: "it does not come back, and nothing says no", pc: &computer{down: time.Hour, silent: true}, status: Unreachable, took: 3 * time.Minute, did: "h1: do before", orders: 1,
			msg: ": no answer (context deadline exceeded); look at its console"},
		{name: "it does not go down", pc: &computer{deaf: true}, status: Failed, took: 3 * time.Minute, did: "h1: do before", orders: 1,
			msg: "reboot: did not go down within 2m0s: at "},
		{name: "it has no way to reboot", pc: &computer{code: 127}, status: Failed, took: time.Second, did: "h1: do before", orders: 1, msg: "reboot: exit code 127: no way"},
		{name: "another machine answers", pc: &computer{wrong: otherKey{}}, status: Unreachable, took: time.Minute, did: "h1: do before", orders: 1,
			msg: "reboot: after the reboot: host key of h1 has changed"},
		{name: "it cannot be logged in to any more", pc: &computer{wrong: errors.New("become: sudo wants a password")}, status: Unreachable, took: 3 * time.Minute, did: "h1: do before", orders: 1,
			msg: "sudo wants a password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := newLives(t, rebootRun).live(0, c.pc.on)
				require.NoError(t, l.err)
				got := l.result("again", "h1")
				require.Equal(t, c.status, got.Status, got.Msg)
				if c.msg != "" {
					require.Contains(t, got.Msg, c.msg)
				}
				require.Less(t, time.Since(began), c.took)
				require.Equal(t, c.did, strings.Join(l.fleet.did, ", "))
				require.Equal(t, c.orders, c.pc.ordered)
			})
		})
	}
}

// TestAMachineIsRebootedOnce: whatever record was the last of an earlier life, and
// also where the machine came back too late, or failed its test at first.
func TestAMachineIsRebootedOnce(t *testing.T) {
	whole := newLives(t, rebootRun)
	synctest.Test(t, func(t *testing.T) {
		whole.t = t
		whole.live(0, (&computer{down: time.Second}).on)
	})
	require.Greater(t, len(whole.records), 6)
	for dies := 1; dies <= len(whole.records); dies++ {
		t.Run(fmt.Sprint("dies at ", dies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pc := &computer{down: 20 * time.Second}
				l := newLives(t, rebootRun).live(dies, pc.on)
				<-time.After(time.Minute) // it comes up meanwhile
				l.live(0, pc.on)
				require.False(t, l.summary.Failed || l.summary.Unreachable, "%v", l.messages())
				require.Equal(t, 1, pc.ordered)
				require.Equal(t, 1, count1(l.did(), "h1: do before"))
				require.Equal(t, 1, count1(l.did(), "h1: do after True"))
			})
		})
	}
	t.Run("it comes back after the run has given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pc := &computer{down: time.Hour}
			l := newLives(t, rebootRun).live(0, pc.on)
			require.True(t, l.summary.Unreachable)
			<-time.After(time.Hour)
			l.live(0, pc.on)
			require.Equal(t, Summary{Changes: true}, l.summary)
			require.Equal(t, 1, pc.ordered)
		})
	})
	t.Run("what follows the boot fails at first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pc := &computer{}
			l := newLives(t, strings.Replace(rebootRun, "reboot_timeout: 120", "reboot_timeout: 120, test_command: is up, node_timeout: 10", 1))
			l.live(0, pc.on, failing("is up"))
			require.True(t, l.summary.Failed)
			require.Contains(t, l.result("again", "h1").Msg, "is up")
			l.live(0, pc.on)
			require.Equal(t, Summary{Changes: true}, l.summary)
			require.Equal(t, 1, pc.ordered)
		})
	})
	t.Run("a block that is looked at again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pc := &computer{}
			l := newLives(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - block:
    - {name: again, reboot: }
    - {name: breaks, command: third}
    - {name: fails, fail: , when: broken | default(true)}
    always:
    - {name: z, command: do z}
`).live(0, pc.on)
			require.True(t, l.summary.Failed)
			l.live(0, pc.on)
			require.True(t, l.summary.Failed)
			require.Equal(t, 1, pc.ordered)
		})
	})
}

// failing has a query fail.
func failing(cmd string) func(*Runner, *fleet) {
	return func(r *Runner, _ *fleet) {
		dial := r.Dial
		r.Dial = func(ctx context.Context, a Address) (Machine, error) {
			m, err := dial(ctx, a)
			if err != nil {
				return nil, err
			}
			return &deafTo{m.(*console), cmd}, nil
		}
	}
}

type deafTo struct {
	*console
	cmd string
}

func (m *deafTo) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	if r.String() == m.cmd {
		return modules.Output{Code: 1}, nil
	}
	return m.console.Query(ctx, r)
}

// TestTheControllerDoesNotRebootItself: nobody would go on.
func TestTheControllerDoesNotRebootItself(t *testing.T) {
	here, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	w := &world{}
	l := &loop{target: &target{}}
	_, err = l.reboot(t.Context(), w, "id", modules.Reboot{Boot: strings.TrimSpace(string(here))})
	require.ErrorContains(t, err, "the machine that runbook itself runs on")
	require.Empty(t, w.did)
}
