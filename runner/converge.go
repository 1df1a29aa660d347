package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"runbook/modules"
	"runbook/runner/failpoint"
)

const (
	rounds       = 3               // checks that may reveal more steps
	waitTimeout  = 5 * time.Minute // for a condition that names no timeout
	waitInterval = 2 * time.Second // between two looks at a condition
)

// Where a test build dies: between the intent and the step, and between the
// step and its outcome.
var (
	stepBefore = failpoint.New("engine.step.before")
	stepAfter  = failpoint.New("engine.step.after")
)

// outcome is what the loop came to for one module on one target.
type outcome struct {
	status Status           // Changed where something was, also if an error came after it
	change modules.Change   // what the first Check found
	vars   map[string]any   // of the last Check
	output []modules.Output // of the opaque steps, in order
	held   int              // how many steps did nothing, and were worth another look
}

// loop is the one way from a module to its outcome, for plan and apply alike.
type loop struct {
	plan    bool
	target  *target
	work    *work                // nil where nothing is kept and nobody else is there
	waiting func([]modules.Diff) // told each time that the missing differs
}

// converge checks, takes the steps, and checks again until nothing is left.
// In a plan it stops before the steps: the one difference between the two.
// What an earlier life of the run had begun is settled first, and counts.
func (l *loop) converge(ctx context.Context, m modules.Module) (outcome, error) {
	o := outcome{status: OK}
	over, dirty := false, false
	var err error
	if !l.plan {
		over, dirty, err = l.past(ctx, m, &o)
	}
	if !over {
		err = l.run(ctx, m, &o, dirty)
	}
	dirty = dirty || l.work != nil && l.work.changed
	if dirty && o.status == OK {
		o.status = Changed
	}
	return o, err
}

func (l *loop) run(ctx context.Context, m modules.Module, o *outcome, dirty bool) error {
	c, err := l.check(ctx, m)
	l.first(o, c)
	if err != nil {
		return err
	}
	if l.plan {
		o.status = verdict(c)
		return nil
	}
	asPlanned := !dirty // nothing has changed since the first look
	began := time.Now()
	for round := 1; ; round++ {
		if len(c.Steps) == 0 {
			asPlanned = false
			err = l.settle(ctx, m, &c, began)
			o.vars = c.Vars
			if err != nil || len(c.Steps) == 0 {
				return err
			}
		}
		again, err := l.ready(ctx, m, &c, o, asPlanned)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		asPlanned = false
		held := o.held
		done, err := l.takeAll(ctx, m, c.Steps, nil, o)
		if err != nil || done {
			return err
		}
		if c, err = l.left(ctx, m, c, began, round, o.held > held); err != nil {
			return err
		}
		o.vars = c.Vars
		if len(c.Diffs) == 0 && len(c.Steps) == 0 && c.Wait.Consecutive < 2 {
			return nil
		}
	}
}

// left is what a change has left to do. With held some of its steps came too early or
// too late, and are worth another look although nothing is different.
func (l *loop) left(ctx context.Context, m modules.Module, before modules.Change, began time.Time, round int, held bool) (modules.Change, error) {
	c, err := l.check(ctx, m)
	if err != nil {
		return c, fmt.Errorf("checking again after the change: %w", err)
	}
	switch {
	case len(c.Steps) == 0:
	case c.Wait.Gradual && (!shrank(before, c) || time.Since(began) > c.Wait.Timeout):
		c.Steps = nil // nobody has made room yet: it is waited for, while there is time
	case !c.Wait.Gradual && (round >= rounds || !held && !shrank(before, c)):
		return c, fmt.Errorf("still differs after the change: %s", sentence(c.Diffs))
	}
	return c, nil
}

// first keeps what a Check found before anything was done.
func (l *loop) first(o *outcome, c modules.Change) {
	o.change, o.vars = c, c.Vars
	if l.work != nil {
		l.work.digest = l.work.x.play.run.digest(c, l.target.env)
	}
}

