package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

const (
	defaultRetries = 3
	defaultDelay   = 5 // seconds between two attempts
	censored       = "the output has been hidden because no_log is set"
	censoredLabel  = "(censored)"
)

// hostTask is one task at work on one host.
type hostTask struct {
	play    *play
	task    *playbooks.Task
	host    *host
	key     Key
	unsure  bool   // a handler in a plan that nobody is sure to have notified
	guarded bool   // a rescue stands by
	handler bool   // it was notified
	since   int    // what is recalled must have come about later
	boot    string // of the machine, once it is locked
}

// run is the whole task: once, or once for each item of its loop.
func (x *hostTask) run(ctx context.Context) done {
	if x.task.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, x.task.Timeout,
			fmt.Errorf("the task's timeout of %s is over", x.task.Timeout))
		defer cancel()
	}
	started := time.Now()
	s := x.play.scope(x.host, x.task.Layers)
	if x.play.run.halted(ctx) {
		return done{stopped: true}
	}
	if x.task.Loop == nil {
		d := x.once(ctx, x.work(s, 0, ""))
		x.emit(s, d, nil, false, started)
		return d
	}
	return x.loop(ctx, s, started)
}

// when says whether the task is to run here.
func (x *hostTask) when(s *scope) (playbooks.Verdict, error) {
	v := playbooks.Verdict{Holds: true, Known: true}
	for _, c := range x.task.When {
		next, err := c.Eval(s)
		if err != nil {
			return next, err
		}
		if next.Known && !next.Holds {
			return next, nil
		}
		if !next.Known {
			v = next
		}
	}
	return v, nil
}

// once is the task, or one item of its loop: recalled, or done and written down.
func (x *hostTask) once(ctx context.Context, w *work) done {
	w.calls, _ = x.play.calls(x.task, w.scope) // a name that hangs on the result is known after it
	var d done
	known := false
	if x.play.run.Past != nil {
		d, known = w.recall()
	}
	if !known {
		d = x.now(ctx, w)
		d.at = lately
	}
	if d.stopped {
		return d
	}
	var err error
	if d.calls, err = x.notifies(w, d); err != nil {
		return done{err: err}
	}
	if w.silent {
		x.play.run.secrets.learn(d.value)
	}
	if known {
		d.calls = w.stillDue(d.calls)
	} else {
		w.keep(ctx, d)
	}
	return d
}

// notifies is the handlers that a result notifies: of a task that changed
// something, would, or may. They stay due where it failed after the change, as
// the next run finds nothing to change any more. A command is run again then.
func (x *hostTask) notifies(w *work, d done) ([]call, error) {
	how := mustRun
	switch {
	case d.result.Status == Unknown, d.unsure:
		how = mayRun
	case d.result.Status == Failed && opaqueResult(d.result.Change), !d.result.Changed:
		return nil, nil
	}
	calls, err := x.play.calls(x.task, x.registered(w.scope, d.value))
	for i := range calls {
		calls[i].how = how
	}
	return calls, err
}

// now does the work: its condition, and its attempts.
func (x *hostTask) now(ctx context.Context, w *work) done {
	s := w.scope
	v, err := x.when(s)
	switch {
	case err != nil:
		return x.ignorable(s, x.failed(fmt.Errorf("when: %w", err)))
	case !v.Known:
		return x.maybe(ctx, w, v.Reason)
	case !v.Holds:
		return x.unmet(v.Reason)
	case x.unsure:
		return x.maybe(ctx, w, "whether the handler is notified")
	}
	d := x.attempts(ctx, w)
	if d.drifted || d.stopped {
		return d
	}
	return x.ignorable(s, d)
}

// maybe is the verdict on a task of which a plan cannot know whether it runs,
// with what it would do now if it did.
func (x *hostTask) maybe(ctx context.Context, w *work, reason string) done {
	d := x.unknown(reason)
	w.doubt = reason
	if only, err := x.onlyLooks(w.scope); err != nil || !only {
		return d // looking would be doing
	}
	if now := x.attempt(ctx, w, 0).result; now.Err == nil {
		d.result.Change = now.Change
	}
	return d
}

