package project

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

func (w *world) runs() []Run {
	w.Helper()
	runs, err := w.Runs()
	require.NoError(w, err)
	return runs
}

func TestStatesOfRuns(t *testing.T) {
	tests := map[string]struct {
		records []runner.Record
		want    string
	}{
		"done":               {[]runner.Record{ended(runner.Summary{Changes: true})}, Done},
		"a host failed":      {[]runner.Record{ended(runner.Summary{Failed: true})}, Failed},
		"a host was lost":    {[]runner.Record{ended(runner.Summary{Unreachable: true})}, Failed},
		"interrupted":        {[]runner.Record{runner.Halted{Reason: "interrupted"}}, Interrupted},
		"ended, interrupted": {[]runner.Record{ended(runner.Summary{Interrupted: true, Failed: true})}, Interrupted},
		"died":               {[]runner.Record{begun(1, "web")}, Died},
		"died at once":       {nil, Died},
		"died after a halt":  {[]runner.Record{runner.Halted{Reason: "the journal is full"}}, Died},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.run("site.yaml", test.records...)
			w.run("other.yaml") // has the lock's name now
			runs := w.runs()
			require.Len(t, runs, 2)
			require.Equal(t, id, runs[0].ID)
			require.Equal(t, test.want, runs[0].State)
			require.Equal(t, test.want == Done || test.want == Failed, runs[0].Finished())
			require.Equal(t, Running, runs[1].State)
		})
	}
}

func TestWhatAListSaysOfARun(t *testing.T) {
	w := newWorld(t)
	id := w.run("site.yaml", begun(1, "web"), changes(1, "node2"), changes(1, "node1"))
	w.resume(id, begun(1, "web"), outcome(1, "tasks/1", "node1", runner.Failed))
	w.run("other.yaml", ended(runner.Summary{}))
	r := w.runs()[0]
	require.Equal(t, 2, r.Lives)
	require.Equal(t, 2, r.Pending)
	require.Equal(t, "ann@control", r.Header.Who)
	require.Equal(t, r.Header.At, r.Began)
	require.Equal(t, outcome(1, "tasks/1", "node1", runner.Failed).At, r.Last)
	require.Equal(t, []runner.Recap{{Host: "node1", OK: 1, Changed: 1, Failed: 1}, {Host: "node2", OK: 1, Changed: 1}}, r.Recap, "as far as it came")

	recap := []runner.Recap{{Host: "node1", OK: 7}}
	w.resume(id, runner.Ended{Recap: recap, At: w.tick().Add(24 * time.Hour)})
	w.run("other.yaml")
	require.Equal(t, recap, w.runs()[0].Recap)
	require.Equal(t, Done, w.runs()[0].State)
}

func TestTurnsRiseThroughAllRuns(t *testing.T) {
	w := newWorld(t)
	first := w.run("a.yaml")
	second := w.run("b.yaml")
	w.resume(first)
	require.NoError(t, w.Checkpoint())
	third := w.run("c.yaml")
	turns := map[string][]int{}
	for _, id := range []string{first, second, third} {
		c, err := w.Contents(id)
		require.NoError(t, err)
		for _, l := range c.Lives {
			turns[id] = append(turns[id], l.Turn)
		}
	}
	require.Equal(t, map[string][]int{first: {1, 3}, second: {2}, third: {4}}, turns)
	require.Regexp(t, regexp.MustCompile(`^20261123-0045\d\d-[0-9a-z]{4}$`), first)
}

// The order is that of the turns: a clock that is set back changes nothing.
func TestOrderDoesNotHangOnTheClock(t *testing.T) {
	w := newWorld(t)
	first := w.run("a.yaml")
	w.clock = w.clock.Add(-24 * time.Hour)
	second := w.run("b.yaml")
	damage(t, w, w.run("c.yaml", begun(1, "web")))
	w.clock = w.clock.Add(-24 * time.Hour)
	fourth := w.run("d.yaml")
	var ids []string
	for _, r := range w.runs() {
		if r.Damage == nil {
			ids = append(ids, r.ID)
		}
	}
	require.Equal(t, []string{first, second, fourth}, ids)
	c, err := w.Contents("last")
	require.NoError(t, err)
	require.Equal(t, fourth, c.Header.Run)
}

