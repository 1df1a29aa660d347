package render

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"runbook/modules"
	"runbook/runner"
)

// Account is what a run did, for Work.
type Account struct {
	Batches  []runner.BatchBegun // for the names of the plays
	Outcomes []runner.Outcome    // in the order of the journal; of several with the same key the last counts
	Begun    []runner.Intent     // steps of which it is not known how they ended
}

// Work shows what a run did, by play, task and host, hosts of which the same is
// to be said in one line. What the steps printed is shown where the outcomes
// have it. The error is that of writing.
func Work(w io.Writer, a Account, o Options) error {
	t := NewTerminal(w, o)
	t.plan = true // details are shown as those of a plan
	plays := map[int]string{}
	for _, b := range a.Batches {
		plays[b.Play] = b.Name
	}
	play := 0
	for _, g := range grouped(latest(a.Outcomes)) {
		if first := g[0]; first.Play != play {
			play = first.Play
			t.banner("PLAY [" + cmp.Or(plays[play], strconv.Itoa(play)) + "]")
		}
		t.worked(g, o)
	}
	if len(a.Begun) > 0 {
		t.banner("BEGUN, AND THE END IS NOT KNOWN")
	}
	for _, i := range a.Begun {
		t.printf(red, "unknown: [%s] %s: step %d of %d, begun %s", i.Host, i.Name, i.Step+1, i.Of, when(i.At, o.now()))
		t.step(i.Command, i.Opaque)
	}
	if len(a.Outcomes)+len(a.Begun) == 0 {
		t.printf(plain, "No task has come to a result.")
	}
	return t.err
}

// latest is the last outcome of each piece of work, at the place of the first.
func latest(all []runner.Outcome) []runner.Outcome {
	place := map[runner.Key]int{}
	var out []runner.Outcome
	for _, o := range all {
		if at, again := place[o.Key]; again {
			out[at] = o
			continue
		}
		place[o.Key] = len(out)
		out = append(out, o)
	}
	return out
}

// grouped is the outcomes of one task after those of another, in the order in
// which the tasks came up. A handler that came up twice is two.
func grouped(all []runner.Outcome) [][]runner.Outcome {
	type task struct {
		play, visit int
		task        string
	}
	place := map[task]int{}
	var out [][]runner.Outcome
	for _, o := range all {
		k := task{o.Play, o.Visit, o.Task}
		at, known := place[k]
		if !known {
			at = len(out)
			place[k], out = at, append(out, nil)
		}
		out[at] = append(out[at], o)
	}
	slices.SortStableFunc(out, func(a, b []runner.Outcome) int { return cmp.Compare(a[0].Play, b[0].Play) })
	return out
}

// alike is outcomes of which the same is to be said.
type alike struct {
	runner.Outcome
	hosts   []string
	longest time.Duration
	last    time.Time
}

// worked is one task as a table.
func (t *Terminal) worked(g []runner.Outcome, o Options) {
	title := runner.TaskStarted{Name: g[0].Name, Handler: g[0].Handler}
	t.banner(taskTitle(title))
	found := map[string]*alike{}
	var order []*alike
	for _, out := range itemized(g) {
		k := jsonOf([]any{out.Item, out.Label, state(out), out.Msg, out.Diffs, out.Steps, out.Notes, out.Settled, out.Notified, out.Stdout, out.Stderr}, false)
		if found[k] == nil {
			found[k] = &alike{Outcome: out}
			order = append(order, found[k])
		}
		a := found[k]
		a.hosts = append(a.hosts, out.Host)
		a.longest = max(a.longest, out.Took)
		if out.At.After(a.last) {
			a.last = out.At
		}
	}
	var rows []row
	for _, a := range order {
		rows = append(rows, row{cells: a.cells(o), tone: shade(a.Outcome), below: func() { t.about(a.Outcome) }})
	}
	t.table(o.Width, []column{{}, {shrinks: true}, {right: true}, {}}, rows)
}

