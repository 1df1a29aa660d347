package runner

import (
	"context"
	"sync"
	"time"
)

// forgetAt is how many commands' results a machine keeps for a run, before it is
// told that they are written down: a round trip for each would be one too many.
const forgetAt = 32

// leavings are the results of commands that machines still keep, though they are
// written down. The zero value is ready.
type leavings struct {
	mu sync.Mutex
	at map[string]*shelf // by machine and user
}

type shelf struct {
	machine Machine
	open    func(context.Context) (Machine, error) // where there is no machine: of what an earlier life has left
	ids     []string
}

// shelf is the one of a machine and user; mu is held.
func (v *leavings) shelf(user string) *shelf {
	if v.at == nil {
		v.at = map[string]*shelf{}
	}
	if v.at[user] == nil {
		v.at[user] = &shelf{}
	}
	return v.at[user]
}

// inherit takes over what earlier lives of the run may have left of a piece of
// work, on a target that this one has perhaps no other reason to come to.
func (v *leavings) inherit(t *target, ids []string) {
	if len(ids) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.shelf(t.user)
	l.open, l.ids = t.open, append(l.ids, ids...)
}

func (v *leavings) add(ctx context.Context, user string, m Machine, ids []string) {
	v.mu.Lock()
	l := v.shelf(user)
	l.machine, l.ids = m, append(l.ids, ids...)
	due := l.ids
	if len(due) < forgetAt {
		due = nil
	} else {
		l.ids = nil
	}
	v.mu.Unlock()
	if due != nil {
		forget(ctx, m, due)
	}
}

// clear has every machine forget the rest; those that were not come to in this
// life, only where it is worth the time to go there.
func (v *leavings) clear(ctx context.Context, goThere bool) {
	v.mu.Lock()
	at := v.at
	v.at = nil
	v.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range at {
		if len(l.ids) > 0 && (l.machine != nil || goThere) {
			all.Go(func() { l.forget(ctx) })
		}
	}
	all.Wait()
}

// forgetLimit bounds what is only tidiness: what is left behind the machine
// sweeps itself after a week.
const forgetLimit = 10 * time.Second

func forget(ctx context.Context, m Machine, ids []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetLimit)
	defer cancel()
	_ = m.Forget(ctx, ids)
}

func (l *shelf) forget(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()
	m := l.machine
	if m == nil {
		var err error
		if m, err = l.open(ctx); err != nil {
			return
		}
	}
	forget(ctx, m, l.ids)
}