func TestADamagedRunIsListed(t *testing.T) {
	w := newWorld(t)
	w.run("a.yaml", ended(runner.Summary{}))
	bad := w.run("b.yaml", begun(1, "web"), changes(1, "node1"))
	w.run("c.yaml", ended(runner.Summary{}))
	require.NoError(t, w.Checkpoint())
	damage(t, w, bad)
	require.NoError(t, os.Mkdir(w.RunDir("20261123-000000-none"), 0o700))
	require.NoError(t, os.Mkdir(w.RunDir(goingPrefix+"x"), 0o700))
	runs := w.runs()
	require.Len(t, runs, 3, "a run that never began is none, and one on its way out neither")
	require.Equal(t, bad, runs[1].ID)
	require.Equal(t, Damaged, runs[1].State)
	var d *journal.Damage
	require.ErrorAs(t, runs[1].Damage, &d)
	require.Equal(t, 2, d.Line)
	require.Equal(t, 1, runs[1].Pending, "what was known of it before stays known")
	_, err := w.Contents(bad)
	require.ErrorAs(t, err, &d)
}

func TestIdsMayBeShort(t *testing.T) {
	w := newWorld(t)
	_, err := w.Contents("")
	require.ErrorContains(t, err, "no run yet")
	_, err = w.Contents("2026")
	require.ErrorContains(t, err, "no run is kept here")
	first, second := w.run("a.yaml"), w.run("b.yaml")
	for _, id := range []string{first, first[:len(first)-1], first[:15]} {
		c, err := w.Contents(id)
		require.NoError(t, err, id)
		require.Equal(t, first, c.Header.Run)
	}
	for _, id := range []string{"", "last"} {
		c, err := w.Contents(id)
		require.NoError(t, err)
		require.Equal(t, second, c.Header.Run)
	}
	slip := first[:len(first)-1] + "!"
	for id, want := range map[string]string{
		"2026":                 "2 runs begin with",
		"nonsense":             "the newest is " + second,
		slip:                   first,
		first[16:]:             "near it there are " + first,
		"20261123-999999-zzzz": first + ", " + second,
		"../runs/" + first:     "no run",
		"..":                   "no run",
	} {
		_, err := w.Contents(id)
		require.ErrorContains(t, err, want, id)
	}
}

func TestResumable(t *testing.T) {
	w := newWorld(t)
	resumable := func() string {
		r, ok, err := w.Resumable()
		require.NoError(t, err)
		require.Equal(t, ok, r.ID != "")
		return r.ID
	}
	require.Empty(t, resumable())
	died := w.run("a.yaml", begun(1, "web"))
	require.Empty(t, resumable(), "it is at work")
	failed := w.run("b.yaml", ended(runner.Summary{Failed: true}))
	require.NoError(t, w.name(""))
	require.Equal(t, failed, resumable())
	w.run("b.yaml", ended(runner.Summary{}))
	require.NoError(t, w.name(""))
	require.Equal(t, died, resumable(), "a later run has brought the other playbook to its end")
	w.resume(died, ended(runner.Summary{}))
	require.NoError(t, w.name(""))
	require.Empty(t, resumable())
}

