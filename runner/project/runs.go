package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/runner/source"
)

// The states of a run.
const (
	Done        = "done"
	Failed      = "failed"      // a host failed or was unreachable
	Interrupted = "interrupted" // by a signal, in good order
	Died        = "died"        // in the middle of something
	Running     = "running"     // it has the lock
	Damaged     = "damaged"     // its journal cannot be read
)

// Run is a run in a list.
type Run struct {
	ID      string          `json:"id"`
	Header  journal.Header  `json:"header"`
	Lives   int             `json:"lives"`
	Began   time.Time       `json:"began"` // its first life
	Last    time.Time       `json:"last"`  // the last that is recorded
	State   string          `json:"state"`
	Recap   []runner.Recap  `json:"recap"`   // of a run that died, as far as it came
	Pending int             `json:"pending"` // notifications that it left, and that wait still
	Ended   *runner.Summary `json:"ended,omitempty"`
	Damage  error           `json:"-"` // the journal cannot be read: only ID, and perhaps Pending, are known
}

// Finished says whether the run came to its end, with or without failures.
func (r *Run) Finished() bool { return r.State == Done || r.State == Failed }

// Runs lists the runs in the order in which they began, the newest last. A run
// whose journal is damaged is in the list, with its damage; one that died before
// its first record is not.
func (p *Project) Runs() ([]Run, error) {
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	ids, err := p.list(runsDir)
	if err != nil {
		return nil, err
	}
	by, busy := p.holder()
	runs := make([]*Run, len(ids))
	g, _ := errgroup.WithContext(context.Background())
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		g.Go(func() error {
			var err error
			runs[i], err = p.look(id, busy && by.Run == id)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return arrange(runs, f), nil
}

// look is one run; nil where there is none.
func (p *Project) look(id string, running bool) (*Run, error) {
	r, err := p.row(id)
	var damage *journal.Damage
	switch {
	case errors.Is(err, journal.ErrNeverBegan), errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &damage):
		return &Run{ID: id, State: Damaged, Damage: err}, nil
	case err != nil:
		return nil, err
	}
	if running {
		r.State = Running
	}
	return r, nil
}

// summarize is what a journal says of its run.
func summarize(id string, c *journal.Contents) *Run {
	records := c.Records()
	r := &Run{ID: id, Header: c.Header, Lives: len(c.Lives), Began: c.Header.At, Last: c.Header.At, State: stateOf(c)}
	for _, life := range c.Lives {
		if life.Resumed != nil {
			r.Last = later(r.Last, life.Resumed.At)
		}
	}
	for _, record := range records {
		r.Last = later(r.Last, when(record))
	}
	if ended := c.Ended(); ended != nil {
		r.Recap, r.Ended = ended.Recap, &ended.Summary
		return r
	}
	for _, h := range tally(c.Header, records) {
		r.Recap = append(r.Recap, h.Recap)
	}
	slices.SortFunc(r.Recap, func(a, b runner.Recap) int { return strings.Compare(a.Host, b.Host) })
	return r
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func when(r runner.Record) time.Time {
	switch r := r.(type) {
	case runner.BatchBegun:
		return r.At
	case runner.Adopted:
		return r.At
	case runner.Intent:
		return r.At
	case runner.Outcome:
		return r.At
	case runner.Halted:
		return r.At
	case runner.Ended:
		return r.At
	}
	return time.Time{}
}

func stateOf(c *journal.Contents) string {
	ended := c.Ended()
	switch {
	case ended == nil && halted(c):
		return Interrupted
	case ended == nil:
		return Died
	case ended.Summary.Interrupted:
		return Interrupted
	case ended.Summary.Failed, ended.Summary.Unreachable:
		return Failed
	}
	return Done
}

// halted says whether the last life stopped in good order: nothing was under way
// when it did.
func halted(c *journal.Contents) bool {
	if len(c.Lives) == 0 {
		return false
	}
	records := c.Lives[len(c.Lives)-1].Records
	if len(records) == 0 {
		return false
	}
	h, ok := records[len(records)-1].(runner.Halted)
	return ok && strings.HasPrefix(h.Reason, Interrupted)
}

// arrange puts runs in order of their turns, and those whose turn cannot be read
// where their ids are.
func arrange(runs []*Run, f *folded) []Run {
	type at struct {
		turn int
		run  Run
	}
	var all []at
	turn := 0
	for _, r := range runs { // by id
		if r == nil {
			continue
		}
		for _, n := range f.Pending {
			if n.Run == r.ID {
				r.Pending++
			}
		}
		switch first := f.Folded[runsDir+"/"+r.ID].First; {
		case r.Damage == nil:
			turn = r.Header.Turn
		case first > 0:
			turn = first
		}
		all = append(all, at{turn, *r})
	}
	slices.SortStableFunc(all, func(a, b at) int { return a.turn - b.turn })
	sorted := make([]Run, len(all))
	for i := range all {
		sorted[i] = all[i].run
	}
	return sorted
}

// Resumable is the newest run that is worth resuming: one that is not done and
// does not run, and whose playbook no later run has brought to its end. The error
// is nil and ok false where there is none.
func (p *Project) Resumable() (run Run, ok bool, err error) {
	runs, err := p.Runs()
	if err != nil {
		return Run{}, false, err
	}
	for i, r := range slices.Backward(runs) {
		if resumable(runs, i) {
			return r, true, nil
		}
	}
	return Run{}, false, nil
}

func resumable(runs []Run, i int) bool {
	r := runs[i]
	if r.Damage != nil || r.State == Done || r.State == Running {
		return false
	}
	return !slices.ContainsFunc(runs[i+1:], func(after Run) bool {
		return after.Damage == nil && after.State == Done && after.Header.Playbook == r.Header.Playbook
	})
}

// Contents is the journal of a run. The id may be shortened as long as it is
// clear; "" and "last" are the newest run.
func (p *Project) Contents(id string) (*journal.Contents, error) {
	id, err := p.resolve(id)
	if err != nil {
		return nil, err
	}
	return journal.Read(p.RunDir(id))
}

// resolve is the full id of a run.
func (p *Project) resolve(id string) (string, error) {
	if id == "" || id == "last" {
		return p.newest()
	}
	ids, err := p.list(runsDir)
	if err != nil {
		return "", err
	}
	if slices.Contains(ids, id) {
		return id, nil
	}
	var fits []string
	for _, known := range ids {
		if strings.HasPrefix(known, id) {
			fits = append(fits, known)
		}
	}
	switch len(fits) {
	case 0:
		return "", unknown(id, ids)
	case 1:
		return fits[0], nil
	}
	return "", fmt.Errorf("%d runs begin with %q: %s; give more of the id", len(fits), id, several(fits))
}

// newest is the run that began last.
func (p *Project) newest() (string, error) {
	f, err := p.fold()
	if err != nil {
		return "", err
	}
	ids, err := p.list(runsDir)
	if err != nil {
		return "", err
	}
	best, turn := "", 0
	for _, id := range ids {
		if first := f.Folded[runsDir+"/"+id].First; first > turn {
			best, turn = id, first
		}
	}
	if best == "" && len(ids) > 0 {
		best = ids[len(ids)-1] // damaged, all of them
	}
	if best == "" {
		return "", errors.New("there is no run yet: runbook apply makes the first")
	}
	return best, nil
}

func unknown(id string, ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("there is no run %q: no run is kept here", id)
	}
	if hint := source.DidYouMean(id, ids); hint != "" {
		return fmt.Errorf("there is no run %q: %s", id, hint)
	}
	var near []string
	for _, known := range ids {
		if strings.Contains(known, id) || len(id) > 8 && strings.HasPrefix(known, id[:8]) {
			near = append(near, known)
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("there is no run %q: the newest is %s; `runbook runs` lists them all", id, ids[len(ids)-1])
	}
	return fmt.Errorf("there is no run %q: near it there are %s", id, several(near))
}

// several names the last few of many.
func several(ids []string) string {
	const few = 5
	if more := len(ids) - few; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[more:], ", "), more)
	}
	return strings.Join(ids, ", ")
}
