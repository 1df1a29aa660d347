package project

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"runbook/runner"
	"runbook/runner/journal"
)

// Host is what a host was last found to be, by the last run that touched it.
type Host struct {
	Name     string        `json:"name"`
	Run      string        `json:"run"` // its id
	Playbook string        `json:"playbook"`
	At       time.Time     `json:"at"`     // of the last task on it
	Status   runner.Status `json:"status"` // ok, changed, failed or unreachable
	Recap    runner.Recap  `json:"recap"`  // a loop counts once; a task that was resumed, as it ended
	Task     string        `json:"task,omitempty"`
	Pos      string        `json:"pos,omitempty"`
	Msg      string        `json:"msg,omitempty"` // why it failed: Task, Pos and Msg are of the last task that did
}

// identity tells notifications apart.
type identity struct{ playbook, play, handler, host string }

func identify(n runner.Notification) identity {
	return identity{n.Playbook, n.Play, n.Handler, n.Host}
}

// delta is what one life of a run adds to what is known.
type delta struct {
	turn    int
	run     string
	notices []notice
	hosts   []Host
}

// notice is what happens to a pending notification.
type notice struct {
	runner.Notification
	what  event
	doubt string // names the work that may have changed something
}

type event int

const (
	notified  event = iota
	doubted         // a step was begun, and would notify if it changed anything
	withdrawn       // the step's outcome is known: what it notifies is said apart
	settled         // the handler ran, was skipped, or was dropped
)

// mark says how much of a journal is in a checkpoint.
type mark struct {
	First   int   `json:"first"`   // turn of the run's first life
	Turn    int   `json:"turn"`    // of the last life that was folded
	Records int   `json:"records"` // of that life
	Drops   int   `json:"drops"`   // likewise
	Size    int64 `json:"size"`    // of the file then, in bytes; -1: to be read again in any case
}

// reader goes through a run's journal and finds what is news.
type reader struct {
	header journal.Header
	plays  map[int]string                       // names by number
	open   map[runner.Key][]runner.Notification // what steps would notify that were begun and have no outcome
	news   *delta                               // nil while what was folded before is read again
}

// work is one visit of a host to a task, all items of a loop together.
type work struct {
	play  int
	task  string
	host  string
	visit int
}

func workOf(k runner.Key) work { return work{k.Play, k.Task, k.Host, k.Visit} }

// digest is what a journal says beyond a mark, life by life, and the new mark.
func digest(c *journal.Contents, from mark, size int64) ([]delta, mark) {
	r := &reader{header: c.Header, plays: map[int]string{}, open: map[runner.Key][]runner.Notification{}}
	var news []delta
	var records []runner.Record
	to := mark{First: c.Header.Turn, Size: size}
	if c.Notice != "" {
		to.Size = -1 // a torn tail: its size says nothing
	}
	for _, life := range c.Lives {
		d := delta{turn: life.Turn, run: c.Header.Run}
		seen, dropped := known(life, from)
		for i, record := range life.Records {
			r.news = nil
			if i >= seen {
				r.news = &d
			}
			r.read(record)
		}
		r.news = &d
		for _, drop := range life.Drops[dropped:] {
			r.drop(drop)
		}
		records = append(records, life.Records...)
		if seen < len(life.Records) {
			d.hosts = touched(c.Header, records, life.Records[seen:])
		}
		if seen < len(life.Records) || dropped < len(life.Drops) {
			news = append(news, d)
		}
		to.Turn, to.Records, to.Drops = life.Turn, len(life.Records), len(life.Drops)
	}
	return news, to
}

// known is how much of a life is in the checkpoint.
func known(life journal.Life, from mark) (records, drops int) {
	switch {
	case life.Turn < from.Turn:
		return len(life.Records), len(life.Drops)
	case life.Turn == from.Turn:
		return min(from.Records, len(life.Records)), min(from.Drops, len(life.Drops))
	}
	return 0, 0
}

func (r *reader) read(record runner.Record) {
	switch record := record.(type) {
	case runner.BatchBegun:
		r.plays[record.Play] = record.Name
	case runner.Adopted:
		for _, n := range record.Pending { // all known, unless the state was lost with pruned runs
			r.tell(n, notified, "")
		}
	case runner.Intent:
		r.intent(record)
	case runner.Outcome:
		r.outcome(record)
	}
}

// intent: should the run die now, nobody knows whether the task has changed
// anything, and the next run may find nothing to do. So its handlers are due
// until the outcome is known.
func (r *reader) intent(i runner.Intent) {
	if _, open := r.open[i.Key]; open || len(i.Calls) == 0 {
		return // not the first step
	}
	r.open[i.Key] = r.called(i.Key, i.Calls, i.Name, i.At)
	for _, n := range r.open[i.Key] {
		r.tell(n, doubted, r.nameOf(i.Key))
	}
}

func (r *reader) nameOf(k runner.Key) string {
	return fmt.Sprintf("%s %d %s %s %d %d", r.header.Run, k.Play, k.Task, k.Host, k.Visit, k.Item)
}

