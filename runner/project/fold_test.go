package project

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

const restart = "site.yaml|web|restart|node1"

// changes is a task that changed something and notified the handler "restart".
func changes(play int, host string) runner.Outcome {
	return notifying(outcome(play, "tasks/0", host, runner.Changed), "restart")
}

func item(o runner.Outcome, n int) runner.Outcome {
	o.Item = n
	return o
}

func intending(play int, host string) runner.Intent {
	o := outcome(play, "tasks/0", host, runner.OK)
	return runner.Intent{Key: o.Key, Name: o.Name, Of: 1, Calls: []runner.Called{{Task: "handlers/0", Name: "restart"}}, At: o.At}
}

func unsettled(o runner.Outcome) runner.Outcome {
	o.Unsettled, o.Notified, o.Changed = true, nil, false
	return o
}

// Each case is runs one after the other; whether the state is folded at once, or
// kept in a checkpoint after each life, it must come out the same.
func TestPendingNotifications(t *testing.T) {
	failed := ended(runner.Summary{Failed: true})
	done := ended(runner.Summary{})
	type life struct {
		of      int // the run, from 1; a number that is not there yet begins it
		book    string
		records []runner.Record
		drop    string
	}
	one := func(records ...runner.Record) life { return life{of: 1, records: records} }
	two := func(records ...runner.Record) life { return life{of: 2, records: records} }
	web := begun(1, "web")
	tests := map[string]struct {
		lives []life
		want  []string
	}{
		"handled in the same run": {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.Changed), done)}, nil},
		"found as asked":          {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.OK), done)}, nil},
		"skipped":                 {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.Skipped), done)}, nil},
		"lost by a failure": {[]life{one(web, changes(1, "node1"), changes(1, "node2"),
			outcome(1, "tasks/1", "node1", runner.Failed), handler(1, "restart", "node2", runner.Changed), failed)}, []string{restart}},
		"lost by death":      {[]life{one(web, changes(1, "node1"))}, []string{restart}},
		"the handler failed": {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.Failed), failed)}, []string{restart}},
		"the host was lost":  {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.Unreachable), failed)}, []string{restart}},
		"notified again after the handler": {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node1", runner.Changed),
			notifying(outcome(1, "tasks/3", "node1", runner.Changed), "restart"))}, []string{restart}},
		"notified twice":         {[]life{one(web, changes(1, "node1"), notifying(outcome(1, "tasks/1", "node1", runner.Changed), "restart"))}, []string{restart}},
		"handled when resumed":   {[]life{one(web, changes(1, "node1")), one(web, handler(1, "restart", "node1", runner.Changed), done)}, nil},
		"resumed and died again": {[]life{one(web, changes(1, "node1")), one(web, outcome(1, "tasks/1", "node1", runner.OK))}, []string{restart}},
		"handled by another run": {[]life{one(web, changes(1, "node1"), failed), two(web, handler(1, "restart", "node1", runner.Changed), done)}, nil},
		"handled by another run, then resumed and notified again": {[]life{
			one(web, changes(1, "node1")), two(web, handler(1, "restart", "node1", runner.Changed), done),
			one(web, notifying(outcome(1, "tasks/1", "node1", runner.Changed), "restart"))}, []string{restart}},
		"another playbook's handler of that name": {[]life{one(web, changes(1, "node1"), failed),
			{of: 2, book: "other.yaml", records: []runner.Record{web, handler(1, "restart", "node1", runner.Changed), done}}}, []string{restart}},
		"another play's handler of that name": {[]life{one(web, changes(1, "node1"), begun(2, "db"), handler(2, "restart", "node1", runner.Changed), done)}, []string{restart}},
		"two plays with it":                   {[]life{one(web, changes(1, "node1"), begun(2, "db"), changes(2, "node1"))}, []string{restart, "site.yaml|db|restart|node1"}},
		"the play moved in the playbook": {[]life{one(web, changes(1, "node1"), failed),
			two(begun(2, "web"), handler(2, "restart", "node1", runner.Changed), done)}, nil},
		"another host":                   {[]life{one(web, changes(1, "node1"), handler(1, "restart", "node2", runner.Changed), done)}, []string{restart}},
		"a task of that name":            {[]life{one(web, changes(1, "node1"), named(outcome(1, "tasks/1", "node1", runner.OK), "restart"), done)}, []string{restart}},
		"may be notified":                {[]life{one(web, may(changes(1, "node1")), done)}, nil},
		"one item of the handler's loop": {[]life{one(web, changes(1, "node1"), item(handler(1, "restart", "node1", runner.Changed), 1))}, []string{restart}},
		"all items of the handler's loop": {[]life{one(web, changes(1, "node1"), item(handler(1, "restart", "node1", runner.Changed), 1),
			item(handler(1, "restart", "node1", runner.OK), 2), handler(1, "restart", "node1", runner.Changed), done)}, nil},
		"died in a step":                  {[]life{one(web, intending(1, "node1"))}, []string{restart}},
		"died in the second step":         {[]life{one(web, intending(1, "node1"), intending(1, "node1"))}, []string{restart}},
		"a step that changed nothing":     {[]life{one(web, intending(1, "node1"), outcome(1, "tasks/0", "node1", runner.OK), done)}, nil},
		"a step that failed":              {[]life{one(web, intending(1, "node1"), outcome(1, "tasks/0", "node1", runner.Failed), done)}, nil},
		"a step that changed something":   {[]life{one(web, intending(1, "node1"), changes(1, "node1"))}, []string{restart}},
		"connection lost in a step":       {[]life{one(web, intending(1, "node1"), unsettled(outcome(1, "tasks/0", "node1", runner.Unreachable)), failed)}, []string{restart}},
		"died in a step, never started":   {[]life{one(web, intending(1, "node1")), one(web, outcome(1, "tasks/0", "node1", runner.OK), done)}, nil},
		"died in a step, which had ended": {[]life{one(web, intending(1, "node1")), one(web, changes(1, "node1"))}, []string{restart}},
		"died in a step of two that notify": {[]life{one(web, changes(1, "node1"), intendingOther(1, "node1")),
			one(web, outcome(1, "tasks/5", "node1", runner.OK))}, []string{restart}},
		"died in a step, handled by another run": {[]life{one(web, intending(1, "node1")), two(web, handler(1, "restart", "node1", runner.Changed), done)}, nil},
		"dropped":                                {[]life{one(web, changes(1, "node1"), failed), {drop: "restart"}}, nil},
		"dropped, then resumed":                  {[]life{one(web, changes(1, "node1")), {drop: "restart"}, one(web, outcome(1, "tasks/1", "node1", runner.OK))}, nil},
		"handled by another run, then resumed": {[]life{one(web, changes(1, "node1")), two(web, handler(1, "restart", "node1", runner.Changed), done),
			one(web, outcome(1, "tasks/1", "node1", runner.OK))}, nil},
		"dropped too soon": {[]life{one(web, changes(1, "node1")), {drop: "restart"}, one(web, notifying(outcome(1, "tasks/1", "node1", runner.Changed), "restart"))}, []string{restart}},
		"adopted, of a run that nobody knows": {[]life{one(web, runner.Adopted{Pending: []runner.Notification{
			{Playbook: "site.yaml", Play: "web", Handler: "restart", Host: "node1", Run: "20260101-000000-gone"}}})}, []string{restart}},
	}
	for name, test := range tests {
		for _, checkpoints := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				ids := map[int]string{}
				for _, l := range test.lives {
					book := l.book
					if book == "" {
						book = "site.yaml"
					}
					switch {
					case l.drop != "":
						_, err := w.Drop(l.drop, nil, "ann")
						require.NoError(t, err)
					case ids[l.of] == "":
						ids[l.of] = w.run(book, l.records...)
					default:
						w.resume(ids[l.of], l.records...)
					}
					if checkpoints {
						require.NoError(t, w.Checkpoint())
					}
				}
				require.Equal(t, append([]string{}, test.want...), w.waiting())
				require.Empty(t, w.state().Notices)
			})
		}
	}
}

