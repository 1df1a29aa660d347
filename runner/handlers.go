package runner

import (
	"context"
	"slices"

	"runbook/playbooks"
)

// notice says how a handler was notified.
type notice int

const (
	mayRun  notice = iota + 1 // in a plan: by a task of which it is not known whether it changes
	mustRun                   // by a task that changed, or would
)

// calling is the notice that a handler was given on a host, and when it last was:
// what the handler did before that does not count.
type calling struct {
	how notice
	at  int
}

// call notifies a handler on a host.
func (p *play) call(handler *playbooks.Task, h *host, c calling) {
	if p.notified[handler] == nil {
		p.notified[handler] = map[*host]calling{}
	}
	had := p.notified[handler][h]
	p.notified[handler][h] = calling{max(had.how, c.how), max(had.at, c.at)}
}

// handlers finds those that answer to a name: every one that listens to it, and
// the first one that is called so.
func (p *play) handlers(name string) []*playbooks.Task {
	var called []*playbooks.Task
	named := false
	for _, h := range p.play.Handlers {
		switch {
		case slices.Contains(h.Listen, name):
			called = append(called, h)
		case h.Name.String() == name && !named:
			called = append(called, h)
			named = true
		}
	}
	return called
}

// flush runs the notified handlers in the order of their definition. A handler
// may notify another, so it goes round until none is left, at most once for
// each handler there is.
func (p *play) flush(ctx context.Context) error {
	for range p.play.Handlers {
		if len(p.notified) == 0 {
			break
		}
		for _, handler := range p.play.Handlers {
			if err := p.handle(ctx, handler); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *play) handle(ctx context.Context, handler *playbooks.Task) error {
	if p.run.halted(ctx) {
		return nil
	}
	called := map[*host]calling{}
	var hosts []*host
	for _, h := range p.going(p.batch) {
		if c, due := p.notified[handler][h]; due {
			called[h] = c
			hosts = append(hosts, h)
			delete(p.notified[handler], h)
		}
	}
	if len(p.notified[handler]) == 0 {
		delete(p.notified, handler) // else hosts are out that a rescue may take back
	}
	if len(hosts) == 0 {
		return nil
	}
	_, err := p.task(ctx, handler, hosts, turn{handler: true, called: called})
	return err
}
