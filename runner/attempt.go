package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// attempt resolves the arguments, goes through the loop once, and judges the
// outcome by changed_when and failed_when. The number of the attempt is 0 for a
// task that has only one.
func (x *hostTask) attempt(ctx context.Context, w *work, number int) done {
	s := w.scope
	m, err := x.task.Module(s)
	if err != nil {
		return x.failed(err)
	}
	if v := modules.Verbosity(m); v > x.play.run.Verbosity {
		return tooQuiet(v)
	}
	t, err := w.aim()
	if err != nil {
		return x.failed(err)
	}
	only, err := x.onlyLooks(s)
	if err != nil {
		return x.failed(err)
	}
	l := &loop{plan: only, target: t, work: w, waiting: func(diffs []modules.Diff) {
		if w.silent {
			diffs = []modules.Diff{{What: censored}}
		}
		x.play.run.emit(TaskWaiting{Task: x.title(s), Host: x.host.name, For: diffs, At: time.Now()})
	}}
	o, err := l.converge(ctx, m)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	if len(o.output) > 0 {
		w.output = o.output[len(o.output)-1]
	}
	d := x.result(o, err)
	switch {
	case only && x.task.CheckMode != nil:
		d = onlyLooked(d, x.play.run.Plan)
	case only:
		x.foretell(t, w, d.result)
	}
	if d.drifted {
		return d
	}
	if d.result.Status == Unreachable || d.result.Status == Unknown {
		return d
	}
	if number > 0 {
		d.value = with(d.value, "attempts", jinja.FromGo(number))
	}
	return x.judge(s, d)
}

// result turns the loop's outcome into what people see and register gets.
func (x *hostTask) result(o outcome, err error) done {
	vars := map[string]any{}
	for k, v := range o.vars {
		vars[k] = v
	}
	printed(vars, o)
	r := Result{Status: o.status, Change: o.change, Vars: vars, Err: err, Shown: x.task.Def.Shows}
	var unforeseen modules.Unforeseen
	var drift *DriftError
	switch {
	case err == nil && o.vars["skipped"] == true:
		r.Status, r.Msg = Skipped, fmt.Sprint(o.vars["msg"])
	case err == nil:
	case errors.As(err, &unforeseen):
		d := x.unknown(unforeseen.Reason)
		d.result.Change = o.change // as it would be now
		return d
	case isUnreachable(err):
		r.Status, r.Msg = Unreachable, err.Error()
		vars["unreachable"], vars["msg"] = true, r.Msg
	case x.play.run.Plan && x.pending():
		return x.unknown("an earlier task would change what this one looks at (now: " + err.Error() + ")")
	default:
		r.Status, r.Msg = Failed, err.Error()
		if _, ok := vars["msg"]; !ok || len(o.output) == 0 && x.task.Def.Name != "assert" {
			vars["msg"] = r.Msg
		}
	}
	switch r.Status {
	case Changed, WouldChange, WouldRun:
		r.Changed = true
	case Failed, Unreachable:
		r.Changed = o.status == Changed
	}
	vars["changed"], vars["failed"] = r.Changed, r.Status == Failed
	value := x.known(r, vars)
	r.Vars, _ = replaced(vars, nil).(map[string]any)
	return done{result: r, value: value, drifted: errors.As(err, &drift)}
}

// onlyLooks says whether the task stops before its steps: in a plan, and where
// check_mode asks for it. With check_mode off it is done in a plan too.
func (x *hostTask) onlyLooks(s *scope) (bool, error) {
	if x.task.CheckMode == nil {
		return x.play.run.Plan, nil
	}
	on, err := x.task.CheckMode.On(s)
	if err != nil {
		err = fmt.Errorf("check_mode: %w", err)
	}
	return on, err
}

// onlyLooked is the result of a task that check_mode keeps from changing
// anything, as Ansible reports it: a change that was not made is changed, and a
// command that was not run is skipped. A plan knows it as well as an apply, and
// counts no change: there will be none.
func onlyLooked(d done, plan bool) done {
	const why = "check_mode: nothing was done"
	vars := d.result.Vars
	switch d.result.Status {
	case WouldChange:
		d.result.Status, d.result.Changed = Changed, true
		if plan {
			d.result.Status, d.result.Changed = OK, false
		}
	case WouldRun:
		d.result.Status, d.result.Changed = Skipped, false
		vars["skipped"], vars["changed"] = true, false
	case WouldWait:
		d.result.Status = OK
	default:
		return d
	}
	d.result.Msg, vars["msg"] = why, why
	d.value, d.only = jinja.FromGo(vars), true
	return d
}

// known is the registered value. In a plan, what a task that is yet to be done
// will say is unknown, never a default.
func (x *hostTask) known(r Result, vars map[string]any) jinja.Value {
	switch r.Status {
	case WouldChange, WouldRun, WouldWait:
		reason := fmt.Sprintf("the result of %q", x.task.Title())
		if opaqueResult(r.Change) {
			vars = map[string]any{"changed": vars["changed"]}
		}
		delete(vars, "failed")
		return partial(vars, reason)
	}
	return registered(vars)
}

func opaqueResult(c modules.Change) bool { return slices.ContainsFunc(c.Steps, opaque) }

// printed puts what an opaque step printed where Ansible's register has it.
func printed(vars map[string]any, o outcome) {
	if len(o.output) == 0 {
		return
	}
	out := o.output[len(o.output)-1]
	stdout, stderr := out.Stdout, out.Stderr
	if !keepsEnds(o.change.Steps) {
		stdout, stderr = strings.TrimRight(stdout, "\r\n"), strings.TrimRight(stderr, "\r\n")
	}
	vars["msg"] = ""
	if out.Code != 0 {
		vars["msg"] = "non-zero return code"
	}
	vars["rc"], vars["stdout"], vars["stderr"] = out.Code, stdout, stderr
	vars["stdout_lines"], vars["stderr_lines"] = lines(stdout), lines(stderr)
}

