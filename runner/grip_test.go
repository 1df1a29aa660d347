package runner

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// flimsy is a connection that is lost now and then, and there again.
type flimsy struct {
	Machine
	losses *losses
}

// losses is how often what is asked of a machine meets a lost connection.
type losses struct {
	mu   sync.Mutex
	left map[string]int
}

func (l *losses) meets(what string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left[what] == 0 {
		return nil
	}
	l.left[what]--
	return gone{}
}

func (l *losses) on(r *Runner, _ *fleet) {
	dial := r.Dial
	r.Dial = func(ctx context.Context, a Address) (Machine, error) {
		m, err := dial(ctx, a)
		return &flimsy{m, l}, err
	}
}

func (f *flimsy) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	if err := f.losses.meets("query"); err != nil {
		return modules.Output{}, err
	}
	return f.Machine.Query(ctx, r)
}

func (f *flimsy) Write(ctx context.Context, w modules.Write) error {
	if err := f.Machine.Write(ctx, w); err != nil {
		return err
	}
	return f.losses.meets("write")
}

func (f *flimsy) Lock(ctx context.Context, by Holder) (Grip, error) {
	if err := f.losses.meets("lock"); err != nil {
		return Grip{}, err
	}
	return f.Machine.Lock(ctx, by)
}

func (f *flimsy) Collect(ctx context.Context, id string) (Fate, modules.Output, error) {
	if err := f.losses.meets("collect"); err != nil {
		return Gone, modules.Output{}, err
	}
	return f.Machine.Collect(ctx, id)
}

const flimsyRun = `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, ping: {data: x}}
  - {name: b, command: do b}
`

// TestAConnectionThatIsLostBeforeAStep: it costs another look, and no host; one
// that never holds does.
func TestAConnectionThatIsLostBeforeAStep(t *testing.T) {
	for _, c := range []struct {
		what  string
		times int
		lost  bool
	}{
		{"query", connections - 1, false},
		{"lock", connections - 1, false},
		{"query", 100, true},
		{"lock", 100, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLives(t, flimsyRun)
			l.live(0, (&losses{left: map[string]int{c.what: c.times}}).on)
			require.Equal(t, c.lost, l.summary.Unreachable, "%s, lost %d times", c.what, c.times)
			if c.lost {
				require.Empty(t, l.did())
				l.live(0)
			}
			require.Equal(t, []string{"h1: do b", "h1: set x"}, l.did())
		})
	}
}

// TestAConnectionThatIsLostBeforeAnAnswer: how a step of an earlier life has ended is
// asked once more, and where there is never an answer the step is not repeated.
func TestAConnectionThatIsLostBeforeAnAnswer(t *testing.T) {
	for times, lost := range map[int]bool{connections - 1: false, 100: true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLives(t, "- hosts: h1\n  gather_facts: false\n  tasks: [{name: a, command: do a}]\n")
			l.live(2) // the intent; the outcome is not written
			l.live(0, (&losses{left: map[string]int{"collect": times}}).on)
			require.Equal(t, lost, l.summary.Unreachable)
			l.live(0)
			require.Equal(t, []string{"h1: do a"}, l.did())
			require.False(t, l.summary.Unreachable || l.summary.Failed)
		})
	}
}

// TestAConnectionThatIsLostInAWrite: a whole file is written again, and a backup of
// it is not made of what was written just now.
func TestAConnectionThatIsLostInAWrite(t *testing.T) {
	for _, c := range []struct {
		backup bool
		times  int
		writes int
		lost   bool
	}{
		{times: 1, writes: 2},
		{times: 100, writes: connections, lost: true},
		{backup: true, times: 1, writes: 1, lost: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{}
			m := &flimsy{w, &losses{left: map[string]int{"write": c.times}}}
			l := &loop{target: &target{open: func(context.Context) (Machine, error) { return m, nil }}}
			_, err := l.take(t.Context(), "", modules.Write{Path: "/etc/x", Backup: c.backup})
			require.Equal(t, c.lost, isUnreachable(err), "%v: %v", c, err)
			require.Len(t, w.did, c.writes)
		})
	}
}
