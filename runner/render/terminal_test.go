package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
	"runbook/runner/source"
)

var (
	file = &source.File{Name: "site.yaml"}
	at   = source.Pos{File: file, Line: 4, Col: 7}
)

func done(host string, r runner.Result) runner.TaskDone {
	return runner.TaskDone{Task: "Upgrade", Host: host, Pos: at, Result: r}
}

func show(o Options, events ...runner.Event) string {
	var b bytes.Buffer
	t := NewTerminal(&b, o)
	for _, e := range events {
		t.Event(e)
	}
	return b.String()
}

func TestApplyLooksLikeAnsible(t *testing.T) {
	item := "a"
	got := show(Options{Width: 40},
		runner.RunStarted{},
		runner.PlayStarted{Name: "Nodes", Hosts: []string{"n1", "n2"}, Batch: 1, Batches: 1},
		runner.TaskStarted{Name: "Upgrade"},
		done("n1", runner.Result{Status: runner.OK}),
		done("n2", runner.Result{Status: runner.Changed}),
		runner.TaskDone{Task: "Upgrade", Host: "n2", Item: &item, Part: true, Looped: true, Result: runner.Result{Status: runner.OK}},
		done("n3", runner.Result{Status: runner.Failed, Msg: "no", Vars: map[string]any{"rc": 100}, Err: errors.New("no")}),
		done("n4", runner.Result{Status: runner.Failed, Ignored: true, Msg: "no"}),
		done("n5", runner.Result{Status: runner.Unreachable, Msg: "connect to 10.0.0.5:22: timeout"}),
		done("n6", runner.Result{Status: runner.Skipped}),
		runner.TaskStarted{Name: "Say", Handler: true},
		done("n1", runner.Result{Status: runner.OK, Shown: true, Vars: map[string]any{"msg": "hi", "changed": false, "failed": false}}),
		runner.RunDone{Took: 1500 * time.Millisecond, Recap: []runner.Recap{{Host: "n1", OK: 2, Changed: 1}}},
	)
	require.Equal(t, `
PLAY [Nodes] ***************************

TASK [Upgrade] *************************
ok: [n1]
changed: [n2]
ok: [n2] => (item=a)
fatal: [n3]: FAILED! => {"changed":false,"msg":"no","rc":100}
fatal: [n4]: FAILED! => {"changed":false,"msg":"no"}
...ignoring
fatal: [n5]: UNREACHABLE! => {"changed":false,"msg":"connect to 10.0.0.5:22: timeout","unreachable":true}
skipping: [n6]

RUNNING HANDLER [Say] ******************
ok: [n1] => {
    "msg": "hi"
}

PLAY RECAP *****************************
n1                         : ok=2    changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   

n3: Upgrade (site.yaml:4:7): no
n5: Upgrade (site.yaml:4:7): connect to 10.0.0.5:22: timeout

Done: 1 changed; took 1.5s
`, got)
}

func TestPlanFoldsHostsWithEqualChanges(t *testing.T) {
	upgrade := runner.Result{Status: runner.WouldChange, Change: modules.Change{
		Diffs: []modules.Diff{{What: "package ipset", Have: "7.10-1", Want: "7.17-1"}},
		Steps: []modules.Step{modules.Command("apt-get", "install", "ipset")},
		Notes: []string{"simulated with the lists of today"},
	}}
	got := show(Options{Width: 30},
		runner.RunStarted{Plan: true},
		runner.TaskStarted{Name: "Upgrade"},
		done("n03", upgrade), done("n01", upgrade), done("n02", upgrade), done("n05", upgrade),
		done("n04", runner.Result{Status: runner.OK}),
		runner.TaskStarted{Name: "Wait"},
		done("n01", runner.Result{Status: runner.Unknown, Msg: `the result of "Upgrade"`}),
		runner.RunDone{Plan: true, Recap: []runner.Recap{{Host: "n01", WouldChange: 1, Unknown: 1}}},
	)
	require.Equal(t, `
TASK [Upgrade] ***************
change: [n01..n03, n05]
  package ipset: 7.10-1 -> 7.17-1
    $ apt-get install ipset
  note: simulated with the lists of today
ok: [n04]

TASK [Wait] ******************
known after apply: [n01]: the result of "Upgrade"

PLAY RECAP *******************
n01                        : ok=0    change=1    run=0    wait=0    maybe=1    skipped=0    failed=0    unreachable=0   

Plan: 1 change, 1 maybe on 1 host
`, got)
}

func TestEqualErrorsAreFolded(t *testing.T) {
	var fs faults
	for _, host := range []string{"node002", "node001", "node003", "db1"} {
		fs.add(done(host, runner.Result{Status: runner.Failed, Msg: "same error"}))
	}
	fs.add(done("web1", runner.Result{Status: runner.Failed, Msg: "another"}))
	require.EqualError(t, fs.err(), "db1, node001..node003: Upgrade (site.yaml:4:7): same error\nweb1: Upgrade (site.yaml:4:7): another")
	require.NoError(t, faults(nil).err())
}

