package render

import (
	"fmt"
	"strconv"
	"strings"

	"runbook/modules"
	"runbook/runner"
)

// handlers are those that a plan would run, in the order in which they came up.
type handlers []*handler

type handler struct {
	name        string
	sure, maybe map[string]bool // by host
}

// add counts a handler's result: a handler that finds nothing to do would not
// be missed.
func (hs *handlers) add(e runner.TaskDone) {
	switch e.Result.Status {
	case runner.WouldChange, runner.WouldRun, runner.WouldWait:
		hs.named(e.Task).sure[e.Host] = true
	case runner.Unknown:
		hs.named(e.Task).maybe[e.Host] = true
	}
}

func (hs *handlers) named(name string) *handler {
	for _, h := range *hs {
		if h.name == name {
			return h
		}
	}
	h := &handler{name: name, sure: map[string]bool{}, maybe: map[string]bool{}}
	*hs = append(*hs, h)
	return h
}

// String is each handler with its number of hosts. A host that runs one for
// sure is not among those that may.
func (hs handlers) String() string {
	var parts []string
	for _, h := range hs {
		for host := range h.sure {
			delete(h.maybe, host)
		}
		if n := len(h.sure); n > 0 {
			parts = append(parts, fmt.Sprintf("%s on %d", oneLine(h.name), n))
		}
		if n := len(h.maybe); n > 0 {
			parts = append(parts, fmt.Sprintf("%s (maybe) on %d", oneLine(h.name), n))
		}
	}
	return strings.Join(parts, ", ")
}

// planned is the one line that sums a plan up. Its numbers are results of tasks
// on hosts, those of the recap: a loop counts once.
func (t *Terminal) planned(e runner.RunDone) string {
	sum := total(e.Recap)
	nothing := sum.WouldChange+sum.WouldRun+sum.WouldWait+sum.Unknown == 0
	var parts []string
	if nothing {
		parts = []string{"0 change"}
	}
	for _, c := range []struct {
		n    int
		word string
	}{
		{sum.WouldChange, "change"}, {sum.WouldRun, "run"}, {sum.WouldWait, "wait"}, {sum.Unknown, "maybe"},
		{sum.OK, "ok"}, {sum.Failed, "failed"}, {sum.Unreachable, "unreachable"},
	} {
		if c.n > 0 {
			parts = append(parts, strconv.Itoa(c.n)+" "+c.word)
		}
	}
	line := "Plan: " + strings.Join(parts, ", ") + " on " + plural(len(e.Recap), "host")
	if t.batches > 1 {
		line += fmt.Sprintf(" in %d batches", t.batches)
	}
	if names := t.handlers.String(); names != "" {
		line += "; handlers: " + names
	}
	switch {
	case e.Rescues == 1:
		line += "; 1 rescue task runs only if a task fails"
	case e.Rescues > 1:
		line += fmt.Sprintf("; %d rescue tasks run only if a task fails", e.Rescues)
	}
	switch {
	case sum.Failed+sum.Unreachable > 0:
		return line + "; the plan is not complete"
	case nothing:
		return line + ". Nothing to do."
	}
	return line
}

// total is all hosts' counts.
func total(recap []runner.Recap) runner.Recap {
	var sum runner.Recap
	for _, r := range recap {
		sum.OK += r.OK
		sum.WouldChange += r.WouldChange
		sum.WouldRun += r.WouldRun
		sum.WouldWait += r.WouldWait
		sum.Unknown += r.Unknown
		sum.Failed += r.Failed
		sum.Unreachable += r.Unreachable
	}
	return sum
}

// plural is a number with its word: 1 host, 2 hosts.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// opaque says of each step whether anybody can foresee what it does. Where no
// step can tell and the result is that something would be run, it is every step.
func opaque(r runner.Result) []bool {
	marks, one := make([]bool, len(r.Change.Steps)), false
	for i, s := range r.Change.Steps {
		switch s := s.(type) {
		case interface{ Opaque() bool }:
			marks[i] = s.Opaque()
		case modules.Run:
			marks[i] = s.Opaque
		case modules.PodExec, modules.PodRun:
			marks[i] = true
		}
		one = one || marks[i]
	}
	if r.Status == runner.WouldRun && !one {
		for i := range marks {
			marks[i] = true
		}
	}
	return marks
}
