package runner

import (
	"context"
	"time"

	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// turn says how a task comes to run.
type turn struct {
	guarded bool              // a rescue stands by
	handler bool              // it was notified
	called  map[*host]calling // of a handler: how surely, and when
}

// since is when what an earlier life did must have come about to count: a handler
// after it was notified, and what is always done after what it follows.
func (t turn) since(h *host) int {
	if t.handler {
		return t.called[h].at
	}
	return h.since
}

// done is one task's result on one host, with what register gets.
type done struct {
	result Result
	value  jinja.Value
	calls  []call // the handlers that it notifies
	unsure bool   // a plan cannot know whether the task changes anything
	only   bool   // check_mode kept it from changing anything

	at       int   // when it came about: a record's number, or lately
	recalled bool  // it is that of an earlier life of the run
	drifted  bool  // not done, as it is not in the signed plan: the host is out, whatever stands by
	stopped  bool  // not begun, or not to its end: the run takes no more tasks
	err      error // of the run itself: what the user wrote cannot be carried out
}

// task runs one task on hosts and returns those that may go on.
func (p *play) task(ctx context.Context, t *playbooks.Task, hosts []*host, how turn) ([]*host, error) {
	if !how.handler && !p.run.Selection.Takes(t.Tags) {
		return hosts, nil
	}
	first := p.scope(hosts[0], t.Layers)
	p.announce(t, first, how)
	if t.Def.Name == "meta" {
		return p.meta(ctx, t, hosts)
	}
	once, err := t.RunOnce.On(first)
	if err != nil {
		return nil, err
	}
	on := hosts
	if once {
		on = []*host{p.chosen(t, hosts)}
	}
	results := make([]done, len(on))
	keys := make([]Key, len(on))
	for i, h := range on {
		keys[i] = p.visit(t, h)
	}
	p.each(on, func(i int, h *host) {
		x := &hostTask{play: p, task: t, host: h, key: keys[i], unsure: how.called[h].how == mayRun, since: how.since(h),
			guarded: how.guarded, handler: how.handler}
		results[i] = x.run(ctx)
	})
	for i, h := range hosts {
		d := results[min(i, len(results)-1)]
		if d.err != nil {
			return nil, d.err
		}
		if !d.stopped {
			p.record(t, h, d, how, !once || h == on[0])
		}
	}
	if err := p.thresholds(t, hosts, how.guarded); err != nil {
		return nil, err
	}
	return p.going(hosts), nil
}

// chosen is the host that does what is to be done once: the first that is not
// lost, or in a resumed run the one that did it.
func (p *play) chosen(t *playbooks.Task, hosts []*host) *host {
	if past := p.run.Past; past != nil {
		for _, h := range hosts {
			if past.knows(p.next(t, h)) {
				return h
			}
		}
	}
	for _, h := range hosts {
		if !h.cleaning {
			return h
		}
	}
	return hosts[0]
}

func (p *play) announce(t *playbooks.Task, s *scope, how turn) {
	name, err := t.Name.Render(s)
	if err != nil {
		name = t.Name.String() // a name is for people: it does not stop a task
	}
	if name == "" {
		name = t.Def.Name
	}
	p.run.emit(TaskStarted{Name: name, Module: t.Def.Name, Handler: how.handler, Pos: t.Pos, At: time.Now()})
}

// record keeps a result: registered, counted, and with what follows from it.
// With run_once the result is every host's, but counts for one alone.
func (p *play) record(t *playbooks.Task, h *host, d done, how turn, counts bool) {
	p.keep(t, h, d)
	h.latest = max(h.latest, d.at)
	r := d.result
	how.guarded = how.guarded && !d.drifted
	if counts {
		if r.Status == Failed && !r.Ignored && how.guarded {
			h.recap.Rescued++
		} else {
			h.recap.add(r)
		}
		p.notify(t, h, d)
	}
	switch r.Status {
	case WouldChange, WouldRun, Unknown:
		h.pending = h.pending || !d.only
	case Unreachable:
		if h.cleaning {
			return // what it was lost by is told, not that it still is
		}
		h.unreachable = true
		p.explain(t, h, d)
	case Failed:
		if r.Ignored {
			return
		}
		h.failed, h.drifted = true, h.drifted || d.drifted
		p.explain(t, h, d)
		if !how.guarded {
			p.failures++
		}
	}
}

// keep stores the facts that a task found or set, and what it registers.
func (p *play) keep(t *playbooks.Task, h *host, d done) {
	p.others.forget()
	if d.result.Status == Unknown && t.Def.Facts == modules.SetFacts {
		for _, name := range t.Args.Free() { // a plan that does not know a value must not keep the one before
			h.set[name] = jinja.Unknown{Reason: d.result.Msg}
		}
	}
	if d.result.Status != Failed {
		switch t.Def.Facts {
		case modules.HostFacts:
			learn(h.facts, factsIn(d.result))
		case modules.SetFacts:
			learn(h.set, factsIn(d.result))
		}
	}
	if t.Register != "" && d.value != nil {
		h.set[t.Register] = d.value
	}
}

// notify calls the handlers of a task that changed something, would, or may. A
// single task that failed calls none; of a loop, the items that did not fail do.
func (p *play) notify(t *playbooks.Task, h *host, d done) {
	if d.result.Status == Failed && t.Loop == nil {
		return
	}
	for _, c := range d.calls {
		p.call(c.handler, h, calling{c.how, d.at})
	}
}

// explain tells a rescue what failed.
func (p *play) explain(t *playbooks.Task, h *host, d done) {
	h.fell = d.at
	h.set["ansible_failed_task"] = failedTask(t, p.scope(h, t.Layers))
	h.set["ansible_failed_result"] = d.value
}

// failedTask is what a rescue reads of the task that failed.
func failedTask(t *playbooks.Task, s *scope) jinja.Value {
	name, err := t.Name.Render(s)
	if err != nil {
		name = t.Name.String()
	}
	return jinja.FromGo(map[string]any{"name": name, "action": t.Def.Name})
}

// factsIn is the facts that a result carries.
func factsIn(r Result) map[string]any {
	facts, _ := r.Vars["ansible_facts"].(map[string]any)
	return facts
}

// meta carries out what concerns the course of the play itself.
func (p *play) meta(ctx context.Context, t *playbooks.Task, hosts []*host) ([]*host, error) {
	var on []*host
	for _, h := range hosts {
		v, err := (&hostTask{play: p, task: t, host: h}).when(p.scope(h, t.Layers))
		if err != nil {
			return nil, err
		}
		if v.Holds {
			on = append(on, h)
		}
	}
	if len(on) == 0 {
		return hosts, nil
	}
	switch t.Action {
	case "flush_handlers":
		if err := p.flush(ctx); err != nil {
			return nil, err
		}
	case "end_play":
		p.ended, p.finished = true, true
	case "end_batch":
		p.ended = true
	case "end_host":
		for _, h := range on {
			h.ended = true
		}
	case "clear_host_errors":
		for _, h := range p.hosts {
			h.failed, h.unreachable = h.drifted, false
		}
	case "reset_connection":
		for _, h := range on {
			if err := p.run.machines.forget(h.name); err != nil {
				return nil, err
			}
		}
	}
	return p.going(hosts), nil
}
