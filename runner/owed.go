package runner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"runbook/playbooks"
)

// call is one handler that a task notifies.
type call struct {
	handler *playbooks.Task
	task    string // the handler's place
	name    string // by which the notification outlives its run
	how     notice
}

// debt identifies a handler that has to run on a host.
type debt struct{ play, handler, host string }

// calls is which handlers the task would notify on a host, by name or topic.
func (p *play) calls(t *playbooks.Task, s *scope) ([]call, error) {
	var calls []call
	for _, n := range t.Notify {
		name, err := n.Render(s)
		if err != nil {
			return nil, err
		}
		called := p.handlers(name)
		if len(called) == 0 {
			return nil, fmt.Errorf("%s: notify: there is no handler %q", n.Pos, name)
		}
		for _, h := range called {
			calls = append(calls, call{handler: h, task: p.place(h), name: p.called[h], how: mustRun})
		}
	}
	return calls, nil
}

func named(calls []call) []Called {
	var out []Called
	for _, c := range calls {
		out = append(out, Called{Task: c.task, Name: c.name, May: c.how == mayRun})
	}
	return out
}

// seed is a handler that an earlier run left.
type seed struct {
	Notification
	at int // when it was taken over: a record's number, or lately
}

// handlerNames are the names by which notifications outlive their run: no two
// handlers of a play have the same.
func handlerNames(written *playbooks.Play) map[*playbooks.Task]string {
	all, had := map[*playbooks.Task]string{}, map[string]int{}
	for _, t := range written.Handlers {
		name := t.Name.String()
		if name == "" {
			name = strings.Join(t.Listen, ", ")
		}
		had[name]++
		if n := had[name]; n > 1 {
			name = fmt.Sprintf("%s (%d)", name, n)
		}
		all[t] = name
	}
	return all
}

// owe keeps the account of handlers: a notification adds a debt, a handler that
// ran pays it, whichever run it stems from. Whoever folds journals does the same.
func (rn *run) owe(o Outcome) {
	if rn.Plan {
		return
	}
	rn.owing.Lock()
	defer rn.owing.Unlock()
	play := rn.playNames[o.Play-1]
	for _, c := range o.Notified {
		if c.May {
			continue
		}
		rn.owed[debt{play, c.Name, o.Host}] = Notification{
			Playbook: rn.book.Path, Play: play, Handler: c.Name, Host: o.Host, By: o.Name, Run: rn.Holder.Run, At: o.At,
		}
	}
	if o.Handler && o.Item == 0 && (o.Status == OK || o.Status == Changed || o.Status == Skipped) {
		delete(rn.owed, debt{play, o.Name, o.Host})
	}
}

// debts are the handlers that were notified and have not run.
func (rn *run) debts() []Notification {
	rn.owing.Lock()
	defer rn.owing.Unlock()
	all := slices.Collect(maps.Values(rn.owed))
	slices.SortFunc(all, func(a, b Notification) int {
		return strings.Compare(a.Play+"\x00"+a.Handler+"\x00"+a.Host, b.Play+"\x00"+b.Handler+"\x00"+b.Host)
	})
	return all
}

func (rn *run) owes(n Notification) bool {
	rn.owing.Lock()
	defer rn.owing.Unlock()
	_, due := rn.owed[debt{n.Play, n.Handler, n.Host}]
	return due
}

// adopt takes over what earlier runs left, and in a resumed run what its earlier
// lives took over: a handler comes again at the place where it came then.
func (rn *run) adopt() error {
	var fresh []Notification
	for _, n := range rn.Pending {
		if n.Run == rn.Holder.Run {
			continue // of an earlier life: it comes again by itself, at its place
		}
		rn.owed[debt{n.Play, n.Handler, n.Host}] = n
		fresh = append(fresh, n)
	}
	for _, n := range fresh {
		rn.seeds = append(rn.seeds, seed{n, lately})
	}
	if rn.Past != nil {
		for i, n := range rn.Past.Adopted {
			rn.owed[debt{n.Play, n.Handler, n.Host}] = n
			rn.seeds = append(rn.seeds, seed{n, rn.Past.adoption(i)})
		}
	}
	if len(fresh) == 0 || rn.Plan {
		return nil
	}
	return rn.put(rn.background, Adopted{Pending: fresh, At: time.Now()}, false)
}

// seed notifies the handlers that were left pending, on the hosts of the batch.
func (p *play) seed() {
	for _, n := range p.run.seeds {
		if n.Play != p.title || !p.run.owes(n.Notification) {
			continue // another play of this name has paid
		}
		i := slices.IndexFunc(p.play.Handlers, func(h *playbooks.Task) bool { return p.called[h] == n.Handler })
		j := slices.IndexFunc(p.batch, func(h *host) bool { return h.name == n.Host })
		if i >= 0 && j >= 0 {
			p.call(p.play.Handlers[i], p.batch[j], calling{mustRun, n.at})
		}
	}
}