func TestResumeCutsATornTail(t *testing.T) {
	w := newWorld(t)
	id := w.run("a.yaml", begun(1, "web"), changes(1, "node1"))
	path := filepath.Join(w.RunDir(id), journalFile)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data[:len(data)-9], 0o600))
	require.NoError(t, w.Checkpoint())
	require.Empty(t, w.waiting(), "what is torn was never said")
	f, err := w.fold()
	require.NoError(t, err)
	require.EqualValues(t, -1, f.Folded[runsDir+"/"+id].Size, "what comes in the place of the torn line may be as long")
	w.resume(id, begun(1, "web"), changes(1, "node2"))
	require.Equal(t, []string{"a.yaml|web|restart|node2"}, w.waiting())
	require.NoError(t, w.Checkpoint())
	require.Equal(t, []string{"a.yaml|web|restart|node2"}, w.waiting())
}

func TestPrune(t *testing.T) {
	ok, bad := ended(runner.Summary{}), ended(runner.Summary{Failed: true})
	build := func(t *testing.T) (*world, map[string]string) {
		w := newWorld(t)
		day := func() { w.clock = w.clock.Add(24 * time.Hour) }
		ids := map[string]string{}
		at := func(r runner.Ended) runner.Ended { r.At = w.clock; return r }
		ids["done"] = w.run("a.yaml", begun(1, "web"), at(ok))
		day()
		ids["overtaken"] = w.run("a.yaml", begun(1, "web"), changes(1, "node1"), at(bad))
		day()
		ids["died"] = w.run("b.yaml", begun(1, "web"))
		ids["damaged"] = w.run("b.yaml", begun(1, "web"), changes(1, "node2"), at(ok))
		day()
		ids["later"] = w.run("a.yaml", begun(1, "web"), at(ok))
		ids["now"] = w.run("c.yaml", begun(1, "web"))
		damage(t, w, ids["damaged"])
		return w, ids
	}
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		keep   int
		before time.Time
		want   []string
	}{
		"all that can":  {0, time.Time{}, []string{"done", "overtaken", "later"}},
		"keep some":     {4, time.Time{}, []string{"done", "overtaken"}},
		"keep all":      {10, time.Time{}, nil},
		"the old":       {0, start.Add(24 * time.Hour), []string{"done"}},
		"old and many":  {5, start.Add(72 * time.Hour), []string{"done"}},
		"nothing older": {0, start, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, ids := build(t)
			var want []string
			for _, n := range test.want {
				want = append(want, ids[n])
			}
			got, err := w.Prune(test.keep, test.before, true)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Len(t, w.runs(), 6, "a dry run removes nothing")
			before := w.waiting()
			require.Equal(t, []string{"a.yaml|web|restart|node1"}, before)

			got, err = w.Prune(test.keep, test.before, false)
			require.NoError(t, err)
			require.Equal(t, want, got)
			for _, r := range w.runs() {
				require.NotContains(t, got, r.ID)
			}
			require.Len(t, w.runs(), 6-len(want))
			require.Equal(t, before, w.waiting(), "what they left pending stays pending")
			require.Contains(t, w.state().Hosts, "node1")
			for _, id := range got {
				require.NoDirExists(t, w.RunDir(id))
			}
		})
	}
}

func TestPendingOutlivesPruneAndCheckpoint(t *testing.T) {
	w := newWorld(t)
	w.run("a.yaml", begun(1, "web"), changes(1, "node1"), ended(runner.Summary{Failed: true}))
	w.run("a.yaml", ended(runner.Summary{}))
	require.NoError(t, w.name(""))
	gone, err := w.Prune(0, time.Time{}, false)
	require.NoError(t, err)
	require.Len(t, gone, 2)
	highest := w.state().Turn
	require.NoError(t, os.WriteFile(w.path(stateFile), []byte("junk"), 0o600))
	require.Equal(t, []string{"a.yaml|web|restart|node1"}, w.waiting(), "the copy knows it")
	id := w.run("a.yaml", begun(1, "web"), handler(1, "restart", "node1", runner.OK))
	require.Empty(t, w.waiting())
	c, err := w.Contents(id)
	require.NoError(t, err)
	require.Equal(t, highest+1, c.Header.Turn, "a turn is never given twice")
}