func named(o runner.Outcome, name string) runner.Outcome {
	o.Name = name
	return o
}

func may(o runner.Outcome) runner.Outcome {
	o.Notified[0].May = true
	return o
}

func intendingOther(play int, host string) runner.Intent {
	i := intending(play, host)
	i.Task = "tasks/5"
	return i
}

func TestWhatANotificationSays(t *testing.T) {
	w := newWorld(t)
	first := changes(1, "node1")
	id := w.run("site.yaml", begun(1, "web"), first)
	w.run("site.yaml", begun(1, "web"), notifying(outcome(1, "tasks/4", "node1", runner.Changed), "restart"))
	require.Equal(t, []runner.Notification{{
		Playbook: "site.yaml", Play: "web", Handler: "restart", Host: "node1", By: "task tasks/0", Run: id, At: first.At,
	}}, w.state().Pending, "the first says since when it is due")

	of, err := w.Pending("site.yaml")
	require.NoError(t, err)
	require.Len(t, of, 1)
	of, err = w.Pending("other.yaml")
	require.NoError(t, err)
	require.Empty(t, of)
}

func TestHostsAsTheyWereLastFound(t *testing.T) {
	w := newWorld(t)
	rescued := outcome(1, "tasks/2", "node3", runner.Failed)
	rescued.Rescued = true
	ignored := outcome(1, "tasks/3", "node3", runner.Failed)
	ignored.Ignored, ignored.Changed = true, true
	bad := outcome(1, "tasks/1", "node1", runner.Failed)
	bad.Msg = "no space left"
	w.run("old.yaml", begun(1, "web"), outcome(1, "tasks/0", "node1", runner.OK), outcome(1, "tasks/0", "node4", runner.OK), ended(runner.Summary{}))
	first := w.run("site.yaml", begun(1, "web"),
		outcome(1, "tasks/0", "node1", runner.Changed), bad, outcome(1, "tasks/0", "node2", runner.Unreachable),
		item(outcome(1, "tasks/0", "node3", runner.OK), 1), item(outcome(1, "tasks/0", "node3", runner.Changed), 2), item(outcome(1, "tasks/0", "node3", runner.Skipped), 3),
		outcome(1, "tasks/1", "node3", runner.Skipped), rescued, ignored, ended(runner.Summary{Failed: true}))

	hosts := w.state().Hosts
	require.Len(t, hosts, 4)
	require.Equal(t, Host{
		Name: "node1", Run: first, Playbook: "site.yaml", At: bad.At, Status: runner.Failed,
		Recap: runner.Recap{Host: "node1", OK: 1, Changed: 1, Failed: 1}, Task: "task tasks/1", Pos: "site.yaml:3:5", Msg: "no space left",
	}, hosts["node1"])
	require.Equal(t, runner.Unreachable, hosts["node2"].Status)
	require.Equal(t, runner.Recap{Host: "node3", OK: 2, Changed: 2, Skipped: 1, Rescued: 1, Ignored: 1}, hosts["node3"].Recap, "a loop counts once")
	require.Equal(t, runner.Changed, hosts["node3"].Status)
	require.Empty(t, hosts["node3"].Msg)
	require.Equal(t, "old.yaml", hosts["node4"].Playbook, "nobody has touched it since")

	require.NoError(t, w.Checkpoint())
	w.resume(first, begun(1, "web"), outcome(1, "tasks/1", "node1", runner.OK), ended(runner.Summary{}))
	got := w.state().Hosts["node1"]
	require.Equal(t, runner.Changed, got.Status)
	require.Equal(t, runner.Recap{Host: "node1", OK: 2, Changed: 1}, got.Recap, "with what the earlier life did")
	require.Equal(t, hosts["node2"], w.state().Hosts["node2"])
}
