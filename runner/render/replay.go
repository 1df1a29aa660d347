package render

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"runbook/runner"
	"runbook/runner/source"
)

// Planned is what is kept of a plan, for Replay.
type Planned struct {
	Playbook string
	Batches  []runner.BatchBegun // in order
	Outcomes []runner.Outcome    // the verdicts, in the order in which they were found
	Pending  []runner.Notification
	Rescues  int
	Recap    []runner.Recap // counted from the outcomes where nil
	At       time.Time
	Took     time.Duration
}

// Replay emits the events of a planning that is over, so that a saved plan is
// shown by what showed it first. What a debug task printed, and where a task
// was delegated to, is not kept in a plan.
func Replay(emit func(runner.Event), p Planned) {
	counts := counter{}
	emit(runner.RunStarted{Playbook: p.Playbook, Plan: true, Pending: p.Pending, At: p.At})
	for _, b := range seated(p) {
		emit(runner.PlayStarted{Name: b.Name, Hosts: b.Hosts, Batch: b.Batch, Batches: b.Batches, At: b.At})
		for _, g := range grouped(b.outcomes) {
			first := g[0]
			emit(runner.TaskStarted{Name: first.Name, Module: first.Module, Handler: first.Handler, Pos: position(first.Pos), At: first.At})
			for _, host := range byHost(g) {
				replayHost(emit, host, counts)
			}
		}
	}
	if p.Recap == nil {
		p.Recap = counts.recaps()
	}
	emit(runner.RunDone{Recap: p.Recap, Plan: true, Rescues: p.Rescues, Took: p.Took, At: p.At.Add(p.Took)})
}

type batch struct {
	runner.BatchBegun
	outcomes []runner.Outcome
}

// seated is the outcomes in their batches: a host is in one batch of a play. An
// outcome whose batch is not kept has one to itself.
func seated(p Planned) []*batch {
	type seat struct {
		play int
		host string
	}
	var all []*batch
	at := map[seat]*batch{}
	take := func(b runner.BatchBegun) {
		all = append(all, &batch{BatchBegun: b})
		for _, h := range b.Hosts {
			at[seat{b.Play, h}] = all[len(all)-1]
		}
	}
	for _, b := range p.Batches {
		take(b)
	}
	for _, o := range p.Outcomes {
		s := seat{o.Play, o.Host}
		if at[s] == nil {
			take(runner.BatchBegun{Play: o.Play, Name: strconv.Itoa(o.Play), Batch: 1, Batches: 1, Hosts: []string{o.Host}, At: o.At})
		}
		at[s].outcomes = append(at[s].outcomes, o)
	}
	slices.SortStableFunc(all, func(a, b *batch) int { return cmp.Compare(a.Play, b.Play) })
	return all
}

// byHost is a task's outcomes host by host, in the order of the first of each.
func byHost(g []runner.Outcome) [][]runner.Outcome {
	place := map[string]int{}
	var out [][]runner.Outcome
	for _, o := range g {
		at, known := place[o.Host]
		if !known {
			at = len(out)
			place[o.Host], out = at, append(out, nil)
		}
		out[at] = append(out[at], o)
	}
	return out
}

// replayHost emits a task's results on one host: those of the items of a loop,
// then the whole, which is the weightiest of them where it is not kept.
func replayHost(emit func(runner.Event), results []runner.Outcome, counts counter) {
	whole := results[0]
	looped := false
	for _, o := range results {
		looped = looped || o.Item > 0
	}
	for _, o := range results {
		if o.Item == 0 {
			whole = o
			break
		}
		if weight(o) > weight(whole) {
			whole = o
		}
	}
	for _, o := range results {
		if o.Item > 0 {
			e := finished(o, true)
			e.Item, e.Part = &o.Label, true
			emit(e)
		}
	}
	counts.add(whole)
	emit(finished(whole, looped))
}

func finished(o runner.Outcome, looped bool) runner.TaskDone {
	return runner.TaskDone{Task: o.Name, Host: o.Host, Pos: position(o.Pos), Handler: o.Handler, Looped: looped, Delegate: o.Delegate,
		Result: resultOf(o), Took: o.Took, At: o.At}
}

// weight orders outcomes by what one item's says of the whole loop.
func weight(o runner.Outcome) int {
	order := []runner.Status{runner.Skipped, runner.OK, runner.Unknown, runner.WouldWait, runner.WouldRun, runner.WouldChange,
		runner.Changed, runner.Failed, runner.Unreachable}
	n := 2 * slices.Index(order, o.Status)
	if o.Status == runner.Failed && !o.Ignored {
		n++
	}
	return n
}

// position reads file:line:col back.
func position(text string) source.Pos {
	parts := strings.Split(text, ":")
	if len(parts) < 3 {
		return source.Pos{}
	}
	last := len(parts) - 1
	line, errLine := strconv.Atoi(parts[last-1])
	col, errCol := strconv.Atoi(parts[last])
	if errLine != nil || errCol != nil {
		return source.Pos{}
	}
	return source.Pos{File: &source.File{Name: strings.Join(parts[:last-1], ":")}, Line: line, Col: col}
}

// counter is a plan's recap by host.
type counter map[string]*runner.Recap

func (c counter) add(o runner.Outcome) {
	r := c[o.Host]
	if r == nil {
		r = &runner.Recap{Host: o.Host}
		c[o.Host] = r
	}
	switch {
	case o.Status == runner.Failed && o.Rescued:
		r.Rescued++
	case o.Status == runner.Failed && o.Ignored:
		r.OK++
		r.Ignored++
	default:
		if n := count(r, o.Status); n != nil {
			*n++
		}
	}
}

// count is where a status is counted.
func count(r *runner.Recap, s runner.Status) *int {
	return map[runner.Status]*int{
		runner.OK: &r.OK, runner.Skipped: &r.Skipped, runner.Failed: &r.Failed, runner.Unreachable: &r.Unreachable,
		runner.WouldChange: &r.WouldChange, runner.WouldRun: &r.WouldRun, runner.WouldWait: &r.WouldWait, runner.Unknown: &r.Unknown,
	}[s]
}

func (c counter) recaps() []runner.Recap {
	all := make([]runner.Recap, 0, len(c))
	for _, r := range c {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b runner.Recap) int { return cmp.Compare(a.Host, b.Host) })
	return all
}
