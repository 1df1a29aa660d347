package render

import (
	"fmt"
	"slices"
	"strings"

	"runbook/runner"
)

// owed is a handler that was notified and has not run, with all its hosts.
type owed struct {
	runner.Notification // its host is the first
	hosts               []string
}

func (o *owed) String() string {
	return fmt.Sprintf("%s on %s (notified by %q)", oneLine(o.Handler), strings.Join(foldNames(o.hosts), ", "), o.By)
}

// fold puts together what differs in the host alone, in the order of the first.
func fold(pending []runner.Notification) []*owed {
	type key struct{ playbook, play, handler, by, run string }
	found := map[key]*owed{}
	var all []*owed
	for _, n := range pending {
		k := key{n.Playbook, n.Play, n.Handler, n.By, n.Run}
		if found[k] == nil {
			found[k] = &owed{Notification: n}
			all = append(all, found[k])
		}
		if !slices.Contains(found[k].hosts, n.Host) {
			found[k].hosts = append(found[k].hosts, n.Host)
		}
	}
	return all
}

// left says which handlers earlier runs left to this one.
func (t *Terminal) left(pending []runner.Notification) {
	for _, o := range fold(pending) {
		t.printf(magenta, "pending from run %s: %s", o.Run, o)
	}
}

// remaining says which handlers this run leaves to later ones, and to which.
func (t *Terminal) remaining(pending []runner.Notification) {
	if len(pending) == 0 {
		return
	}
	t.printf(magenta, "\nPending: notified, and not run yet")
	var books []string
	for _, o := range fold(pending) {
		t.printf(magenta, "  %s", o)
		if o.Playbook != "" && !slices.Contains(books, o.Playbook) {
			books = append(books, o.Playbook)
		}
	}
	next := "of the playbook"
	if len(books) > 0 {
		next = "of " + strings.Join(books, ", ")
	}
	t.printf(plain, "`runbook resume` or the next apply %s runs them; `runbook runs drop HANDLER` drops one.", next)
}
