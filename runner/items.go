package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// loop is the task once for each item, and what comes of them all.
func (x *hostTask) loop(ctx context.Context, s *scope, started time.Time) done {
	items, err := x.items(s)
	var d done
	switch {
	case err != nil:
		d = x.listless(s, err)
	case len(items) == 0:
		d = noItems()
	default:
		parts := x.each(ctx, s, items)
		if last := parts[len(parts)-1]; last.stopped || last.err != nil {
			return last
		}
		d = x.sum(parts, items)
		if ctx.Err() != nil && len(parts) < len(items) && rank(d.result) < rank(Result{Status: Failed}) {
			if isInterruption(context.Cause(ctx)) {
				return done{stopped: true} // the rest is for whoever resumes
			}
			d = x.ignorable(s, d.cutShort(fmt.Errorf("after %d of %d items: %w", len(parts), len(items), context.Cause(ctx))))
		}
	}
	whole := x.work(s, 0, "")
	whole.started = started
	if !d.recalled || !whole.known() {
		whole.keep(ctx, done{result: d.result, drifted: d.drifted})
	}
	x.emit(s, d, nil, false, started)
	return d
}

// numbers are the items' numbers in the journal.
func (x *hostTask) numbers(s *scope, items []jinja.Value) []int {
	labels := make([]string, len(items))
	for i, item := range items {
		is := s.with(x.itemVars(item, i))
		labels[i] = x.keptLabel(is, x.label(is, item))
	}
	return x.play.run.Past.numbers(x.key, labels)
}

// keptLabel is an item's label as the journal has it.
func (x *hostTask) keptLabel(s *scope, label string) string {
	if x.silent(s) {
		return censoredLabel
	}
	return x.play.run.secrets.text(label)
}

// cutShort is a loop of which not all items were begun: failed, with what the
// others did.
func (d done) cutShort(err error) done {
	d.result.Status, d.result.Err, d.result.Msg = Failed, err, err.Error()
	d.value = with(with(d.value, "failed", jinja.FromGo(true)), "msg", jinja.FromGo(d.result.Msg))
	return d
}

// listless is a task whose list cannot be had: failed, unless its condition does
// not hold without an item already.
func (x *hostTask) listless(s *scope, err error) done {
	if v, whenErr := x.when(s); whenErr == nil && v.Known && !v.Holds {
		return x.unmet(v.Reason)
	}
	return x.ignorable(s, x.failed(err))
}

// each runs the items in order. An item sees the facts that those before it
// have set. One that fails does not stop the rest; a lost host does.
func (x *hostTask) each(ctx context.Context, s *scope, items []jinja.Value) []done {
	var parts []done
	facts := playbooks.Layer{}
	numbers := x.numbers(s, items)
	for i, item := range items {
		if i > 0 && x.play.run.halted(ctx) && ctx.Err() == nil {
			return append(parts, done{stopped: true}) // the rest is for whoever resumes
		}
		if i > 0 && !parts[i-1].recalled && sleep(ctx, x.task.LoopControl.Pause) != nil {
			break
		}
		at := time.Now()
		is := s.with(facts).with(x.itemVars(item, i))
		label := x.label(is, item)
		d := x.once(ctx, x.work(is, numbers[i], label))
		parts = append(parts, d)
		x.emit(is, d, &label, true, at)
		if ctx.Err() != nil || d.result.Status == Unreachable || d.drifted || d.stopped || d.err != nil {
			break
		}
		facts = x.learned(facts, d)
	}
	return parts
}

// learned is what the items have set so far; -e is never overruled.
func (x *hostTask) learned(before playbooks.Layer, d done) playbooks.Layer {
	after := maps.Clone(before)
	learn(after, factsIn(d.result))
	for name := range x.play.run.extra {
		delete(after, name)
	}
	return after
}

// noItems is the result of a loop over an empty list.
func noItems() done {
	const reason = "No items in the list"
	vars := map[string]any{"changed": false, "skipped": true, "skipped_reason": reason, "results": []any{}}
	return done{result: Result{Status: Skipped, Msg: reason, Vars: vars}, value: jinja.FromGo(vars)}
}

