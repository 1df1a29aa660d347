package runner

import (
	"context"

	"runbook/playbooks"
)

// list runs nodes in order on the hosts that are still going, and returns those
// that got through. With guarded a rescue stands by: failures are not final.
func (p *play) list(ctx context.Context, nodes []playbooks.Node, hosts []*host, guarded bool) ([]*host, error) {
	var err error
	for _, n := range nodes {
		hosts = p.going(hosts)
		if len(hosts) == 0 || p.run.halted(ctx) {
			break
		}
		switch n := n.(type) {
		case *playbooks.Task:
			hosts, err = p.task(ctx, n, hosts, turn{guarded: guarded})
		case *playbooks.Block:
			hosts, err = p.block(ctx, n, hosts, guarded)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.going(hosts), nil
}

// going is the hosts that the next task may have.
func (p *play) going(hosts []*host) []*host {
	if p.aborted || p.ended {
		return nil
	}
	var on []*host
	for _, h := range hosts {
		if h.going() {
			on = append(on, h)
		}
	}
	return on
}

// block runs a block: its tasks, then its rescue on the hosts that failed, then
// what is to be done in any case. It returns the hosts that are through and sound.
func (p *play) block(ctx context.Context, b *playbooks.Block, hosts []*host, guarded bool) ([]*host, error) {
	leave := enter(hosts)
	defer leave()
	p.recheck(b, hosts)
	p.retry(b, hosts)
	_, err := p.list(ctx, b.Tasks, hosts, guarded || len(b.Rescue) > 0)
	if err != nil {
		return nil, err
	}
	if err := p.rescue(ctx, b, hosts, guarded); err != nil {
		return nil, err
	}
	if err := p.always(ctx, b, hosts, guarded); err != nil {
		return nil, err
	}
	return p.going(hosts), nil
}

// recheck has a block that failed in an earlier life, and after which its always
// was done, looked at again from its beginning: what is always done may have
// undone what came before (a service that is started again). Commands, of which
// nobody can see what they did, are not repeated.
func (p *play) recheck(b *playbooks.Block, hosts []*host) {
	past := p.run.Past
	if past == nil || len(b.Always) == 0 {
		return
	}
	for _, h := range hosts {
		failed := false
		for _, t := range tasksIn(b.Tasks, b.Rescue) {
			o, ok := past.Outcomes[p.next(t, h)]
			failed = failed || ok && !o.final()
		}
		for _, t := range tasksIn(b.Always) {
			if at, ok := past.at[p.next(t, h)]; ok && failed {
				h.recheck = max(h.recheck, at)
			}
		}
	}
}

// retry has what failed in a block tried again where its rescue failed too: the play
// has not gone on from it, and what is mended since is to be seen. What the rescue
// changed may have undone what came before (a version that is rolled back): that is
// looked at again, as after an always.
func (p *play) retry(b *playbooks.Block, hosts []*host) {
	past := p.run.Past
	if past == nil {
		return
	}
	for _, h := range hosts {
		failed, changed := 0, 0
		for _, t := range tasksIn(b.Rescue) {
			k := p.next(t, h)
			o, ok := past.Outcomes[k]
			if ok && !o.final() {
				failed = max(failed, past.at[k])
			}
			if ok && o.Changed {
				changed = max(changed, past.at[k])
			}
		}
		h.retry = max(h.retry, failed)
		if failed > 0 {
			h.recheck = max(h.recheck, changed)
		}
	}
}

// tasksIn is every task below the nodes.
func tasksIn(lists ...[]playbooks.Node) []*playbooks.Task {
	var all []*playbooks.Task
	for _, nodes := range lists {
		for _, n := range nodes {
			switch n := n.(type) {
			case *playbooks.Task:
				all = append(all, n)
			case *playbooks.Block:
				all = append(all, tasksIn(n.Tasks, n.Rescue, n.Always)...)
			}
		}
	}
	return all
}

// enter begins a block on hosts, and returns what ends it. In between a host's
// latest is that of the block.
func enter(hosts []*host) (leave func()) {
	type outer struct{ latest, since, recheck, retry int }
	had := make([]outer, len(hosts))
	for i, h := range hosts {
		had[i] = outer{h.latest, h.since, h.recheck, h.retry}
		h.latest = 0
	}
	return func() {
		for i, h := range hosts {
			h.latest, h.since, h.recheck, h.retry = max(h.latest, had[i].latest), had[i].since, had[i].recheck, had[i].retry
		}
	}
}

// rescue takes back the hosts that failed in the block. For those that it lost it
// does what can be done without them, and they stay lost.
func (p *play) rescue(ctx context.Context, b *playbooks.Block, hosts []*host, guarded bool) error {
	if len(b.Rescue) == 0 {
		return nil
	}
	var on []*host
	for _, h := range hosts {
		if h.drifted || !h.unreachable && !h.failed {
			continue
		}
		p.rescued = p.rescued || h.failed
		h.failed = false
		h.since = max(h.since, h.fell) // a failure that came again is rescued again
		on = append(on, h)
	}
	leave := p.cleanUp(on)
	_, err := p.list(ctx, b.Rescue, on, guarded)
	leave()
	return err
}

// always runs on failed hosts too, which stay failed whatever comes of it, and for
// lost ones, as a rescue does.
func (p *play) always(ctx context.Context, b *playbooks.Block, hosts []*host, guarded bool) error {
	if len(b.Always) == 0 {
		return nil
	}
	var fallen []*host
	for _, h := range hosts {
		h.since = max(h.since, h.latest) // what was done after a failure is done again after the retry
		if h.failed {
			h.failed = false
			fallen = append(fallen, h)
		}
	}
	leave := p.cleanUp(hosts)
	_, err := p.list(ctx, b.Always, hosts, guarded)
	leave()
	for _, h := range fallen {
		h.failed = true
	}
	return err
}

// cleanUp lets tasks run for hosts that are lost, and in a play that was aborted,
// until leave is called. What needs such a host itself fails as unreachable, and
// the next task has its turn all the same: a node that does not come back can
// still be taken out of its load balancer.
func (p *play) cleanUp(hosts []*host) (leave func()) {
	var lost []*host
	for _, h := range hosts {
		if h.unreachable {
			h.unreachable, h.cleaning = false, true
			lost = append(lost, h)
		}
	}
	aborted := p.aborted
	p.aborted = false
	return func() {
		p.aborted = p.aborted || aborted
		for _, h := range lost {
			h.unreachable, h.cleaning, h.failed = true, false, false // whatever became of the cleaning up
		}
	}
}

// thresholds stops the play where a task failed on more hosts than it may. What
// a rescue may still take back does not count yet; a lost host it never does.
func (p *play) thresholds(t *playbooks.Task, hosts []*host, guarded bool) error {
	var failed, lost int
	for _, h := range hosts {
		if h.failed {
			failed++
		}
		if h.unreachable {
			lost++
		}
	}
	if lost == 0 && (failed == 0 || guarded) {
		return nil
	}
	s := p.scope(hosts[0], t.Layers)
	fatal, err := t.AnyErrorsFatal.On(s)
	if err != nil {
		return err
	}
	if fatal {
		for _, h := range hosts {
			h.failed = h.failed || !h.unreachable && !guarded
		}
		p.aborted = true
		return nil
	}
	if p.play.MaxFailPercentage == nil || guarded {
		return nil
	}
	percent, err := p.play.MaxFailPercentage.Int(s)
	if err != nil {
		return err
	}
	p.aborted = p.aborted || exceeds(p.failures, len(p.batch), percent)
	return nil
}
