package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"runbook/runner"
	"runbook/runner/source"
)

// fault is one failure, and every host that had it.
type fault struct {
	task, msg string
	pos       source.Pos
	hosts     []string
}

func (f *fault) Error() string {
	where := f.task
	if at := f.pos.String(); at != "" {
		where += " (" + at + ")"
	}
	return fmt.Sprintf("%s: %s: %s", strings.Join(foldNames(f.hosts), ", "), where, f.msg)
}

// faults collects what hosts reported, equal ones once.
type faults []*fault

func (fs *faults) add(e runner.TaskDone) {
	for _, f := range *fs {
		if f.task == e.Task && f.msg == e.Result.Msg && f.pos == e.Pos {
			f.hosts = append(f.hosts, e.Host)
			return
		}
	}
	*fs = append(*fs, &fault{task: e.Task, msg: e.Result.Msg, pos: e.Pos, hosts: []string{e.Host}})
}

// err is all of them as one error, by their first host and then by task; nil if
// there is none. The order of their arrival is another in each run.
func (fs faults) err() error {
	slices.SortFunc(fs, func(a, b *fault) int {
		return cmp.Or(cmp.Compare(slices.Min(a.hosts), slices.Min(b.hosts)), cmp.Compare(a.task, b.task), cmp.Compare(a.msg, b.msg))
	})
	var all *multierror.Error
	for _, f := range fs {
		all = multierror.Append(all, f)
	}
	if all != nil {
		all.ErrorFormat = func(errs []error) string {
			texts := make([]string, len(errs))
			for i, err := range errs {
				texts[i] = strings.ReplaceAll(err.Error(), "\n", "\n    ")
			}
			return strings.Join(texts, "\n")
		}
	}
	return all.ErrorOrNil()
}

func (t *Terminal) recap(e runner.RunDone) {
	t.banner("PLAY RECAP")
	for _, r := range e.Recap {
		if e.Plan {
			t.printf(tone(r), "%-26s : ok=%-4d change=%-4d run=%-4d wait=%-4d maybe=%-4d skipped=%-4d failed=%-4d unreachable=%-4d",
				r.Host, r.OK, r.WouldChange, r.WouldRun, r.WouldWait, r.Unknown, r.Skipped, r.Failed, r.Unreachable)
			continue
		}
		t.printf(tone(r), "%-26s : ok=%-4d changed=%-4d unreachable=%-4d failed=%-4d skipped=%-4d rescued=%-4d ignored=%-4d",
			r.Host, r.OK, r.Changed, r.Unreachable, r.Failed, r.Skipped, r.Rescued, r.Ignored)
	}
	if err := t.faults.err(); err != nil {
		t.printf(plain, "")
		t.printf(red, "%s", err.Error())
	}
	if e.Plan {
		t.printf(plain, "\n%s", t.planned(e))
		return
	}
	t.remaining(e.Pending)
	t.printf(plain, "\n%s took %s", t.verdict(e), e.Took.Round(100*time.Millisecond))
}

func tone(r runner.Recap) color {
	switch {
	case r.Failed+r.Unreachable > 0:
		return red
	case r.Changed+r.WouldChange+r.WouldRun > 0:
		return yellow
	}
	return green
}

// verdict is what an apply came to. A resumed run speaks of all its lives.
func (t *Terminal) verdict(e runner.RunDone) string {
	changed, bad := 0, 0
	for _, r := range e.Recap {
		changed += r.Changed
		bad += r.Failed + r.Unreachable
	}
	count := fmt.Sprintf("%d changed", changed)
	if n := t.before.changes; n > 0 {
		count += fmt.Sprintf(", %d of them before", n)
	}
	switch {
	case bad > 0:
		return "Failed: " + count + ";"
	case changed == 0:
		return "Nothing to do;"
	}
	return "Done: " + count + ";"
}