func (x *hostTask) items(s *scope) ([]jinja.Value, error) {
	v, err := x.task.Loop.Resolve(s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(jinja.Unknown); ok {
		return nil, &playbooks.UnknownError{Reason: u.Reason}
	}
	list, ok := itemsOf(v)
	if !ok {
		return nil, fmt.Errorf("%s: loop wants a list, got %s", x.task.Loop.Pos, jinja.Text(v))
	}
	return list, nil
}

func (x *hostTask) itemVars(item jinja.Value, i int) playbooks.Layer {
	c := x.task.LoopControl
	if c.Var == "" {
		c.Var = "item"
	}
	vars := playbooks.Layer{c.Var: item, "ansible_loop_var": jinja.FromGo(c.Var)}
	if c.Index != "" {
		vars[c.Index], vars["ansible_index_var"] = jinja.FromGo(i), jinja.FromGo(c.Index)
	}
	return vars
}

func (x *hostTask) label(s *scope, item jinja.Value) string {
	if x.task.LoopControl.Label != nil {
		if text, err := x.task.LoopControl.Label.Render(s); err == nil {
			return text
		}
	}
	return jinja.Text(item)
}

// sum is the result of a loop: changed if an item was, failed if one is,
// skipped only if all are.
func (x *hostTask) sum(parts []done, items []jinja.Value) done {
	total := Result{Status: Skipped, Msg: loopMessage(Skipped)}
	results := make([]any, len(parts))
	facts := map[string]any{}
	whole := done{recalled: true}
	for i, d := range parts {
		maps.Copy(facts, factsIn(d.result))
		if d.result.Status != Failed {
			whole.calls = append(whole.calls, d.calls...)
		}
		whole.at = max(whole.at, d.at)
		whole.recalled, whole.drifted = whole.recalled && d.recalled, whole.drifted || d.drifted
		results[i] = x.labelled(d.value, items[i], i)
		if rank(d.result) > rank(total) {
			total.Status, total.Err, total.Ignored = d.result.Status, d.result.Err, d.result.Ignored
			total.Msg = d.result.Msg
		}
		total.Changed = total.Changed || d.result.Changed
		whole.unsure = whole.unsure || d.unsure
		total.Change.Diffs = append(total.Change.Diffs, d.result.Change.Diffs...)
		total.Change.Steps = append(total.Change.Steps, d.result.Change.Steps...)
		total.Change.Notes = append(total.Change.Notes, d.result.Change.Notes...)
	}
	if len(facts) > 0 {
		total.Vars = map[string]any{"ansible_facts": facts}
	}
	whole.result, whole.value = total, x.loopValue(total, results, whole.unsure)
	return whole
}

// labelled is one item's result with the item in it.
func (x *hostTask) labelled(v jinja.Value, item jinja.Value, i int) jinja.Value {
	vars := x.itemVars(item, i)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		v = with(v, name, vars[name])
	}
	return v
}

// loopValue is what register gets of a loop. As in Ansible, "failed" is there
// only when an item failed. In a plan, what the items that are yet to be done
// will say of the whole is unknown.
func (x *hostTask) loopValue(total Result, results []any, unsure bool) jinja.Value {
	switch total.Status {
	case WouldChange, WouldRun, WouldWait, Unknown:
		known := map[string]any{"results": results}
		if total.Changed && !unsure {
			known["changed"] = true
		}
		return partial(known, fmt.Sprintf("the result of %q", x.task.Title()))
	}
	vars := map[string]any{"results": results, "changed": total.Changed, "skipped": total.Status == Skipped,
		"msg": loopMessage(total.Status)}
	if total.Status == Failed {
		vars["failed"] = true
	}
	return jinja.FromGo(vars)
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

// rank orders statuses by what one item's says of the whole loop. A failure that
// is not ignored weighs more than one that is.
func rank(r Result) int {
	order := []Status{Skipped, OK, Unknown, WouldWait, WouldRun, WouldChange, Changed, Failed, Unreachable}
	n := 2 * slices.Index(order, r.Status)
	if r.Status == Failed && !r.Ignored {
		n++
	}
	return n
}
