package runner

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/inventory"
	"runbook/modules"
	"runbook/playbooks"
)

// stateful is a module that looks and changes: what is set is not set again.
type stateful struct {
	Data string `arg:"data"`
}

func (m *stateful) Check(ctx context.Context, t modules.Target) (modules.Change, error) {
	out, err := t.Query(ctx, modules.Command("is", m.Data))
	if err != nil || out.Code == 0 {
		return modules.Change{}, err
	}
	return modules.Change{
		Diffs: []modules.Diff{{What: m.Data, Have: "unset", Want: "set"}},
		Steps: []modules.Step{modules.Command("set", m.Data)},
	}, nil
}

// stage is a fleet on which things are set, and stay so from one life of a run
// to the next.
type stage struct {
	mu    sync.Mutex
	there map[string]bool                                   // "host thing"
	query func(host, cmd string) (modules.Output, error)    // before a look, where given
	did   func(host, cmd string, out *modules.Output) error // after a step, where given
	ended func(ctx context.Context, cmd string)
}

type actor struct {
	*fleetHost
	stage *stage
}

func (s *stage) on(r *Runner, _ *fleet) {
	dial := r.Dial
	r.Dial = func(ctx context.Context, a Address) (Machine, error) {
		m, err := dial(ctx, a)
		if err != nil {
			return nil, err
		}
		return &actor{m.(*fleetHost), s}, nil
	}
}

func (a *actor) As(ctx context.Context, b Become) (Machine, error) {
	_, err := a.fleetHost.As(ctx, b)
	return a, err
}

func (a *actor) Query(_ context.Context, r modules.Run) (modules.Output, error) {
	if a.stage.query != nil {
		if out, err := a.stage.query(a.name, r.String()); err != nil || out.Stdout != "" {
			return out, err
		}
	}
	a.stage.mu.Lock()
	defer a.stage.mu.Unlock()
	if thing, ok := strings.CutPrefix(r.String(), "is "); ok && !a.stage.there[a.name+" "+thing] {
		return modules.Output{Code: 1}, nil
	}
	return modules.Output{}, nil
}

func (a *actor) Do(ctx context.Context, id string, r modules.Run) (modules.Output, error) {
	out, err := a.fleetHost.Do(ctx, id, r)
	if thing, ok := strings.CutPrefix(r.String(), "set "); ok && err == nil {
		a.stage.mu.Lock()
		if a.stage.there == nil {
			a.stage.there = map[string]bool{}
		}
		a.stage.there[a.name+" "+thing] = true
		a.stage.mu.Unlock()
	}
	if a.stage.ended != nil {
		a.stage.ended(ctx, r.String())
	}
	if err == nil && a.stage.did != nil {
		err = a.stage.did(a.name, r.String(), &out)
	}
	return out, err
}

// staged is books in which ping is the stateful module.
func staged(t *testing.T, text string) (*playbooks.Playbook, *inventory.Inventory) {
	book, inv := books(t, text)
	def := modules.Def{Name: "state", New: func() modules.Module { return &stateful{} }}
	for _, p := range book.Plays {
		for task := range places(p) {
			if task.Def.Name == "ping" {
				task.Def = def
			}
		}
	}
	return book, inv
}

// lives is one run in several lives, on one fleet, with one journal.
type lives struct {
	t    *testing.T
	book *playbooks.Playbook
	inv  *inventory.Inventory
	ran
	records []Record
	stage   *stage
}

// live is one life, whose journal takes so many records; 0: all.
func (l *lives) live(takes int, with ...func(*Runner, *fleet)) *lives {
	l.t.Helper()
	p := &paper{}
	if takes > 0 {
		p.dies = takes + 1
	}
	resumed := len(l.records) > 0
	if l.fleet == nil {
		l.fleet = &fleet{tries: map[string]int{}}
	}
	all := []func(*Runner, *fleet){func(r *Runner, f *fleet) {
		r.Journal, r.Seal = p, reversing{}
		if resumed {
			r.Past = Fold(l.records)
		}
		if l.stage != nil {
			l.stage.on(r, f)
		}
	}}
	l.ran = l.ran.carry(l.t.Context(), l.t, l.book, l.inv, append(all, with...)...)
	l.records = append(l.records, p.records...)
	return l
}

func (l *lives) pending() []string {
	var left []string
	for _, n := range l.events[len(l.events)-1].(RunDone).Pending {
		left = append(left, n.Handler+" on "+n.Host)
	}
	return left
}

func (l *lives) did() []string { return slices.Sorted(slices.Values(l.fleet.did)) }

// upTo is the number of the first record of which is says so.
func upTo(t *testing.T, records []Record, is func(Record) bool) int {
	i := slices.IndexFunc(records, is)
	require.GreaterOrEqual(t, i, 0)
	return i + 1
}

func outcomeOf(task string, item int) func(Record) bool {
	return func(r Record) bool {
		o, ok := r.(Outcome)
		return ok && o.Task == task && o.Item == item
	}
}

func newLives(t *testing.T, text string) *lives {
	l := &lives{t: t, stage: &stage{}}
	l.book, l.inv = staged(t, text)
	return l
}