// keepsEnds says whether a step wants its output registered with the empty
// lines at the end.
func keepsEnds(steps []modules.Step) bool {
	return slices.ContainsFunc(steps, func(s modules.Step) bool {
		r, ok := s.(modules.Run)
		return ok && r.KeepEnds
	})
}

func lines(text string) []any {
	out := []any{}
	if text == "" {
		return out
	}
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		out = append(out, strings.TrimSuffix(l, "\r"))
	}
	return out
}

// pending says whether an earlier task of a plan would change what this one
// sees. What the controller looks at (a cluster, a URL) hangs on every host.
func (x *hostTask) pending() bool {
	if x.host.pending {
		return true
	}
	if x.host.name != "localhost" {
		return false
	}
	for _, h := range x.play.run.hosts {
		if h.pending {
			return true
		}
	}
	return false
}

// judge lets changed_when and failed_when overrule the module.
func (x *hostTask) judge(s *scope, d done) done {
	if x.task.ChangedWhen != nil {
		v, err := x.task.ChangedWhen.Eval(x.registered(s, d.value))
		if err != nil {
			return x.spoiled(d, fmt.Errorf("changed_when: %w", err))
		}
		d = d.changedWhen(v, x.play.run.Plan)
	}
	if x.task.FailedWhen != nil {
		v, err := x.task.FailedWhen.Eval(x.registered(s, d.value))
		if err != nil {
			return x.spoiled(d, fmt.Errorf("failed_when: %w", err))
		}
		if v.Known {
			d = d.failedWhen(v.Holds, x.play.run.Plan)
		}
	}
	return d
}

// changedWhen lets the user say whether the task changes anything. A plan still
// shows what would be run: nobody has seen it run yet.
func (d done) changedWhen(v playbooks.Verdict, plan bool) done {
	if !v.Known {
		d.unsure = true
		d.value = with(d.value, "changed", jinja.Unknown{Reason: v.Reason})
		return d
	}
	switch {
	case d.result.Status == OK && v.Holds:
		d.result.Status = changedIn(plan)
	case d.result.Status == Changed && !v.Holds:
		d.result.Status = OK
	}
	d.result.Changed = v.Holds
	d.value = with(d.value, "changed", jinja.FromGo(v.Holds))
	return d
}

// changedIn is the status of a change: done, or in a plan yet to be done.
func changedIn(plan bool) Status {
	if plan {
		return WouldChange
	}
	return Changed
}

func (d done) failedWhen(yes, plan bool) done {
	switch {
	case yes && d.result.Status != Failed:
		d.result.Status = Failed
		d.result.Err = errors.New("failed_when holds")
		d.result.Msg = "failed_when holds"
	case !yes && d.result.Status == Failed:
		d.result.Status, d.result.Err, d.result.Msg = OK, nil, ""
		if d.result.Changed {
			d.result.Status = changedIn(plan)
		}
	}
	d.value = with(d.value, "failed", jinja.FromGo(yes))
	d.value = with(d.value, "failed_when_result", jinja.FromGo(yes))
	return d
}

func (x *hostTask) failed(err error) done {
	var u *playbooks.UnknownError
	if errors.As(err, &u) && x.play.run.Plan {
		return x.unknown(u.Reason)
	}
	vars := map[string]any{"changed": false, "failed": true, "msg": err.Error()}
	return done{result: Result{Status: Failed, Msg: err.Error(), Err: err, Vars: vars}, value: jinja.FromGo(vars)}
}

// spoiled is a result of which the user's conditions cannot be told: failed, with
// what was changed before.
func (x *hostTask) spoiled(d done, err error) done {
	f := x.failed(err)
	if f.result.Status == Failed && d.result.Changed {
		f.result.Changed, f.result.Change = true, d.result.Change
		f.value = with(f.value, "changed", jinja.FromGo(true))
	}
	return f
}

func (x *hostTask) unknown(reason string) done {
	return done{result: Result{Status: Unknown, Msg: reason}, value: jinja.Unknown{Reason: reason}}
}

func (x *hostTask) skipped(reason string) done {
	vars := map[string]any{"changed": false, "skipped": true, "skip_reason": reason}
	return done{result: Result{Status: Skipped, Msg: reason, Vars: vars}, value: jinja.FromGo(vars)}
}

// tooQuiet is a message for those who ask for more of them.
func tooQuiet(wanted int) done {
	vars := map[string]any{"changed": false, "failed": false, "skipped": true, "skipped_reason": "Verbosity threshold not met."}
	msg := fmt.Sprintf("only with -%s", strings.Repeat("v", wanted))
	return done{result: Result{Status: Skipped, Msg: msg, Vars: vars}, value: jinja.FromGo(vars)}
}

// unmet is a task whose condition does not hold. Playbooks compare what they
// registered with Ansible's words, so the condition itself is for people only.
func (x *hostTask) unmet(condition string) done {
	d := x.skipped("Conditional result was False")
	d.result.Msg += ": " + condition
	return d
}

// ignorable marks a failure that ignore_errors lets pass.
func (x *hostTask) ignorable(s *scope, d done) done {
	if d.result.Status != Failed {
		return d
	}
	ignore, err := x.task.IgnoreErrors.On(s)
	if err != nil {
		return x.spoiled(d, err)
	}
	d.result.Ignored = ignore
	return d
}