func TestRemoveByName(t *testing.T) {
	w := newWorld(t)
	died := w.run("a.yaml", begun(1, "web"), changes(1, "node1"))
	_, err := w.Remove(died)
	require.ErrorContains(t, err, "at work")
	now := w.run("a.yaml")
	id, err := w.Remove(died[:len(died)-1])
	require.NoError(t, err)
	require.Equal(t, died, id)
	require.NoDirExists(t, w.RunDir(died))
	require.DirExists(t, w.RunDir(now))
	require.Len(t, w.waiting(), 1)
}

func TestAPruneThatDiedIsFinishedByTheNext(t *testing.T) {
	w := newWorld(t)
	w.run("a.yaml", ended(runner.Summary{}))
	require.NoError(t, os.Mkdir(w.RunDir(goingPrefix+"20261123-000000-half"), 0o700))
	require.NoError(t, os.Mkdir(w.RunDir("20261123-000000-none"), 0o700))
	_, err := w.Prune(9, time.Time{}, false)
	require.NoError(t, err)
	left, err := os.ReadDir(w.path(runsDir))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestDrop(t *testing.T) {
	w := newWorld(t)
	_, err := w.Drop("restart", nil, "ann")
	require.ErrorContains(t, err, "nothing is")
	w.run("a.yaml", begun(1, "web"), changes(1, "node1"), changes(1, "node2"), notifying(outcome(1, "tasks/1", "node1", runner.Changed), "reload"), ended(runner.Summary{Failed: true}))
	for _, bad := range []struct {
		handler string
		hosts   []string
		want    string
	}{
		{"restrat", nil, `did you mean "restart"?`},
		{"start the fire", nil, "pending is reload, restart"},
		{"restart", []string{"node1", "nod2"}, `did you mean "node2"?`},
		{"reload", []string{"node2"}, "not pending on node2"},
	} {
		_, err := w.Drop(bad.handler, bad.hosts, "ann")
		require.ErrorContains(t, err, bad.want)
	}
	require.Len(t, w.waiting(), 3, "a mistake drops nothing")

	dropped, err := w.Drop("restart", []string{"node2"}, "bob@control")
	require.NoError(t, err)
	require.Len(t, dropped, 1)
	require.Equal(t, "node2", dropped[0].Host)
	require.Equal(t, []string{"a.yaml|web|restart|node1", "a.yaml|web|reload|node1"}, w.waiting())
	dropped, err = w.Drop("restart", nil, "bob@control")
	require.NoError(t, err)
	require.Len(t, dropped, 1)
	require.Len(t, w.runs(), 1, "a drop is no run")

	require.NoError(t, os.Remove(w.path(stateFile)))
	require.NoError(t, os.Remove(w.path(copyFile)))
	require.Equal(t, []string{"a.yaml|web|reload|node1"}, w.waiting(), "the drops are on record")

	w.run("a.yaml", ended(runner.Summary{}))
	w.run("b.yaml")
	_, err = w.Prune(1, time.Time{}, false)
	require.NoError(t, err)
	left, err := w.list(dropsDir)
	require.NoError(t, err)
	require.Empty(t, left, "older than every run that is left, they are of no use")
	require.Equal(t, []string{"a.yaml|web|reload|node1"}, w.waiting())
}

func TestADropWhoseRunIsLeftIsLeft(t *testing.T) {
	w := newWorld(t)
	w.run("a.yaml", begun(1, "web"), changes(1, "node1"), ended(runner.Summary{Failed: true}))
	_, err := w.Drop("restart", nil, "ann")
	require.NoError(t, err)
	_, err = w.Prune(1, time.Time{}, false)
	require.NoError(t, err)
	require.NoError(t, os.Remove(w.path(stateFile)))
	require.NoError(t, os.Remove(w.path(copyFile)))
	require.Empty(t, w.waiting())
}
