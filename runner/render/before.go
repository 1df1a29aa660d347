package render

import (
	"fmt"
	"slices"
	"strings"

	"runbook/runner"
)

// before is what a resumed run is told of its earlier life. One line stands for
// all that was done before; titles are held back until something below them is
// new. With -v everything is shown as it comes.
type before struct {
	folds bool
	quiet bool // nothing new has been shown yet: titles are held back
	play  *runner.PlayStarted
	task  *runner.TaskStarted
	held  []runner.TaskDone // of the task at hand
	tasks int               // all of whose results are from before
	bad   []string          // what failed before, in words

	changes int // results from before that changed something
}

// reveal ends the quiet: how much was done before, and the titles of what is
// new.
func (t *Terminal) reveal() {
	b := &t.before
	if !b.quiet {
		return
	}
	b.quiet = false
	if b.tasks == 0 {
		t.printf(blue, "\nResuming; no task was finished before")
	} else {
		t.printf(blue, "\nResuming; done before: %s", plural(b.tasks, "task"))
	}
	for _, line := range b.bad {
		t.printf(red, "%s", line)
	}
	play, task := b.play, b.task
	b.play, b.task, b.bad = nil, nil, nil
	if play != nil {
		t.playStarted(*play)
	}
	if task != nil {
		t.banner(taskTitle(*task))
	}
}

// recalled ends a task of which some results are from before: counted where
// all are, else shown, hosts with the same result on one line.
func (t *Terminal) recalled() {
	b := &t.before
	if len(b.held) == 0 {
		return
	}
	lines, faulty := folded(b.held)
	over := slices.ContainsFunc(b.held, func(e runner.TaskDone) bool { return !e.Part })
	b.held = nil
	if !b.quiet {
		for _, l := range lines {
			t.printf(l.tone, "%s", l.text)
		}
		return
	}
	if over {
		b.tasks++
	}
	for i, l := range lines {
		if faulty[i] {
			b.bad = append(b.bad, l.text+" ("+b.name()+")")
		}
	}
}

func (b *before) name() string {
	if b.task == nil {
		return "a task"
	}
	return b.task.Name
}

type toned struct {
	text string
	tone color
}

// folded is one line for hosts with the same result from before, and whether it
// is one to worry about. Of a loop that is not over, the items are counted.
func folded(held []runner.TaskDone) (lines []toned, faulty []bool) {
	whole, items := map[string]bool{}, map[string]int{}
	for _, e := range held {
		if e.Part {
			items[e.Host]++
		} else {
			whole[e.Host] = true
		}
	}
	hosts := map[toned][]string{}
	var order []toned
	for _, e := range held {
		if e.Part && whole[e.Host] {
			continue
		}
		l := toned{said(e, items[e.Host]), result(e.Result)}
		if hosts[l] == nil {
			order = append(order, l)
		}
		if who := target(e); !slices.Contains(hosts[l], who) {
			hosts[l] = append(hosts[l], who)
		}
	}
	for _, l := range order {
		what, why, _ := strings.Cut(l.text, "\x00")
		text := fmt.Sprintf("%s before: [%s]%s", what, strings.Join(foldNames(hosts[l]), ", "), why)
		lines, faulty = append(lines, toned{text, l.tone}), append(faulty, l.tone == red)
	}
	return lines, faulty
}

// said is what a result from before was, and after a zero byte what there is to
// say of it.
func said(e runner.TaskDone, items int) string {
	if e.Part {
		return "done\x00 " + plural(items, "item")
	}
	r := e.Result
	text := string(r.Status) + "\x00"
	if r.Status == runner.Failed || r.Status == runner.Unreachable {
		text += ": " + r.Msg
	}
	if r.Ignored {
		text += " ...ignoring"
	}
	return text
}

// result is the colour of a result.
func result(r runner.Result) color {
	switch r.Status {
	case runner.Failed, runner.Unreachable:
		if r.Ignored {
			return cyan
		}
		return red
	case runner.Changed:
		return yellow
	case runner.Skipped:
		return cyan
	}
	return green
}
