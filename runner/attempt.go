package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// attempt resolves the arguments, goes through the loop once, and judges the
// outcome by changed_when and failed_when.
func (x *hostTask) attempt(ctx context.Context, s *scope) done {
	m, err := x.task.Module(s)
	if err != nil {
		return x.failed(err)
	}
	if v := modules.Verbosity(m); v > x.play.run.Verbosity {
		return x.skipped(fmt.Sprintf("verbosity %d is wanted", v))
	}
	t, err := x.target(s)
	if err != nil {
		return x.failed(err)
	}
	l := &loop{plan: x.play.run.Plan, target: t, waiting: func(diffs []modules.Diff) {
		x.play.run.emit(TaskWaiting{Task: x.title(s), Host: x.host.name, For: diffs, At: time.Now()})
	}}
	o, err := l.converge(ctx, m)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	d := x.result(o, err)
	if d.result.Status == Unreachable || d.result.Status == Unknown {
		return d
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
	switch {
	case err == nil && o.vars["skipped"] == true:
		r.Status, r.Msg = Skipped, fmt.Sprint(o.vars["msg"])
	case err == nil:
	case isUnreachable(err):
		r.Status, r.Msg = Unreachable, err.Error()
		vars["unreachable"], vars["msg"] = true, r.Msg
	case x.play.run.Plan && x.pending():
		return x.unknown("an earlier task would change what this one looks at (now: " + err.Error() + ")")
	default:
		r.Status, r.Msg = Failed, err.Error()
		if _, ok := vars["msg"]; !ok || x.task.Def.Name != "assert" {
			vars["msg"] = r.Msg
		}
	}
	changed := slices.Contains([]Status{Changed, WouldChange, WouldRun}, r.Status)
	vars["changed"], vars["failed"] = changed, r.Status == Failed
	return done{result: r, value: x.known(r, vars)}
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
	return jinja.FromGo(vars)
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
			return x.failed(fmt.Errorf("changed_when: %w", err))
		}
		if v.Known {
			d = d.changed(v.Holds)
		}
	}
	if x.task.FailedWhen != nil {
		v, err := x.task.FailedWhen.Eval(x.registered(s, d.value))
		if err != nil {
			return x.failed(fmt.Errorf("failed_when: %w", err))
		}
		if v.Known {
			d = d.failedWhen(v.Holds)
		}
	}
	return d
}

func (d done) changed(yes bool) done {
	switch {
	case d.result.Status == OK && yes:
		d.result.Status = Changed
	case d.result.Status == Changed && !yes:
		d.result.Status = OK
	}
	d.value = with(d.value, "changed", jinja.FromGo(yes))
	return d
}

func (d done) failedWhen(yes bool) done {
	switch {
	case yes && d.result.Status != Failed:
		d.result.Status = Failed
		d.result.Err = errors.New("failed_when holds")
		d.result.Msg = "failed_when holds"
	case !yes && d.result.Status == Failed:
		d.result.Status, d.result.Err = OK, nil
		if slices.ContainsFunc(d.result.Change.Steps, acts) {
			d.result.Status = Changed
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

func (x *hostTask) unknown(reason string) done {
	return done{result: Result{Status: Unknown, Msg: reason}, value: jinja.Unknown{Reason: reason}}
}

func (x *hostTask) skipped(reason string) done {
	vars := map[string]any{"changed": false, "skipped": true, "skip_reason": reason}
	return done{result: Result{Status: Skipped, Msg: reason, Vars: vars}, value: jinja.FromGo(vars)}
}

// ignorable marks a failure that ignore_errors lets pass.
func (x *hostTask) ignorable(s *scope, d done) done {
	if d.result.Status != Failed {
		return d
	}
	ignore, err := x.task.IgnoreErrors.On(s)
	if err != nil {
		return x.failed(err)
	}
	d.result.Ignored = ignore
	return d
}

// sum is the result of a loop: changed if an item was, failed if one is,
// skipped only if all are.
func (x *hostTask) sum(parts []done, items []jinja.Value) done {
	name := x.task.LoopControl.Var
	if name == "" {
		name = "item"
	}
	total := Result{Status: Skipped, Msg: "all items skipped"}
	results := make([]any, len(parts))
	facts := map[string]any{}
	for i, d := range parts {
		if found, ok := d.result.Vars["ansible_facts"].(map[string]any); ok {
			maps.Copy(facts, found)
		}
		results[i] = with(with(d.value, name, items[i]), "ansible_loop_var", jinja.FromGo(name))
		if rank(d.result) > rank(total) {
			total.Status, total.Err, total.Ignored = d.result.Status, d.result.Err, d.result.Ignored
			total.Msg = d.result.Msg
		}
		total.Change.Diffs = append(total.Change.Diffs, d.result.Change.Diffs...)
		total.Change.Steps = append(total.Change.Steps, d.result.Change.Steps...)
		total.Change.Notes = append(total.Change.Notes, d.result.Change.Notes...)
	}
	vars := map[string]any{
		"results": results, "changed": slices.ContainsFunc(parts, func(d done) bool {
			return slices.Contains([]Status{Changed, WouldChange, WouldRun}, d.result.Status)
		}),
		"failed": total.Status == Failed, "msg": loopMessage(total.Status),
	}
	if total.Status == Skipped {
		vars["skipped"] = true
	}
	if len(facts) > 0 {
		total.Vars = map[string]any{"ansible_facts": facts}
	}
	return done{result: total, value: jinja.FromGo(vars)}
}

func loopMessage(s Status) string {
	switch s {
	case Failed:
		return "One or more items failed"
	case Skipped:
		return "All items skipped"
	}
	return "All items completed"
}

// rank orders statuses by what one item's says of the whole loop.
func rank(r Result) int {
	order := []Status{Skipped, OK, Unknown, WouldWait, WouldRun, WouldChange, Changed, Failed, Unreachable}
	return slices.Index(order, r.Status)
}
