// Package render shows a run's events to people and to programs.
//
// Three rules: stdout carries the result, stderr everything else; a terminal's
// control characters come from here and never from a target; what differs
// between a terminal and a pipe is colour, width and the progress line alone.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"runbook/modules"
	"runbook/runner"
)

// Options say how a run is shown.
type Options struct {
	Width     int // of a banner; 79 where zero
	Color     bool
	Verbosity int       // with 1 the results of ok and changed tasks too
	Diff      bool      // the differences of changed tasks too; in a plan, the whole of long ones
	Progress  io.Writer // a terminal for the overall line; nil: none
	Now       time.Time // that ages in tables are counted from, and its zone; this moment where zero
}

// Terminal prints a run as Ansible does, because people know it. In a plan,
// hosts with equal changes share one line. In a resumed run, what was done
// before is one line for all of it.
type Terminal struct {
	w        io.Writer
	o        Options
	err      error
	plan     bool
	held     []runner.TaskDone // of a plan: until the task is over, to be folded
	batches  int               // of the play that has most
	handlers handlers          // of a plan: which would run
	before   before
	faults   faults
	bar      *progress
	heard    time.Time // when a wait was last spoken of
}

const heartbeat = 30 * time.Second

// NewTerminal prints to w.
func NewTerminal(w io.Writer, o Options) *Terminal {
	if o.Width == 0 {
		o.Width = 79
	}
	return &Terminal{w: w, o: o, bar: newProgress(o.Progress)}
}

// Err is the first error of writing, if there was one.
func (t *Terminal) Err() error { return t.err }

// Event shows one event. After an error of writing it prints nothing more.
func (t *Terminal) Event(e runner.Event) {
	t.bar.clear()
	switch e := e.(type) {
	case runner.RunStarted:
		t.plan = e.Plan
		t.before.folds = e.Resumed && t.o.Verbosity == 0
		t.before.quiet = t.before.folds
		t.bar.start(e.Tasks)
		t.left(e.Pending)
	case runner.PlayStarted:
		t.flush()
		t.playStarted(e)
	case runner.TaskStarted:
		t.flush()
		t.taskStarted(e)
	case runner.TaskDone:
		t.taskDone(e)
	case runner.TaskRetried:
		t.reveal()
		t.printf(yellow, "FAILED - RETRYING: [%s]: %s (%d retries left).", e.Host, e.Task, e.Left)
	case runner.TaskWaiting:
		t.waiting(e)
	case runner.PlayStopped:
		t.flush()
		t.stopped(e)
	case runner.RunDone:
		t.flush()
		t.bar.finish()
		t.before.play, t.before.task = nil, nil // nothing is to come below them
		t.reveal()
		t.recap(e)
	}
	t.bar.draw()
}

// waiting says what a task waits for: in the overall line of a terminal, or, so
// that a log shows life without a line for every step of it, twice a minute.
func (t *Terminal) waiting(e runner.TaskWaiting) {
	t.bar.waiting(e.Host, sentence(e.For))
	if t.o.Verbosity == 0 && (t.o.Progress != nil || e.At.Sub(t.heard) < heartbeat) {
		return
	}
	t.heard = e.At
	t.reveal()
	t.printf(blue, "waiting: [%s]: %s", e.Host, sentence(e.For))
}

func (t *Terminal) playStarted(e runner.PlayStarted) {
	t.batches = max(t.batches, e.Batches)
	if t.before.quiet {
		t.before.play, t.before.task = &e, nil
		return
	}
	t.banner("PLAY [" + e.Name + "]")
	if e.Batches > 1 {
		t.printf(plain, "batch %d of %d: %s", e.Batch, e.Batches, strings.Join(foldNames(e.Hosts), ", "))
	}
}

func (t *Terminal) taskStarted(e runner.TaskStarted) {
	t.bar.task(e.Name)
	if t.before.quiet {
		t.before.task = &e
		return
	}
	t.banner(taskTitle(e))
}

func taskTitle(e runner.TaskStarted) string {
	if e.Handler {
		return "RUNNING HANDLER [" + e.Name + "]"
	}
	return "TASK [" + e.Name + "]"
}

func (t *Terminal) stopped(e runner.PlayStopped) {
	nobody := e.Reason == "no hosts matched"
	if nobody && t.before.quiet {
		return // as before
	}
	t.reveal()
	if nobody {
		t.printf(blue, "skipping: no hosts matched")
		return
	}
	t.banner(strings.ToUpper(e.Reason))
}

func (t *Terminal) taskDone(e runner.TaskDone) {
	if e.Result.Status == runner.Failed && !e.Result.Ignored && !e.Part || e.Result.Status == runner.Unreachable && !e.Part {
		t.faults.add(e)
	}
	if t.plan && e.Handler && !e.Part {
		t.handlers.add(e)
	}
	if e.Recalled && !e.Part && e.Result.Status == runner.Changed {
		t.before.changes++
	}
	if e.Recalled && t.before.folds {
		t.before.held = append(t.before.held, e)
		return
	}
	t.reveal()
	if e.Looped && !e.Part && e.Result.Status != runner.Skipped {
		return // its items have been shown
	}
	if t.plan && !e.Result.Shown && e.Result.Status != runner.Failed && e.Result.Status != runner.Unreachable {
		t.held = append(t.held, e)
		return
	}
	t.line(e, target(e))
	t.details(e)
}