// attempts runs the task until its `until` holds, or retries are over.
func (x *hostTask) attempts(ctx context.Context, w *work) done {
	s := w.scope
	retries, delay, err := x.patience(s)
	if err != nil {
		return x.failed(err)
	}
	for attempt := 1; ; attempt++ {
		number := attempt
		if retries == 0 {
			number = 0
		}
		d := x.attempt(ctx, w, number)
		if d.result.Status == Unreachable || ctx.Err() != nil || d.drifted || w.unsettled {
			return d // until would speak of a result that there is not
		}
		enough, err := x.enough(s, d)
		if err != nil {
			return x.spoiled(d, fmt.Errorf("until: %w", err))
		}
		if enough || x.play.run.Plan {
			return d
		}
		if attempt > retries {
			return x.exhausted(d, retries)
		}
		if x.play.run.halted(ctx) {
			return done{stopped: true}
		}
		w.changed = w.changed || d.result.Changed
		x.play.run.emit(TaskRetried{Task: x.title(s), Host: x.host.name, Left: retries - attempt + 1, At: time.Now()})
		if err := sleep(ctx, delay); err != nil {
			return d
		}
	}
}

// exhausted is the last attempt's result as a failure, unless failed_when has
// said already that it is none.
func (x *hostTask) exhausted(d done, retries int) done {
	if d.result.Status != Failed && x.task.FailedWhen == nil {
		d.result.Status = Failed
		d.result.Msg = fmt.Sprintf("until did not hold after %d retries: %s", retries, d.result.Msg)
		d.result.Err = errors.New("until did not hold")
	}
	d.value = with(with(d.value, "attempts", jinja.FromGo(retries)), "failed", jinja.FromGo(true))
	return d
}

// patience is how many more attempts there may be, and the time between them.
func (x *hostTask) patience(s *scope) (retries int, delay time.Duration, err error) {
	seconds := defaultDelay
	if x.task.Retries != nil {
		if retries, err = x.task.Retries.Int(s); err != nil {
			return 0, 0, err
		}
	} else if x.task.Until != nil {
		retries = defaultRetries
	}
	if x.task.Delay != nil {
		if seconds, err = x.task.Delay.Int(s); err != nil {
			return 0, 0, err
		}
	}
	return retries, time.Duration(seconds) * time.Second, nil
}

// enough says whether no other attempt is needed. Without `until` that is
// success.
func (x *hostTask) enough(s *scope, d done) (bool, error) {
	if x.task.Until == nil {
		return d.result.Status != Failed || x.task.Retries == nil, nil
	}
	v, err := x.task.Until.Eval(x.registered(s, d.value))
	return v.Holds, err
}

// registered is the scope in which the task's own result has its name.
func (x *hostTask) registered(s *scope, value jinja.Value) *scope {
	if x.task.Register == "" {
		return s
	}
	return s.with(playbooks.Layer{x.task.Register: value})
}

// title is the task's name as people see it.
func (x *hostTask) title(s *scope) string {
	if name, err := x.task.Name.Render(s); err == nil && name != "" {
		return name
	}
	return x.task.Def.Name
}

// silent says whether nothing of the task may be shown. Where no_log itself is in
// error, nothing is.
func (x *hostTask) silent(s *scope) bool {
	hide, err := x.task.NoLog.On(s)
	return hide || err != nil
}

// delegate is the host that the task runs on, where that is another.
func (x *hostTask) delegate(s *scope) string {
	if name, err := x.task.DelegateTo.Render(s); err == nil && name != x.host.name {
		return name
	}
	return ""
}

func (x *hostTask) emit(s *scope, d done, item *string, part bool, started time.Time) {
	if d.stopped || d.err != nil {
		return
	}
	r := d.result
	if x.silent(s) {
		r = Result{Status: r.Status, Ignored: r.Ignored, Msg: censored}
		if item != nil {
			label := censoredLabel
			item = &label
		}
	}
	now := time.Now()
	e := TaskDone{Task: x.title(s), Host: x.host.name, Pos: x.task.Pos, Item: item, Part: part, Looped: x.task.Loop != nil,
		Handler: x.handler, Recalled: d.recalled, Result: r, Took: now.Sub(started), At: now}
	e.Delegate = x.delegate(s)
	x.play.run.emit(e)
}