// whole marks the outcome of a loop as opposed to those of its items.
const whole = -1

// itemized is a task's outcomes by host, those of a loop's items before the
// whole, of which is kept only what the items do not say.
func itemized(g []runner.Outcome) []runner.Outcome {
	loops := map[string]bool{}
	for _, o := range g {
		loops[o.Host] = loops[o.Host] || o.Item > 0
	}
	var items, wholes []runner.Outcome
	for _, o := range g {
		switch {
		case o.Item > 0 || !loops[o.Host]:
			items = append(items, o)
		case len(o.Notified) > 0 || o.Unsettled:
			o.Item, o.Msg, o.Diffs, o.Steps, o.Notes = whole, "", nil, nil, nil
			wholes = append(wholes, o)
		}
	}
	all := append(items, wholes...)
	slices.SortStableFunc(all, func(a, b runner.Outcome) int { return byNumber(a.Host, b.Host) })
	return all
}

func (a *alike) cells(o Options) []string {
	who := strings.Join(foldNames(a.hosts), ", ")
	switch {
	case a.Item == whole:
		who += " (all items)"
	case a.Item > 0:
		who += " (item=" + a.Label + ")"
	}
	long := took(a.longest)
	if len(a.hosts) > 1 {
		long = "up to " + long
	}
	return []string{state(a.Outcome), who, long, when(a.last, o.now())}
}

// state is an outcome's status, and what became of a failure.
func state(o runner.Outcome) string {
	switch {
	case o.Unsettled:
		return string(o.Status) + ", unsettled"
	case o.Ignored:
		return string(o.Status) + ", ignored"
	case o.Rescued:
		return string(o.Status) + ", rescued"
	}
	return string(o.Status)
}

func shade(o runner.Outcome) color {
	return result(runner.Result{Status: o.Status, Ignored: (o.Ignored || o.Rescued) && !o.Unsettled})
}

// about is what there is to say of an outcome, below its line.
func (t *Terminal) about(o runner.Outcome) {
	if o.Msg != "" && (o.Status != runner.Skipped || t.o.Verbosity > 0) {
		t.printf(plain, "  %s", indented(o.Msg, "  "))
	}
	t.details(runner.TaskDone{Result: resultOf(o)})
	if o.Settled != "" {
		t.printf(magenta, "  note: %s", o.Settled)
	}
	if o.Unsettled {
		t.printf(magenta, "  note: a step was at work when the connection or the run ended; a resumed run asks what became of it")
	}
	for _, c := range o.Notified {
		may := ""
		if c.May {
			may = " (maybe)"
		}
		t.printf(plain, "  notifies: %s%s", c.Name, may)
	}
	t.printed("stdout", o.Stdout)
	t.printed("stderr", o.Stderr)
}

func (t *Terminal) printed(name, text string) {
	if text != "" {
		t.printf(plain, "  %s:\n    | %s", name, indented(strings.TrimSuffix(text, "\n"), "    | "))
	}
}

// indented is text whose lines after the first begin with indent.
func indented(text, indent string) string { return strings.ReplaceAll(text, "\n", "\n"+indent) }

// resultOf is an outcome as the result of which it was kept.
func resultOf(o runner.Outcome) runner.Result {
	r := runner.Result{Status: o.Status, Changed: o.Changed, Ignored: o.Ignored, Msg: o.Msg}
	r.Change = modules.Change{Diffs: o.Diffs, Notes: o.Notes}
	for _, words := range o.Steps {
		r.Change.Steps = append(r.Change.Steps, told{words: words, opaque: o.Opaque})
	}
	return r
}

// told is a step of which only the words are left.
type told struct {
	modules.Step
	words  string
	opaque bool
}

func (s told) String() string { return s.words }

// Opaque says whether nobody could foresee what the step does.
func (s told) Opaque() bool { return s.opaque }