// called is what a task notifies.
func (r *reader) called(k runner.Key, calls []runner.Called, by string, at time.Time) []runner.Notification {
	var all []runner.Notification
	for _, c := range calls {
		if c.May {
			continue
		}
		all = append(all, runner.Notification{
			Playbook: r.header.Playbook, Play: r.plays[k.Play], Handler: c.Name, Host: k.Host, By: by, Run: r.header.Run, At: at,
		})
	}
	return all
}

func (r *reader) outcome(o runner.Outcome) {
	for _, n := range r.called(o.Key, o.Notified, o.Name, o.At) {
		r.tell(n, notified, "")
	}
	if !o.Unsettled {
		for _, n := range r.open[o.Key] {
			r.tell(n, withdrawn, r.nameOf(o.Key))
		}
		delete(r.open, o.Key)
	}
	if o.Handler {
		r.handler(o)
	}
}

// handler settles the notification on which a handler ran. That an item of a loop
// was done settles nothing: the outcome of the whole follows.
func (r *reader) handler(o runner.Outcome) {
	id := identity{r.header.Playbook, r.plays[o.Play], o.Name, o.Host}
	switch o.Status {
	case runner.OK, runner.Changed, runner.Skipped:
		if o.Item == 0 {
			r.settle(id)
		}
	}
}

func (r *reader) settle(id identity) {
	r.tell(runner.Notification{Playbook: id.playbook, Play: id.play, Handler: id.handler, Host: id.host}, settled, "")
}

func (r *reader) tell(n runner.Notification, what event, doubt string) {
	if r.news != nil {
		r.news.notices = append(r.news.notices, notice{n, what, doubt})
	}
}

func (r *reader) drop(d journal.Dropped) {
	r.settle(identity{d.Playbook, d.Play, d.Handler, d.Host})
}

// touched is how a run has found the hosts that came up lately, by all its records.
func touched(h journal.Header, records, lately []runner.Record) []Host {
	all := tally(h, records)
	var hosts []Host
	for _, record := range lately {
		o, ok := record.(runner.Outcome)
		if !ok {
			continue
		}
		if host, ok := all[o.Host]; ok {
			hosts = append(hosts, host)
			delete(all, o.Host)
		}
	}
	return hosts
}

// tally counts a run's outcomes by host. Of a piece of work that came to several,
// the last counts.
func tally(h journal.Header, records []runner.Record) map[string]Host {
	last := map[runner.Key]int{}
	for i, record := range records {
		if o, ok := record.(runner.Outcome); ok {
			last[o.Key] = i
		}
	}
	worst := map[work]runner.Outcome{}
	for _, i := range slices.Sorted(maps.Values(last)) {
		o := records[i].(runner.Outcome)
		w := workOf(o.Key)
		if had, ok := worst[w]; !ok || o.Item == 0 || had.Item != 0 && weight(o) >= weight(had) {
			worst[w] = o
		}
	}
	hosts := map[string]Host{}
	for _, o := range inOrder(worst) {
		host, ok := hosts[o.Host]
		if !ok {
			host = Host{Name: o.Host, Run: h.Run, Playbook: h.Playbook, Status: runner.OK}
			host.Recap.Host = o.Host
		}
		host.add(o)
		hosts[o.Host] = host
	}
	return hosts
}

func inOrder(worst map[work]runner.Outcome) []runner.Outcome {
	all := slices.Collect(maps.Values(worst))
	slices.SortFunc(all, func(a, b runner.Outcome) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Play, b.Play), cmp.Compare(a.Task, b.Task), cmp.Compare(a.Visit, b.Visit))
	})
	return all
}

// weight orders outcomes by how much they matter.
func weight(o runner.Outcome) int {
	switch {
	case o.Status == runner.Unreachable:
		return 5
	case o.Status == runner.Failed && !o.Ignored:
		return 4
	case o.Status == runner.Changed, o.Changed:
		return 3
	case o.Status == runner.Skipped:
		return 1
	}
	return 2
}

func (h *Host) add(o runner.Outcome) {
	r := &h.Recap
	bad := false
	switch {
	case o.Status == runner.OK:
		r.OK++
	case o.Status == runner.Changed:
		r.OK++
		r.Changed++
	case o.Status == runner.Skipped:
		r.Skipped++
	case o.Status == runner.Unreachable:
		r.Unreachable++
		bad = true
	case o.Status == runner.Failed && o.Ignored:
		r.OK++
		r.Ignored++
		if o.Changed {
			r.Changed++
		}
	case o.Status == runner.Failed && o.Rescued:
		r.Rescued++
	case o.Status == runner.Failed:
		r.Failed++
		bad = true
	}
	if bad {
		h.Task, h.Pos, h.Msg = o.Name, o.Pos, o.Msg
	}
	if o.At.After(h.At) {
		h.At = o.At
	}
	h.Status = verdict(*r)
}

func verdict(r runner.Recap) runner.Status {
	switch {
	case r.Unreachable > 0:
		return runner.Unreachable
	case r.Failed > 0:
		return runner.Failed
	case r.Changed > 0:
		return runner.Changed
	}
	return runner.OK
}