// ready makes sure that the steps may be taken: that no other run is at work on
// the machine, and that the signed plan has them. Where the machine was locked
// only now it looks again, and says so.
func (l *loop) ready(ctx context.Context, m modules.Module, c *modules.Change, o *outcome, first bool) (again bool, err error) {
	if l.work == nil {
		return false, nil
	}
	if slices.ContainsFunc(c.Steps, onMachine) {
		_, fresh, err := l.grip(ctx)
		if err != nil {
			return false, err
		}
		if fresh {
			next, err := l.check(ctx, m)
			if err != nil {
				return false, err
			}
			*c = next
			if first {
				l.first(o, next)
			}
			if len(next.Steps) == 0 {
				return true, nil
			}
		}
	}
	return false, l.work.approved(*c, l.target.env, first)
}

// verdict is what a plan says of a change.
func verdict(c modules.Change) Status {
	status := OK
	for _, s := range c.Steps {
		switch {
		case opaque(s):
			return WouldRun
		case acts(s):
			status = WouldChange
		}
	}
	if len(c.Steps) == 0 && len(c.Diffs) > 0 {
		return WouldWait
	}
	return status
}

// takeAll takes the steps in order. It reports done where there is nothing to
// verify: after an opaque step, or where no step acted.
func (l *loop) takeAll(ctx context.Context, m modules.Module, steps []modules.Step, ended map[string]bool, o *outcome) (done bool, err error) {
	done = true
	for i, s := range steps {
		if len(ended) > 0 && ended[l.work.stepName(s, i)] {
			continue // by an earlier life of the run
		}
		out, err := l.step(ctx, m, s, i, len(steps))
		if heldBack(err) {
			done, o.held = false, o.held+1
			continue
		}
		ran := err == nil || finished(err)
		if opaque(s) && ran {
			o.output = append(o.output, out)
		}
		if acts(s) && (err == nil || opaque(s) && ran) {
			o.status = Changed
			done = opaque(s)
		}
		if err != nil {
			return true, err
		}
	}
	return done, nil
}

// step takes one step, once it is written down that it will be.
func (l *loop) step(ctx context.Context, m modules.Module, s modules.Step, n, of int) (modules.Output, error) {
	id := ""
	if l.work != nil && acts(s) {
		rn := l.work.x.play.run
		err := rn.leases.sound(ctx, rn.name())
		if err != nil {
			return modules.Output{}, err
		}
		if id, err = l.work.intend(ctx, s, m, n, of); err != nil {
			return modules.Output{}, err
		}
	}
	stepBefore.Hit()
	out, err := l.take(ctx, id, s)
	stepAfter.Hit()
	if l.work != nil && lostStep(ctx, err) {
		l.work.unsettled = true
		l.work.expired = ctx.Err() != nil && !isInterruption(context.Cause(ctx))
	}
	return out, err
}

// heldBack says whether a step did nothing, and is worth another look: it was not
// allowed yet, or what it was to change is not what was looked at.
func heldBack(err error) bool {
	var budget *modules.BudgetError
	var stale *modules.StaleError
	return errors.As(err, &budget) || errors.As(err, &stale)
}

// finished says whether a step that failed came to its end: a command of the
// user's has run then, and done what it does, whatever its exit code.
func finished(err error) bool {
	var step *StepError
	return errors.As(err, &step) && step.Err == nil
}

// shrank says whether a change got smaller, or at least became another one.
func shrank(before, after modules.Change) bool {
	return len(after.Diffs) < len(before.Diffs) || sentence(after.Diffs) != sentence(before.Diffs)
}