func TestFoldNames(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"", ""},
		{"a", "a"},
		{"n1 n2", "n1 n2"},
		{"n1 n2 n3", "n1..n3"},
		{"n09 n10 n11", "n09..n11"},
		{"n3 n1 n2 m1", "m1 n1..n3"},
		{"n1 n3 n5", "n1 n3 n5"},
	} {
		require.Equal(t, c.want, strings.Join(foldNames(strings.Fields(c.names)), " "), c.names)
	}
}

func TestWhatATargetPrintsDoesNotSteerTheTerminal(t *testing.T) {
	got := show(Options{}, done("n1", runner.Result{Status: runner.OK, Shown: true,
		Vars: map[string]any{"msg": "a\x1b[2Jb\rc\u202ed\u009b"}}))
	require.NotContains(t, got, "\x1b")
	require.NotContains(t, got, "\r")
	require.Equal(t, `a\x1b[2Jb\x0dc\x202ed\x9b`, clean("a\x1b[2Jb\rc\u202ed\u009b"))
	require.Equal(t, "plain\n\ttext", clean("plain\n\ttext"))
}

func TestUnifiedDiff(t *testing.T) {
	got := show(Options{Diff: true}, done("n1", runner.Result{Status: runner.Changed, Change: modules.Change{Diffs: []modules.Diff{
		{What: "/etc/motd", Have: "1\n2\n3\n4\n5\n6\n7\n8\n9\n", Want: "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n", Text: true},
	}}}))
	require.Equal(t, `changed: [n1]
  /etc/motd:
  --- before: /etc/motd
  +++ after: /etc/motd
  @@ -2 +2 @@
   2
   3
   4
  -5
  +five
   6
   7
   8
   9
  +10
`, got)
}

func TestEveryEventIsOneLineOfJSON(t *testing.T) {
	var b bytes.Buffer
	j := NewJSON(&b)
	item := "x"
	for _, e := range []runner.Event{
		runner.RunStarted{Playbook: "site.yaml", Tasks: 3},
		runner.PlayStarted{Name: "p", Hosts: []string{"n1"}},
		runner.TaskStarted{Name: "t", Pos: at},
		runner.TaskDone{Task: "t", Host: "n1", Pos: at, Item: &item, Looped: true, Part: true, Result: runner.Result{
			Status: runner.Changed, Change: modules.Change{Diffs: []modules.Diff{{What: "w", Have: "h", Want: "x"}}}}},
		runner.TaskRetried{Host: "n1"}, runner.TaskWaiting{Host: "n1"}, runner.PlayStopped{Reason: "r"},
		runner.RunDone{Recap: []runner.Recap{{Host: "n1", OK: 1, WouldChange: 2}}},
	} {
		j.Event(e)
	}
	require.NoError(t, j.Err())
	var kinds []string
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for _, l := range lines {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(l), &m))
		kinds = append(kinds, m["event"].(string))
	}
	require.Equal(t, []string{"run_started", "play_started", "task_started", "task_done", "task_retried", "task_waiting", "play_stopped", "run_done"}, kinds)
	require.JSONEq(t, `{"event":"task_done","task":"t","host":"n1","pos":"site.yaml:4:7","status":"changed","took_ms":0,"at":"0001-01-01T00:00:00Z",
		"item":"x","looped":true,"part":true,"diffs":[{"what":"w","have":"h","want":"x"}]}`, lines[3])
	require.Contains(t, lines[7], `"would_change":2`)
}

// broken is a pipe whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestJSONKeepsTheFirstErrorOfWriting(t *testing.T) {
	j := NewJSON(broken{})
	j.Event(runner.RunStarted{})
	j.Event(runner.RunDone{})
	require.EqualError(t, j.Err(), "broken pipe")
}

func TestErrorsAreInTheOrderOfTheHosts(t *testing.T) {
	failed := func(task, host string) runner.TaskDone {
		return runner.TaskDone{Task: task, Host: host, Result: runner.Result{Status: runner.Failed, Msg: "no"}}
	}
	first := show(Options{}, failed("b", "n3"), failed("b", "n1"), failed("a", "n2"), failed("a", "n1"), runner.RunDone{})
	require.Contains(t, first, "\nn1, n2: a: no\nn1, n3: b: no\n")
	require.Equal(t, errorsIn(first), errorsIn(show(Options{}, failed("a", "n1"), failed("a", "n2"), failed("b", "n1"), failed("b", "n3"), runner.RunDone{})))
}

// errorsIn is what stands after the recap.
func errorsIn(output string) string {
	_, errs, _ := strings.Cut(output, "PLAY RECAP")
	return errs
}
