package cli

import (
	"slices"

	"runbook/runner"
)

// handler names a handler of a play on a host, by the names that notifications have.
type handler struct{ play, name, host string }

func of(n runner.Notification) handler { return handler{n.Play, n.Handler, n.Host} }

// remember is the past of a resumed run, and the handlers that other runs of the
// playbook left. What is pending of all runs together has the last word on what
// is still to be run: a notification that was dropped, or that another run has
// carried out, is none any more.
func (l *live) remember(records []runner.Record, pending []runner.Notification) (*runner.Past, []runner.Notification) {
	open := map[handler]bool{}
	for _, n := range pending {
		open[of(n)] = true
	}
	records = settled(records, open)
	past := runner.Fold(records)
	adopted := map[handler]bool{}
	for _, n := range past.Adopted {
		adopted[of(n)] = true
	}
	others := slices.DeleteFunc(slices.Clone(pending), func(n runner.Notification) bool { return n.Run == l.id || adopted[of(n)] })
	return past, l.planned(others)
}

// settled is the records without the notifications that are not open any more.
// Those whose handler the run itself has come to are left to the engine.
func settled(records []runner.Record, open map[handler]bool) []runner.Record {
	plays := map[int]string{}
	type place struct {
		play       int
		task, host string
	}
	ran, named := map[place]bool{}, map[handler]bool{}
	for _, r := range records {
		switch r := r.(type) {
		case runner.BatchBegun:
			plays[r.Play] = r.Name
		case runner.Outcome:
			if r.Handler {
				ran[place{r.Play, r.Task, r.Host}] = true
				named[handler{plays[r.Play], r.Name, r.Host}] = true
			}
		}
	}
	out := slices.Clone(records)
	for i, r := range out {
		switch r := r.(type) {
		case runner.Outcome:
			r.Notified = slices.DeleteFunc(slices.Clone(r.Notified), func(c runner.Called) bool {
				return !c.May && !open[handler{plays[r.Play], c.Name, r.Host}] && !ran[place{r.Play, c.Task, r.Host}]
			})
			out[i] = r
		case runner.Adopted:
			r.Pending = slices.DeleteFunc(slices.Clone(r.Pending), func(n runner.Notification) bool { return !open[of(n)] && !named[of(n)] })
			out[i] = r
		}
	}
	return out
}

// planned is the notifications that the run may take over: where it carries out
// a plan, those that the plan has. The others stay pending.
func (l *live) planned(pending []runner.Notification) []runner.Notification {
	if l.signed == nil {
		return pending
	}
	in := map[handler]bool{}
	for _, n := range l.signed.Pending {
		in[of(n)] = true
	}
	return slices.DeleteFunc(pending, func(n runner.Notification) bool { return !in[of(n)] })
}