// target is a host as a line names it.
func target(e runner.TaskDone) string {
	name := e.Host
	if e.Delegate != "" {
		name += " -> " + e.Delegate
	}
	return name
}

func (t *Terminal) line(e runner.TaskDone, who string) {
	item := ""
	if e.Item != nil {
		item = fmt.Sprintf(" => (item=%s)", *e.Item)
	}
	r := e.Result
	when := ""
	if e.Recalled {
		when = " before"
	}
	switch r.Status {
	case runner.OK:
		t.printf(green, "ok%s: [%s]%s%s", when, who, item, t.shown(r))
	case runner.Changed:
		t.printf(yellow, "changed%s: [%s]%s%s", when, who, item, t.shown(r))
	case runner.Skipped:
		t.printf(cyan, "skipping%s: [%s]%s%s", when, who, item, t.reason(r))
	case runner.Failed:
		t.failed(e, who, when)
	case runner.Unreachable:
		t.printf(red, "fatal%s: [%s]: UNREACHABLE! => %s", when, who, jsonOf(map[string]any{"changed": false, "msg": r.Msg, "unreachable": true}, false))
	case runner.Unknown:
		t.printf(magenta, "known after apply: [%s]%s: %s", who, item, r.Msg)
	default:
		t.printf(yellow, "%s: [%s]%s", r.Status, who, item)
	}
}

func (t *Terminal) failed(e runner.TaskDone, who, when string) {
	vars := map[string]any{}
	for k, v := range e.Result.Vars {
		vars[k] = v
	}
	vars["changed"], vars["msg"] = e.Result.Changed, e.Result.Msg
	delete(vars, "failed")
	if e.Item != nil {
		t.printf(red, "failed%s: [%s] (item=%s) => %s", when, who, *e.Item, jsonOf(vars, t.o.Verbosity > 0))
	} else {
		t.printf(red, "fatal%s: [%s]: FAILED! => %s", when, who, jsonOf(vars, t.o.Verbosity > 0))
	}
	if e.Result.Ignored {
		t.printf(cyan, "...ignoring")
	}
}

// shown is a result in the line itself: what debug prints, and everything with -v.
func (t *Terminal) shown(r runner.Result) string {
	if !r.Shown && t.o.Verbosity == 0 {
		return ""
	}
	vars := map[string]any{}
	for k, v := range r.Vars {
		if !r.Shown || (k != "changed" && k != "failed") {
			vars[k] = v
		}
	}
	return " => " + jsonOf(vars, true)
}

func (t *Terminal) reason(r runner.Result) string {
	if t.o.Verbosity == 0 {
		return ""
	}
	return " => " + r.Msg
}

// details are the lines below a result: what differs, what would be done, and
// what people should know.
func (t *Terminal) details(e runner.TaskDone) {
	c := e.Result.Change
	if t.plan || (t.o.Diff && e.Result.Status == runner.Changed) {
		for _, d := range c.Diffs {
			t.diff(d)
		}
	}
	if t.plan {
		for i, unforeseen := range opaque(e.Result) {
			t.step(c.Steps[i].String(), unforeseen)
		}
	}
	for _, n := range c.Notes {
		t.printf(magenta, "  note: %s", n)
	}
}

// step is one thing that would be done, or was.
func (t *Terminal) step(words string, unforeseen bool) {
	words = strings.ReplaceAll(words, "\n", "\n      ")
	if unforeseen {
		t.printf(yellow, "    run: %s (cannot be foreseen)", words)
		return
	}
	t.printf(plain, "    $ %s", words)
}

func (t *Terminal) diff(d modules.Diff) {
	if d.Text {
		t.printf(plain, "  %s:", d.What)
		t.unified(d)
		return
	}
	t.printf(plain, "  %s", change(d))
}

func change(d modules.Diff) string {
	if d.Want == "" {
		return d.What + ": " + d.Have
	}
	return fmt.Sprintf("%s: %s -> %s", d.What, d.Have, d.Want)
}

func sentence(diffs []modules.Diff) string {
	parts := make([]string, len(diffs))
	for i, d := range diffs {
		parts[i] = change(d)
		if d.Text {
			parts[i] = d.What
		}
	}
	return strings.Join(parts, "; ")
}

// banner is a title after an empty line, filled up with stars, three at least.
func (t *Terminal) banner(title string) {
	stars := max(3, t.o.Width-utf8.RuneCountInString(title)-1)
	t.printf(plain, "\n%s %s", title, strings.Repeat("*", stars))
}

// printf prints one or more lines. Whatever the arguments carry, no control
// character of theirs reaches the terminal.
func (t *Terminal) printf(c color, format string, args ...any) {
	if t.err != nil {
		return
	}
	text := clean(fmt.Sprintf(format, args...))
	if t.o.Color && c != plain {
		text = string(c) + text + reset
	}
	_, t.err = fmt.Fprintln(t.w, text)
}

// jsonOf is a value as JSON: on one line, or indented as Ansible prints it.
func jsonOf(v any, wide bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if wide {
		enc.SetIndent("", "    ")
	}
	if err := enc.Encode(v); err != nil {
		return fmt.Sprintf("%q", err.Error())
	}
	return strings.TrimRight(b.String(), "\n")
}