// settle looks until the Check finds nothing as often in a row as the change
// asks for, or steps to take. It fails with the last diffs when time is over: that
// of a gradual change has run since it began.
func (l *loop) settle(ctx context.Context, m modules.Module, c *modules.Change, began time.Time) error {
	w := c.Wait
	w.Timeout, w.Interval = cmp.Or(w.Timeout, waitTimeout), cmp.Or(w.Interval, waitInterval)
	if !w.Gradual {
		began = time.Now()
	}
	ctx, cancel := context.WithDeadline(ctx, began.Add(w.Timeout))
	defer cancel()
	ticks := l.watch(ctx, w.On)
	if w.Delay > 0 {
		if err := l.lookAfter(ctx, m, c, w.Delay); err != nil || len(c.Steps) > 0 {
			return err
		}
	}
	clean, last := 0, ""
	for {
		if len(c.Diffs) == 0 {
			if clean++; clean >= w.Consecutive {
				return nil
			}
		} else {
			clean = 0
			if text := sentence(c.Diffs); text != last {
				last = text
				l.waiting(c.Diffs)
			}
		}
		// A row of clean looks is spaced by the interval; a tick may only
		// shorten the wait for the first of them.
		if clean > 0 {
			ticks = nil
		}
		if !pauseOrTick(ctx, w.Interval, ticks) {
			return overdue(ctx, w, *c)
		}
		err := l.look(ctx, m, c)
		if ctx.Err() != nil {
			return overdue(ctx, w, *c)
		}
		if err != nil {
			return err
		}
		if len(c.Steps) > 0 {
			return nil
		}
	}
}

// look checks once more. An error may pass as the condition does: while there is
// time it is one more thing to wait for. A lost host is not.
func (l *loop) look(ctx context.Context, m modules.Module, c *modules.Change) error {
	next, err := l.check(ctx, m)
	switch {
	case err == nil:
		*c = next
	case ctx.Err() != nil, isUnreachable(err):
		return err
	default:
		c.Diffs = []modules.Diff{{What: "check", Have: err.Error(), Want: "an answer"}}
	}
	return nil
}

// lookAfter looks again when d has passed: what held before may be the state
// that is about to end (a port that closes when the machine goes down).
func (l *loop) lookAfter(ctx context.Context, m modules.Module, c *modules.Change, d time.Duration) error {
	if err := sleep(ctx, d); err != nil {
		return err
	}
	next, err := l.check(ctx, m)
	if err == nil {
		*c = next
	}
	return err
}

func overdue(ctx context.Context, w modules.Wait, c modules.Change) error {
	if context.Cause(ctx) != context.DeadlineExceeded {
		return context.Cause(ctx)
	}
	if len(c.Diffs) == 0 {
		return fmt.Errorf("did not hold %d times in a row within %s", w.Consecutive, w.Timeout)
	}
	if w.Message != "" {
		return fmt.Errorf("%s (timed out after %s: %s)", w.Message, w.Timeout, sentence(c.Diffs))
	}
	return fmt.Errorf("timed out after %s: %s", w.Timeout, sentence(c.Diffs))
}

// watch hears of changes to the objects; nil, which never ticks, where there
// are none or the cluster cannot tell: the interval then has to do.
func (l *loop) watch(ctx context.Context, refs []modules.Ref) <-chan struct{} {
	if len(refs) == 0 {
		return nil
	}
	cluster, err := l.target.cluster(ctx)
	if err != nil {
		return nil
	}
	ticks, err := cluster.Watch(ctx, refs)
	if err != nil {
		return nil
	}
	return ticks
}

// pauseOrTick reports false when ctx ended first.
func pauseOrTick(ctx context.Context, d time.Duration, ticks <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case _, open := <-ticks:
		if !open {
			return sleep(ctx, d) == nil
		}
	}
	return true
}

// sentence puts diffs into one line of a message.
func sentence(diffs []modules.Diff) string {
	const most = 4
	var parts []string
	for i, d := range diffs {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(diffs)-most))
			break
		}
		switch {
		case d.Text:
			parts = append(parts, d.What+": content differs")
		case d.Want == "":
			parts = append(parts, fmt.Sprintf("%s: %s", d.What, d.Have))
		default:
			parts = append(parts, fmt.Sprintf("%s: is %s, want %s", d.What, d.Have, d.Want))
		}
	}
	return strings.Join(parts, "; ")
}
