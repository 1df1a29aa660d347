package runner

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// world is a machine of which only a list of done things is left.
type world struct {
	did    []string
	code   int  // of every command
	budget bool // none is allowed yet
	stale  int  // so many come too late
}

func (w *world) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	return w.Do(ctx, "", r)
}
func (w *world) Lock(context.Context, Holder) (Grip, error) { return Grip{}, nil }
func (w *world) Collect(context.Context, string) (Fate, modules.Output, error) {
	return Never, modules.Output{}, nil
}
func (w *world) Unlock(context.Context) error           { return nil }
func (w *world) Forget(context.Context, []string) error { return nil }
func (w *world) Do(_ context.Context, _ string, r modules.Run) (modules.Output, error) {
	if w.budget {
		return modules.Output{}, &modules.BudgetError{Message: "not now"}
	}
	if w.stale > 0 {
		w.stale--
		return modules.Output{}, &modules.StaleError{Message: "modified"}
	}
	w.did = append(w.did, r.String())
	return modules.Output{Stdout: "said\n", Code: w.code}, nil
}
func (w *world) ReadFile(context.Context, string) (modules.File, error) { return modules.File{}, nil }
func (w *world) Write(_ context.Context, f modules.Write) error {
	w.did = append(w.did, f.String())
	return nil
}
func (w *world) Remove(_ context.Context, r modules.Remove) error {
	w.did = append(w.did, r.String())
	return nil
}
func (w *world) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no wire")
}
func (w *world) As(context.Context, Become) (Machine, error) { return w, nil }
func (w *world) Lost() bool                                  { return false }
func (w *world) Close() error                                { return nil }

// scripted is a module whose Checks are written down in advance; the last one
// is given again and again.
type scripted struct {
	looks []look
	n     int
}

type look struct {
	change modules.Change
	err    error
}

func (s *scripted) Check(context.Context, modules.Target) (modules.Change, error) {
	l := s.looks[min(s.n, len(s.looks)-1)]
	s.n++
	return l.change, l.err
}

func differs(have string) []modules.Diff { return []modules.Diff{{What: "x", Have: have, Want: "b"}} }

