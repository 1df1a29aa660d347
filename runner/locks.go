package runner

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// locks is what the run knows of its machines' locks. The zero value is ready.
type locks struct {
	mu    sync.Mutex
	until time.Time       // when the run's patience is over; zero before the first step
	done  bool            // all that could be locked together is
	had   map[string]bool // by machine and user: locked together with others, and not looked at since
}

// first says once of each machine that was locked together with others that it
// was: whoever looked at it before has to look again.
func (k *locks) first(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.had[user]
	delete(k.had, user)
	return was
}

// locked is a machine that a run has the lock of, or that another has.
type locked struct {
	user    string
	name    string
	machine Machine
	held    *Held
}

// together has all machines of the run locked before the first step is taken on
// any of them, or none: of two runs each of which waits for a machine that the
// other has, neither would ever go on. It returns when the run's patience is over;
// what is not to be had by then fails where a task comes to it. A run without
// patience waits for nothing, and takes each machine when it comes to it.
func (rn *run) together(ctx context.Context, l *loop) (until time.Time, err error) {
	k := &rn.locks
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		return k.until, nil
	}
	if k.until.IsZero() {
		k.until = time.Now().Add(rn.Patience)
	}
	if rn.Patience <= 0 {
		return k.until, nil
	}
	for {
		mine, other := rn.lockAll(ctx, l.work.x)
		if ctx.Err() == nil && (other == nil || time.Until(k.until) <= 0) {
			k.done = true
			k.had = map[string]bool{}
			for _, m := range mine {
				k.had[m.user] = true
			}
			return k.until, nil
		}
		for _, m := range mine {
			if err := m.machine.Unlock(context.WithoutCancel(ctx)); err != nil && !isUnreachable(err) {
				return k.until, err
			}
		}
		if ctx.Err() != nil {
			return k.until, context.Cause(ctx)
		}
		l.waitFor(other.name, other.held)
		if err := sleep(ctx, min(rn.standBack(other.held), time.Until(k.until))); err != nil {
			return k.until, err
		}
	}
}

// standBack is how long to leave the machines to the other run: the younger of
// two that meet gives way for longer.
func (rn *run) standBack(held *Held) time.Duration {
	pause := lockInterval / 4
	if held.By.Since.Before(rn.Holder.Since) {
		pause = lockInterval
	}
	return pause + rand.N(pause)
}

// lockAll tries once to lock every machine of the run, with the rights that the
// task asks for. It returns those that it has, and one that another run has. One
// that cannot be reached is left to the tasks that come to it.
func (rn *run) lockAll(ctx context.Context, x *hostTask) (mine []locked, other *locked) {
	hosts := rn.manned(x)
	here := *x.task
	here.DelegateTo = nil // the hosts themselves, whatever the first step is on
	tried := make([]locked, len(hosts))
	x.play.each(hosts, func(i int, h *host) {
		at := &hostTask{play: x.play, task: &here, host: h}
		t, err := at.target(x.play.scope(h, x.task.Layers))
		if err != nil {
			return
		}
		m, err := t.open(ctx)
		if err != nil {
			return
		}
		tried[i] = locked{user: t.user, name: t.name}
		if _, err := m.Lock(ctx, rn.Holder); err == nil {
			tried[i].machine = m
		} else {
			_ = errors.As(err, &tried[i].held)
		}
	})
	for i := range tried {
		switch {
		case tried[i].machine != nil:
			mine = append(mine, tried[i])
		case tried[i].held != nil:
			other = &tried[i]
		}
	}
	return mine, other
}

// manned is the hosts of all plays that the run is going to have, the task's
// own first.
func (rn *run) manned(x *hostTask) []*host {
	all := []*host{x.host}
	seen := map[string]bool{x.host.name: true}
	for _, name := range rn.aims {
		if h := rn.stranger(name); !seen[name] && h.up() {
			seen[name] = true
			all = append(all, h)
		}
	}
	return all
}
