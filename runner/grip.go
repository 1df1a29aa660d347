package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"runbook/modules"
)

const (
	lockInterval = 2 * time.Second // between two tries to have a machine that another run has

	// defaultReconnect lets a switch restart, not a machine: how a command has
	// ended on one that is away for longer is for whoever resumes the run.
	defaultReconnect = time.Minute
	redialAt         = time.Second // doubled after each try

	// connections is how many a look may take: one more than a switch that restarts
	// costs, and few enough that a link that never holds is noticed.
	connections = 3
	relookAt    = 100 * time.Millisecond // a shell that was killed is back at once; ten times that after each try
)

// looking does what changes nothing, and does it again over a new connection where
// that was lost meanwhile. A machine that cannot be connected to any more is lost.
func (l *loop) looking(ctx context.Context, do func() error) error {
	pause := relookAt
	for try := 1; ; try++ {
		err := do()
		var away *unreached
		if !isUnreachable(err) || errors.As(err, &away) || try == connections || sleep(ctx, pause) != nil {
			return err
		}
		pause *= 10
	}
}

// check has the module look.
func (l *loop) check(ctx context.Context, m modules.Module) (c modules.Change, err error) {
	err = l.looking(ctx, func() error {
		c, err = m.Check(ctx, l.target)
		return err
	})
	return c, err
}

// grip has the machine locked for the run, within the run's patience. With fresh
// it was not before: what was looked at may have changed.
func (l *loop) grip(ctx context.Context) (m Machine, fresh bool, err error) {
	err = l.looking(ctx, func() error {
		if m, err = l.target.open(ctx); err != nil {
			return err
		}
		fresh, err = l.lock(ctx, m)
		return err
	})
	return m, fresh, err
}

func (l *loop) lock(ctx context.Context, m Machine) (fresh bool, err error) {
	rn := l.work.x.play.run
	ctx, cancel := context.WithTimeout(ctx, rn.Patience+startTimeout)
	defer cancel()
	until, err := rn.together(ctx, l)
	if err != nil {
		return false, err
	}
	for {
		g, err := m.Lock(ctx, rn.Holder)
		var held *Held
		if err == nil {
			l.work.machine, l.work.user, l.work.x.boot = m, l.target.user, g.Boot
			return rn.locks.first(l.target.user) || g.Fresh, nil
		}
		if !errors.As(err, &held) || !time.Now().Before(until) {
			return false, err
		}
		l.waitFor(l.target.name, held)
		if err := sleep(ctx, min(lockInterval, time.Until(until))); err != nil {
			return false, err
		}
	}
}

func (l *loop) waitFor(machine string, held *Held) {
	l.waiting([]modules.Diff{{What: "the lock of " + machine, Have: held.Error(), Want: "free"}})
}

// startTimeout bounds the asking for a lock itself.
const startTimeout = time.Minute

// whole changes a file as a whole, which comes to the same however often it is done:
// where the connection is lost meanwhile, it is done again over a new one.
func (l *loop) whole(ctx context.Context, m Machine, do func(Machine) error) error {
	again := false
	return l.looking(ctx, func() (err error) {
		if again && l.work != nil {
			if m, _, err = l.grip(ctx); err != nil {
				return err
			}
		}
		again = true
		return do(m)
	})
}

// do carries out a command on the machine. Where the connection is lost
// meanwhile, it comes back to hear how the command ended.
func (l *loop) do(ctx context.Context, m Machine, id string, s modules.Run) (modules.Output, error) {
	out, err := m.Do(ctx, id, s)
	if errors.Is(err, ErrUnlocked) && l.work != nil {
		if m, _, err = l.grip(ctx); err != nil {
			return out, err
		}
		out, err = m.Do(ctx, id, s)
	}
	if err == nil || !isUnreachable(err) || ctx.Err() != nil || l.work == nil || l.target.reopen == nil {
		return out, err
	}
	boot := l.work.x.boot
	patience := l.work.x.play.run.Reconnect
	if patience == 0 {
		patience = defaultReconnect
	}
	until := time.Now().Add(patience)
	for pause := redialAt; ; pause *= 2 {
		l.waiting([]modules.Diff{{What: "the connection to " + l.target.name, Have: "lost: " + err.Error(), Want: "back, to hear how the command ended"}})
		if time.Now().Add(pause).After(until) || sleep(ctx, pause) != nil {
			return out, err
		}
		again, dialErr := l.target.reopen(ctx)
		if dialErr != nil {
			continue
		}
		g, lockErr := again.Lock(ctx, l.work.x.play.run.Holder)
		switch {
		case lockErr != nil && isUnreachable(lockErr):
			continue
		case lockErr != nil:
			return out, fmt.Errorf("%w; after it came back: %w", err, lockErr)
		case g.Boot != boot:
			return out, fmt.Errorf("%w; it came back after a reboot: how the command ended is not known", err)
		}
		l.work.machine = again
		heard, asked := again.Do(ctx, id, s)
		if errors.Is(asked, ErrUnlocked) {
			continue // lost once more, before it was asked: the first loss stands
		}
		if out, err = heard, asked; err == nil || !isUnreachable(err) {
			return out, err
		}
	}
}