func TestConverge(t *testing.T) {
	step := []modules.Step{modules.Command("do")}
	blind := []modules.Step{modules.Run{Argv: []string{"do"}, Opaque: true}}
	soon := modules.Wait{Interval: time.Millisecond, Timeout: time.Second}
	short := modules.Wait{Interval: time.Millisecond, Timeout: 20 * time.Millisecond}
	asked := look{}
	grad := func(have string, steps ...modules.Step) look {
		return look{change: modules.Change{Diffs: differs(have), Steps: steps, Wait: modules.Wait{Gradual: true, Interval: time.Millisecond, Timeout: 50 * time.Millisecond}}}
	}
	must := look{change: modules.Change{Diffs: differs("a"), Steps: step}}
	for _, c := range []struct {
		name   string
		plan   bool
		looks  []look
		code   int
		budget bool // no step is allowed
		stale  int  // so many steps come too late
		status Status
		did    int
		checks int // 0: any number
		err    string
	}{
		{name: "as asked", looks: []look{asked}, status: OK, checks: 1},
		{name: "must change, and does", looks: []look{must, asked}, status: Changed, did: 1, checks: 2},
		{name: "must change, in a plan", plan: true, looks: []look{must}, status: WouldChange, checks: 1},
		{name: "the change does not help", looks: []look{must}, status: Changed, did: 1, checks: 2,
			err: "still differs after the change: x: is a, want b"},
		{name: "the change reveals more, twice", looks: []look{must,
			{change: modules.Change{Diffs: differs("a2"), Steps: step}}, {change: modules.Change{Diffs: differs("a3"), Steps: step}}, asked},
			status: Changed, did: 3, checks: 4},
		{name: "the change reveals more without end", looks: []look{must,
			{change: modules.Change{Diffs: differs("a2"), Steps: step}}, {change: modules.Change{Diffs: differs("a3"), Steps: step}},
			{change: modules.Change{Diffs: differs("a4"), Steps: step}}},
			status: Changed, did: 3, checks: 4, err: "still differs after the change: x: is a4, want b"},
		{name: "a step fails", looks: []look{must}, code: 7, did: 1, status: OK, checks: 1, err: "do: exit code 7: said"},
		{name: "opaque", looks: []look{{change: modules.Change{Steps: blind}}}, status: Changed, did: 1, checks: 1},
		{name: "opaque, in a plan", plan: true, looks: []look{{change: modules.Change{Steps: blind}}}, status: WouldRun, checks: 1},
		{name: "a condition that comes", looks: []look{{change: modules.Change{Diffs: differs("a"), Wait: soon}}, asked}, status: OK, checks: 2},
		{name: "a condition that stays away", looks: []look{{change: modules.Change{Diffs: differs("a"), Wait: short}}}, status: OK,
			err: "timed out after 20ms: x: is a, want b"},
		{name: "a condition, in a plan", plan: true, looks: []look{{change: modules.Change{Diffs: differs("a"), Wait: soon}}}, status: WouldWait, checks: 1},
		{name: "a condition that must hold three times", looks: []look{{change: modules.Change{Wait: modules.Wait{Consecutive: 3, Interval: time.Millisecond}}}},
			status: OK, checks: 3},
		{name: "a change that leaves a condition", looks: []look{must, {change: modules.Change{Diffs: differs("a"), Wait: soon}}, asked},
			status: Changed, did: 1, checks: 3},
		{name: "a wait outlives an error", looks: []look{{change: modules.Change{Diffs: differs("a"), Wait: soon}}, {err: errors.New("api restarts")}, asked},
			status: OK, checks: 3},
		{name: "steps that come up one after the other", looks: []look{grad("a", step...), grad("b", step...), grad("c", step...), grad("d", step...), grad("e", step...), asked},
			status: Changed, did: 5, checks: 6},
		{name: "steps that come up while it is waited", looks: []look{grad("a", step...), grad("a"), grad("b", step...), grad("b", step...), grad("b"), asked},
			status: Changed, did: 2, checks: 6},
		{name: "steps that are not allowed for long", looks: []look{grad("a", step...), grad("a", step...)}, budget: true, status: OK,
			err: "timed out after 50ms: x: is a, want b"},
		{name: "what was changed meanwhile is looked at again", stale: 2, looks: []look{must, must, must, asked}, status: Changed, did: 1, checks: 4},
		{name: "what changes without end", stale: 9, looks: []look{must}, status: OK, checks: 4, err: "still differs after the change: x: is a, want b"},
		{name: "a pause is no change", looks: []look{{change: modules.Change{Steps: []modules.Step{modules.Pause{For: time.Millisecond}}}}}, status: OK, checks: 1},
		{name: "the look fails", looks: []look{{err: errors.New("no such unit")}}, status: OK, checks: 1, err: "no such unit"},
		{name: "the look after the change fails", looks: []look{must, {err: errors.New("gone")}}, status: Changed, did: 1, checks: 2,
			err: "checking again after the change: gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{code: c.code, budget: c.budget, stale: c.stale}
			m := &scripted{looks: c.looks}
			l := &loop{plan: c.plan, waiting: func([]modules.Diff) {},
				target: &target{open: func(context.Context) (Machine, error) { return w, nil }}}
			o, err := l.converge(t.Context(), m)
			if c.err != "" {
				require.EqualError(t, err, c.err)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.status, o.status)
			require.Len(t, w.did, c.did)
			if c.checks != 0 {
				require.Equal(t, c.checks, m.n)
			}
		})
	}
}

func TestConvergeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	l := &loop{target: &target{}, waiting: func([]modules.Diff) { cancel(errors.New("interrupted")) }}
	_, err := l.converge(ctx, &scripted{looks: []look{{change: modules.Change{Diffs: differs("a")}}}})
	require.EqualError(t, err, "interrupted")
}
