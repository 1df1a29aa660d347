package runner

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"runbook/modules"
	"runbook/playbooks"
)

// play is one play at work on one batch of its hosts.
type play struct {
	run      *run
	play     *playbooks.Play
	all      []*host // that the pattern names
	hosts    []*host // those of them that no earlier play has lost
	batch    []*host
	failures int // in this batch, that nothing rescued
	notified map[*playbooks.Task]map[*host]calling
	rescued  bool // a rescue was begun, which no plan foresees: it may notify and flush
	aborted  bool // any_errors_fatal or max_fail_percentage: no more tasks, no more plays
	ended    bool // meta: end_play or end_batch: no more tasks
	finished bool // meta: end_play: no more batches
	others   hostvars
	number   int    // from 1
	title    string // its name, rendered
	places   map[*playbooks.Task]string
	called   map[*playbooks.Task]string // the names by which notifications of handlers outlive the run
	visits   map[visitor]int
}

// play runs one play, batch after batch. A batch of which no host is left ends
// the run: going on would spread what broke it.
func (rn *run) play(ctx context.Context, number int) error {
	written := rn.book.Plays[number-1]
	p := &play{run: rn, play: written, number: number, title: rn.playNames[number-1], places: places(written), visits: map[visitor]int{}}
	p.called = handlerNames(written)
	reason := "no hosts matched"
	var unknown *playbooks.UnknownError
	err := p.findHosts()
	p.others.forget()
	switch {
	case errors.As(err, &unknown) && rn.Plan:
		reason, p.hosts = "which hosts it is for is "+unknown.Error(), nil
	case err != nil:
		return placed(err, written.Hosts)
	}
	if len(p.hosts) == 0 {
		rn.emit(PlayStarted{Name: p.title, At: time.Now()})
		rn.emit(PlayStopped{Reason: reason, At: time.Now()})
		return nil
	}
	p.learnSecrets()
	serial, err := written.Batches(p.outside())
	if err != nil {
		return err
	}
	cut := batches(p.hosts, serial)
	for i, batch := range cut {
		p.batch, p.failures, p.ended = batch, 0, false
		p.notified = map[*playbooks.Task]map[*host]calling{}
		if err := p.begin(ctx, i+1, len(cut)); err != nil {
			return err
		}
		if err := p.tasks(ctx); err != nil {
			return err
		}
		if rn.halted(ctx) {
			rn.emit(PlayStopped{Reason: "interrupted", At: time.Now()})
			return nil
		}
		if len(names(batch, (*host).up)) == 0 || p.aborted {
			rn.over = true
			rn.emit(PlayStopped{Reason: "no more hosts left", At: time.Now()})
			return nil
		}
		if p.finished {
			return nil
		}
	}
	return nil
}

// begin opens a batch.
func (p *play) begin(ctx context.Context, batch, batches int) error {
	now := time.Now()
	e := PlayStarted{Name: p.title, Hosts: names(p.batch, nil), Batch: batch, Batches: batches, At: now}
	p.run.emit(e)
	p.seed()
	return p.run.put(ctx, BatchBegun{Play: p.number, Name: p.title, Batch: batch, Batches: batches, Hosts: e.Hosts, At: now}, false)
}

func (p *play) name() (string, error) {
	s := p.outside()
	name, err := p.play.Name.Render(s)
	if name == "" && err == nil {
		if p.late() {
			return p.play.Hosts.String(), nil
		}
		name, err = p.play.Hosts.Render(s)
	}
	return name, err
}

// findHosts selects the play's hosts that --limit leaves and no earlier play
// has lost.
func (p *play) findHosts() error {
	found, err := p.selected()
	if err != nil {
		return err
	}
	limit, err := p.run.limit()
	if err != nil {
		return err
	}
	for _, f := range found {
		if limit != nil && !limit[f.Name] && f.Name != "localhost" {
			continue
		}
		h := p.run.host(f.Name)
		h.ended = false
		p.all = append(p.all, h)
		if h.up() {
			p.hosts = append(p.hosts, h)
		}
	}
	return nil
}

// learnSecrets has the hosts' passwords known before anything is named: a name
// that holds one must be the same whenever it is written.
func (p *play) learnSecrets() {
	for _, h := range p.hosts {
		s := p.scope(h, nil)
		_, _ = p.address(h.name, s, p.play.Keywords) // an error is the task's that comes to the host
		_, _ = p.become(s, s, p.play.Keywords)
	}
}

// tasks runs the whole play on its batch. Handlers run after each section.
func (p *play) tasks(ctx context.Context) error {
	if err := p.gatherFacts(ctx); err != nil {
		return err
	}
	for _, section := range [][]playbooks.Node{p.play.PreTasks, p.play.Tasks, p.play.PostTasks} {
		if _, err := p.list(ctx, section, p.batch, false); err != nil {
			return err
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) gatherFacts(ctx context.Context) error {
	on := p.play.GatherFacts == nil
	if !on {
		var err error
		if on, err = p.play.GatherFacts.On(p.scope(p.batch[0], nil)); err != nil {
			return err
		}
	}
	if !on {
		return nil
	}
	def, _ := modules.Lookup("setup")
	name, err := playbooks.NewText("Gathering Facts", p.play.Pos)
	if err != nil {
		return err
	}
	task := &playbooks.Task{Name: name, Pos: p.play.Pos, Def: def, Keywords: p.play.Keywords}
	task.Tags = append(task.Tags[:len(task.Tags):len(task.Tags)], "always")
	_, err = p.task(ctx, task, p.batch, turn{})
	return err
}

// each calls do for every host at once, as many as there are forks. It is the
// engine's only fan-out; do works on what belongs to its index alone.
func (p *play) each(hosts []*host, do func(int, *host)) {
	var g errgroup.Group
	forks := p.run.Forks
	if forks <= 0 {
		forks = defaultForks
	}
	g.SetLimit(forks)
	for i, h := range hosts {
		g.Go(func() error { do(i, h); return nil })
	}
	_ = g.Wait() // what went wrong is in the results
}
