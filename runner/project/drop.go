package project

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/runner/source"
)

// Pending is the handlers that runs of a playbook were to run and have not, in
// the order in which they were notified; of all playbooks where it is "". The
// playbook is as in the runs' headers.
func (p *Project) Pending(playbook string) ([]runner.Notification, error) {
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	if playbook == "" {
		return f.pending(), nil
	}
	return slices.DeleteFunc(f.pending(), func(n runner.Notification) bool { return n.Playbook != playbook }), nil
}

// Drop makes the pending notifications of a handler forgotten, on the hosts given
// or, without any, on all. It records who did that, in a journal of its own with
// a turn of its own, and needs the lock. It gives back what it dropped; that
// nothing was pending is an error.
func (p *Project) Drop(handler string, hosts []string, who string) ([]runner.Notification, error) {
	if err := p.held(); err != nil {
		return nil, err
	}
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	chosen, err := choose(f.pending(), handler, hosts)
	if err != nil {
		return nil, err
	}
	now := time.Now().Round(0)
	h := journal.Header{Who: who, At: now}
	w, err := p.begin(dropsDir, &h)
	if err != nil {
		return nil, fmt.Errorf("record what is dropped: %w", err)
	}
	drops := make([]journal.Dropped, len(chosen))
	for i, n := range chosen {
		drops[i] = journal.Dropped{Playbook: n.Playbook, Play: n.Play, Handler: n.Handler, Host: n.Host, Who: who, At: now}
	}
	if err := errors.Join(w.Drop(drops...), w.Close()); err != nil {
		return nil, fmt.Errorf("record what is dropped: %w", err)
	}
	_, err = p.checkpoint()
	return chosen, err
}

// choose finds the notifications that are meant; each word must mean something.
func choose(pending []runner.Notification, handler string, hosts []string) ([]runner.Notification, error) {
	var chosen []runner.Notification
	var names, on []string
	for _, n := range pending {
		names = append(names, n.Handler)
		if n.Handler != handler {
			continue
		}
		on = append(on, n.Host)
		if len(hosts) == 0 || slices.Contains(hosts, n.Host) {
			chosen = append(chosen, n)
		}
	}
	if len(on) == 0 {
		return nil, fmt.Errorf("no handler %q is pending%s", handler, hint(handler, names))
	}
	for _, host := range hosts {
		if !slices.Contains(on, host) {
			return nil, fmt.Errorf("handler %q is not pending on %s%s", handler, host, hint(host, on))
		}
	}
	return chosen, nil
}

func hint(got string, known []string) string {
	slices.Sort(known)
	known = slices.Compact(known)
	if hint := source.DidYouMean(got, known); hint != "" {
		return ": " + hint
	}
	if len(known) == 0 {
		return ": nothing is"
	}
	return ": pending is " + several(known)
}
