package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"runbook/runner"
)

// Collector is a runner.Journal that keeps the verdicts of a plan in memory. The
// zero Collector is ready. It is safe for concurrent use.
type Collector struct {
	mu       sync.Mutex
	batches  []Batch
	outcomes []runner.Outcome
}

// Put keeps a verdict.
func (c *Collector) Put(_ context.Context, r runner.Record, _ bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r := r.(type) {
	case runner.BatchBegun:
		c.batches = append(c.batches, Batch{Play: r.Play, Name: r.Name, Batch: r.Batch, Batches: r.Batches, Hosts: r.Hosts})
	case runner.Outcome:
		// What was registered may be a secret, and whoever applies finds it anew.
		r.Value, r.Facts, r.Sealed, r.Stdout, r.Stderr = nil, nil, "", "", ""
		c.outcomes = append(c.outcomes, r)
	}
	return nil
}

// Plan makes a plan of what was collected. Of the header it wants Playbook, By
// and Settings; it sets the rest, and Created where that is zero. Pending are the
// handlers of earlier runs that the plan includes.
func (c *Collector) Plan(h Header, in Inputs, sum runner.Summary, pending []runner.Notification, key Key) (*Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	sealed, err := key.Seal(data)
	if err != nil {
		return nil, fmt.Errorf("seal the plan's inputs: %w", err)
	}
	if h.Created.IsZero() {
		h.Created = time.Now()
	}
	h.Version, h.Key = in.Version, key.ID()
	h.Batches, h.Hosts = slices.Clone(c.batches), hostsOf(c.batches)
	p := &Plan{
		Format: Format, Header: h, Digests: in.Digests(), Sealed: sealed,
		Work: ordered(c.outcomes, h.Hosts), Pending: pending,
	}
	p.Summary = count(p)
	p.Missing = missing(p.Work, sum)
	p.Complete = len(p.Missing) == 0
	return p, nil
}

// hostsOf lists the hosts of all batches, each once.
func hostsOf(batches []Batch) []string {
	hosts := []string{}
	seen := map[string]bool{}
	for _, b := range batches {
		for _, host := range b.Hosts {
			if !seen[host] {
				seen[host] = true
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// task is a runner.Key without host and item.
type task struct {
	play  int
	task  string
	visit int
}

func taskOf(k runner.Key) task { return task{k.Play, k.Task, k.Visit} }

// ordered is the work in the order of the tasks, of a task in that of the hosts:
// the same whichever host answered first.
func ordered(work []runner.Outcome, hosts []string) []runner.Outcome {
	tasks, places := map[task]int{}, map[string]int{}
	for _, o := range work {
		if _, known := tasks[taskOf(o.Key)]; !known {
			tasks[taskOf(o.Key)] = len(tasks)
		}
	}
	for i, host := range hosts {
		places[host] = i
	}
	sorted := append([]runner.Outcome{}, work...)
	slices.SortStableFunc(sorted, func(a, b runner.Outcome) int {
		return cmp.Or(
			cmp.Compare(tasks[taskOf(a.Key)], tasks[taskOf(b.Key)]),
			cmp.Compare(places[a.Host], places[b.Host]),
			cmp.Compare(a.Host, b.Host),
			cmp.Compare(a.Item, b.Item),
		)
	})
	return sorted
}

// missing says why the work is not all there is to do.
func missing(work []runner.Outcome, sum runner.Summary) []string {
	var why []string
	for _, o := range work {
		switch {
		case o.Status == runner.Unreachable:
			why = append(why, o.Host+" was unreachable")
		case o.Status == runner.Failed && !o.Ignored && !o.Rescued:
			why = append(why, fmt.Sprintf("the task %q failed on %s", o.Name, o.Host))
		}
	}
	slices.Sort(why)
	why = slices.Compact(why)
	switch {
	case sum.Interrupted:
		why = append(why, "the planning was interrupted")
	case len(why) > 0:
	case sum.Unreachable:
		why = append(why, "a host was unreachable")
	case sum.Failed:
		why = append(why, "a host failed")
	}
	return why
}

// worst ranks the verdicts: that of a loop is the highest of its items.
var worst = []runner.Status{
	runner.Skipped, runner.OK, runner.WouldWait, runner.Unknown, runner.WouldRun, runner.WouldChange, runner.Changed, runner.Failed, runner.Unreachable,
}

// count counts the verdicts of a plan.
func count(p *Plan) Counts {
	c := Counts{Hosts: len(p.Header.Hosts), Batches: len(p.Header.Batches)}
	verdicts := map[runner.Key]int{}
	for _, o := range p.Work {
		whole := o.Key
		whole.Item = 0
		verdicts[whole] = max(verdicts[whole], 1+slices.Index(worst, o.Status))
		for _, called := range o.Notified {
			if !slices.Contains(c.Handlers, called.Name) {
				c.Handlers = append(c.Handlers, called.Name)
			}
		}
	}
	for _, n := range p.Pending {
		if !slices.Contains(c.Handlers, n.Handler) {
			c.Handlers = append(c.Handlers, n.Handler)
		}
	}
	into := map[runner.Status]*int{
		runner.Skipped: &c.Skipped, runner.OK: &c.OK, runner.WouldWait: &c.Wait, runner.Unknown: &c.Unknown,
		runner.WouldRun: &c.Run, runner.WouldChange: &c.Change, runner.Changed: &c.Done, runner.Failed: &c.Failed, runner.Unreachable: &c.Unreachable,
	}
	for _, rank := range verdicts {
		if rank > 0 { // a verdict that plans have
			*into[worst[rank-1]]++
		}
	}
	return c
}
