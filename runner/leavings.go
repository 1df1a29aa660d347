package runner

import (
	"context"
	"slices"
	"sync"
	"time"
)

// forgetAt is how many commands' results a machine keeps for a run, before it is
// told that they are written down: a round trip for each would be one too many.
const forgetAt = 32

// leavings are the results of commands that machines still keep, though they are
// written down. The zero value is ready.
type leavings struct {
	mu    sync.Mutex
	at    map[string]*shelf // by machine and user
	swept map[string]bool   // likewise: of what earlier lives have left
}

type shelf struct {
	machine Machine
	ids     []string
}

func (v *leavings) add(ctx context.Context, user string, m Machine, ids []string) {
	v.mu.Lock()
	if v.at == nil {
		v.at = map[string]*shelf{}
	}
	l := v.at[user]
	if l == nil {
		l = &shelf{}
		v.at[user] = l
	}
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

// clear has every machine forget the rest.
func (v *leavings) clear(ctx context.Context) {
	v.mu.Lock()
	at := v.at
	v.at = nil
	v.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range at {
		if len(l.ids) > 0 {
			all.Go(func() { forget(ctx, l.machine, l.ids) })
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

// sweep has a machine forget, when a resumed run first comes to it as a user,
// what earlier lives of the run have left there, except what nobody has asked
// after yet.
func (rn *run) sweep(ctx context.Context, user, host string, m Machine) {
	if rn.Past == nil || len(rn.Past.Kept[host]) == 0 {
		return
	}
	rn.left.mu.Lock()
	if rn.left.swept == nil {
		rn.left.swept = map[string]bool{}
	}
	done := rn.left.swept[user]
	rn.left.swept[user] = true
	rn.left.mu.Unlock()
	if done {
		return
	}
	open := map[string]bool{}
	for key, begun := range rn.Past.Begun {
		if key.Host == host {
			for _, i := range begun {
				open[i.ID] = true
			}
		}
	}
	ids := slices.DeleteFunc(slices.Clone(rn.Past.Kept[host]), func(id string) bool { return open[id] })
	if len(ids) > 0 {
		forget(ctx, m, ids)
	}
}
