package render

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
)

// came is a result with nothing to say.
func came(s runner.Status) runner.Result { return runner.Result{Status: s} }

func handled(name, host string, s runner.Status) runner.TaskDone {
	return runner.TaskDone{Task: name, Host: host, Handler: true, Result: came(s)}
}

func TestThePlansLastLine(t *testing.T) {
	for name, c := range map[string]struct {
		events []runner.Event
		done   runner.RunDone
		want   string
	}{
		"all there is": {
			[]runner.Event{
				runner.PlayStarted{Batch: 1, Batches: 1}, runner.PlayStarted{Batch: 1, Batches: 4}, runner.PlayStarted{Batch: 2, Batches: 4},
				handled("restart kubelet", "n1", runner.WouldChange), handled("restart kubelet", "n2", runner.WouldChange),
				handled("restart kubelet", "n2", runner.Unknown), handled("restart kubelet", "n3", runner.Unknown),
				handled("reload", "n1", runner.WouldRun), handled("nothing", "n1", runner.OK), handled("wait", "n1", runner.WouldWait),
			},
			runner.RunDone{Rescues: 3, Recap: []runner.Recap{
				{Host: "n1", WouldChange: 10, WouldRun: 3, Unknown: 2, WouldWait: 5, OK: 90}, {Host: "n2", WouldChange: 4, OK: 6, Skipped: 7}}},
			"Plan: 14 change, 3 run, 5 wait, 2 maybe, 96 ok on 2 hosts in 4 batches; " +
				"handlers: restart kubelet on 2, restart kubelet (maybe) on 1, reload on 1, wait on 1; 3 rescue tasks run only if a task fails",
		},
		"only maybe": {
			[]runner.Event{handled("restart kubelet", "n1", runner.Unknown)},
			runner.RunDone{Rescues: 1, Recap: []runner.Recap{{Host: "n1", Unknown: 1}}},
			"Plan: 1 maybe on 1 host; handlers: restart kubelet (maybe) on 1; 1 rescue task runs only if a task fails",
		},
		"a loop's items count once": {
			[]runner.Event{
				runner.TaskDone{Task: "h", Host: "n1", Handler: true, Looped: true, Part: true, Result: came(runner.WouldRun)},
				runner.TaskDone{Task: "h", Host: "n1", Handler: true, Looped: true, Result: came(runner.WouldRun)},
			},
			runner.RunDone{Recap: []runner.Recap{{Host: "n1", WouldRun: 1}}},
			"Plan: 1 run on 1 host; handlers: h on 1",
		},
		"nothing": {
			nil, runner.RunDone{Recap: []runner.Recap{{Host: "n1", OK: 96}}},
			"Plan: 0 change, 96 ok on 1 host. Nothing to do.",
		},
		"nothing, but rescues": {
			nil, runner.RunDone{Rescues: 2, Recap: []runner.Recap{{Host: "n1", OK: 96}}},
			"Plan: 0 change, 96 ok on 1 host; 2 rescue tasks run only if a task fails. Nothing to do.",
		},
		"nobody": {nil, runner.RunDone{}, "Plan: 0 change on 0 hosts. Nothing to do."},
		"not complete": {
			nil, runner.RunDone{Recap: []runner.Recap{{Host: "n1", WouldChange: 1, OK: 2, Failed: 1}, {Host: "n2", Unreachable: 1}}},
			"Plan: 1 change, 2 ok, 1 failed, 1 unreachable on 2 hosts; the plan is not complete",
		},
		"failed and nothing else": {
			nil, runner.RunDone{Recap: []runner.Recap{{Host: "n1", Failed: 1}}},
			"Plan: 0 change, 1 failed on 1 host; the plan is not complete",
		},
		"a name does not steer": {
			[]runner.Event{handled("a\nb\x1b[2J", "n1", runner.WouldRun)}, runner.RunDone{Recap: []runner.Recap{{Host: "n1", WouldRun: 1}}},
			`Plan: 1 run on 1 host; handlers: a b\x1b[2J on 1`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.done.Plan = true
			events := append(append([]runner.Event{runner.RunStarted{Plan: true}}, c.events...), c.done)
			lines := strings.Split(strings.TrimSpace(show(Options{}, events...)), "\n")
			assert.Equal(t, c.want, lines[len(lines)-1])
		})
	}
}

// planning is a plan as the engine tells of it.
func planning() []runner.Event {
	one, two := "a", "b"
	configured := runner.Result{Status: runner.WouldChange, Change: modules.Change{
		Diffs: []modules.Diff{
			{What: "/etc/app.conf", Have: "port=1\nhost=a\n", Want: "port=2\nhost=a\n", Text: true},
			{What: "mode of /etc/app.conf", Have: "0600", Want: "0644"}},
		Steps: []modules.Step{modules.Write{Path: "/etc/app.conf", Data: []byte("port=2\nhost=a\n"), Mode: 0o644}}}}
	upgrade := runner.Result{Status: runner.WouldChange, Change: modules.Change{
		Diffs: []modules.Diff{{What: "package ipset", Have: "7.10-1", Want: "7.17-1"}, {What: "package libipset13", Have: "not installed", Want: "7.17-1"}},
		Steps: []modules.Step{modules.Command("apt-get", "install", "--", "ipset")},
		Notes: []string{`apt keeps back "linux-image-amd64"`}}}
	shell := modules.Change{Steps: []modules.Step{modules.Run{Shell: "sync\nreboot-later", Opaque: true}}}
	task := func(name, host string, r runner.Result) runner.TaskDone {
		return runner.TaskDone{Task: name, Host: host, Pos: at, Result: r}
	}
	return []runner.Event{
		runner.RunStarted{Plan: true, Playbook: "site.yaml", Tasks: 5, Pending: []runner.Notification{
			{Handler: "restart kubelet", Host: "n03", By: "Configure kubelet", Run: "20261123-004512-k3f9"},
			{Handler: "restart kubelet", Host: "n04", By: "Configure kubelet", Run: "20261123-004512-k3f9"}}},
		runner.PlayStarted{Name: "Nodes", Hosts: []string{"n01", "n02"}, Batch: 1, Batches: 2},
		runner.TaskStarted{Name: "Upgrade", Module: "apt", Pos: at},
		task("Upgrade", "n02", upgrade), task("Upgrade", "n01", upgrade),
		runner.TaskStarted{Name: "Configure", Module: "copy", Pos: at},
		task("Configure", "n01", configured), task("Configure", "n02", came(runner.OK)),
		runner.TaskStarted{Name: "Script", Module: "shell", Pos: at},
		task("Script", "n01", runner.Result{Status: runner.WouldRun, Change: shell}),
		task("Script", "n02", runner.Result{Status: runner.Unknown, Msg: `the result of "Configure"`, Change: shell}),
		runner.TaskStarted{Name: "Each", Module: "file", Pos: at},
		runner.TaskDone{Task: "Each", Host: "n01", Pos: at, Item: &one, Part: true, Looped: true, Result: came(runner.OK)},
		runner.TaskDone{Task: "Each", Host: "n01", Pos: at, Item: &two, Part: true, Looped: true, Result: runner.Result{Status: runner.WouldChange,
			Change: modules.Change{Diffs: []modules.Diff{{What: "/b", Have: "absent", Want: "directory"}}}}},
		runner.TaskDone{Task: "Each", Host: "n01", Pos: at, Looped: true, Result: runner.Result{Status: runner.WouldChange,
			Change: modules.Change{Diffs: []modules.Diff{{What: "/b", Have: "absent", Want: "directory"}}}}},
		runner.TaskStarted{Name: "restart app", Module: "service", Handler: true, Pos: at},
		runner.TaskDone{Task: "restart app", Host: "n01", Pos: at, Handler: true, Result: runner.Result{Status: runner.WouldChange, Change: modules.Change{
			Diffs: []modules.Diff{{What: "unit app", Have: "started 10:00", Want: "restarted"}}, Steps: []modules.Step{modules.Command("systemctl", "restart", "app")}}}},
		runner.PlayStarted{Name: "Nodes", Hosts: []string{"n03"}, Batch: 2, Batches: 2},
		runner.TaskStarted{Name: "Upgrade", Module: "apt", Pos: at},
		task("Upgrade", "n03", runner.Result{Status: runner.Unreachable, Msg: "timeout"}),
		runner.RunDone{Plan: true, Rescues: 1, Recap: []runner.Recap{
			{Host: "n01", WouldChange: 4, WouldRun: 1}, {Host: "n02", OK: 1, WouldChange: 1, Unknown: 1}, {Host: "n03", Unreachable: 1}}},
	}
}

const planned = `pending from run 20261123-004512-k3f9: restart kubelet on n03, n04 (notified by "Configure kubelet")

PLAY [Nodes] *****************
batch 1 of 2: n01, n02

TASK [Upgrade] ***************
change: [n01, n02]
  package ipset: 7.10-1 -> 7.17-1
  package libipset13: not installed -> 7.17-1
    $ apt-get install -- ipset
  note: apt keeps back "linux-image-amd64"

TASK [Configure] *************
change: [n01]
  /etc/app.conf:
  --- before: /etc/app.conf
  +++ after: /etc/app.conf
  @@ -1 +1 @@
  -port=1
  +port=2
   host=a
  mode of /etc/app.conf: 0600 -> 0644
    $ write /etc/app.conf (14 bytes, mode 644)
ok: [n02]

TASK [Script] ****************
run: [n01]
    run: sync
      reboot-later (cannot be foreseen)
known after apply: [n02]: the result of "Configure"
    run: sync
      reboot-later (cannot be foreseen)

TASK [Each] ******************
ok: [n01] => (item=a)
change: [n01] => (item=b)
  /b: absent -> directory

RUNNING HANDLER [restart app] ***
change: [n01]
  unit app: started 10:00 -> restarted
    $ systemctl restart app

PLAY [Nodes] *****************
batch 2 of 2: n03

TASK [Upgrade] ***************
fatal: [n03]: UNREACHABLE! => {"changed":false,"msg":"timeout","unreachable":true}

PLAY RECAP *******************
n01                        : ok=0    change=4    run=1    wait=0    maybe=0    skipped=0    failed=0    unreachable=0   
n02                        : ok=1    change=1    run=0    wait=0    maybe=1    skipped=0    failed=0    unreachable=0   
n03                        : ok=0    change=0    run=0    wait=0    maybe=0    skipped=0    failed=0    unreachable=1   

n03: Upgrade (site.yaml:4:7): timeout

Plan: 5 change, 1 run, 1 maybe, 1 ok, 1 unreachable on 3 hosts in 2 batches; handlers: restart app on 1; 1 rescue task runs only if a task fails; the plan is not complete
`

func TestAPlanShowsWhatPeopleNeedToDecide(t *testing.T) {
	require.Equal(t, planned, show(Options{Width: 30}, planning()...))
}

// kept is the events of a plan as a journal has them: words instead of steps.
func kept(events []runner.Event) Planned {
	var p Planned
	item, task := 0, ""
	for i, e := range events {
		switch e := e.(type) {
		case runner.RunStarted:
			p.Playbook, p.Pending = e.Playbook, e.Pending
		case runner.PlayStarted:
			p.Batches = append(p.Batches, runner.BatchBegun{Play: 1, Name: e.Name, Batch: e.Batch, Batches: e.Batches, Hosts: e.Hosts})
		case runner.TaskStarted:
			item, task = 0, fmt.Sprint("tasks/", e.Name)
		case runner.TaskDone:
			if e.Looped && !e.Part {
				continue
			}
			if e.Part {
				item++
			}
			o := runner.Outcome{Key: runner.Key{Play: 1, Task: task, Host: e.Host, Item: item}, Name: e.Task, Pos: e.Pos.String(), Handler: e.Handler,
				Status: e.Result.Status, Msg: e.Result.Msg, Diffs: e.Result.Change.Diffs, Notes: e.Result.Change.Notes, At: time.Unix(int64(i), 0)}
			if e.Item != nil {
				o.Label = *e.Item
			}
			for j, s := range e.Result.Change.Steps {
				o.Steps = append(o.Steps, s.String())
				o.Opaque = o.Opaque || opaque(e.Result)[j]
			}
			p.Outcomes = append(p.Outcomes, o)
		case runner.RunDone:
			p.Rescues = e.Rescues
		}
	}
	return p
}

func TestAReplayedPlanIsShownAsThePlanWas(t *testing.T) {
	var events []runner.Event
	Replay(func(e runner.Event) { events = append(events, e) }, kept(planning()))
	require.Equal(t, planned, show(Options{Width: 30}, events...))
}

func TestReplayCountsAsTheEngineDoes(t *testing.T) {
	out := func(task, host string, item int, s runner.Status) runner.Outcome {
		return runner.Outcome{Key: runner.Key{Play: 1, Task: task, Host: host, Item: item}, Status: s}
	}
	ignored := out("tasks/3", "n1", 0, runner.Failed)
	ignored.Ignored = true
	rescued := out("tasks/4", "n1", 0, runner.Failed)
	rescued.Rescued = true
	var got runner.RunDone
	Replay(func(e runner.Event) {
		if done, ok := e.(runner.RunDone); ok {
			got = done
		}
	}, Planned{Outcomes: []runner.Outcome{
		out("tasks/0", "n2", 0, runner.OK), out("tasks/0", "n1", 0, runner.Skipped),
		out("tasks/1", "n1", 1, runner.OK), out("tasks/1", "n1", 2, runner.WouldChange), out("tasks/1", "n1", 3, runner.Unknown),
		out("tasks/2", "n1", 1, runner.OK), out("tasks/2", "n1", 2, runner.Skipped), out("tasks/2", "n1", 0, runner.WouldWait),
		ignored, rescued, out("tasks/5", "n1", 0, runner.WouldRun), out("tasks/6", "n1", 0, runner.Unknown),
		out("tasks/7", "n1", 0, runner.Failed), out("tasks/7", "n2", 0, runner.Unreachable),
	}})
	require.Equal(t, []runner.Recap{
		{Host: "n1", OK: 1, Skipped: 1, Ignored: 1, Rescued: 1, Failed: 1, WouldChange: 1, WouldRun: 1, WouldWait: 1, Unknown: 1},
		{Host: "n2", OK: 1, Unreachable: 1},
	}, got.Recap)
}

func TestPosition(t *testing.T) {
	for text, want := range map[string]string{"site.yaml:4:7": "site.yaml:4:7", "c:d/e:1:2": "c:d/e:1:2", "": "", "x": "", "a:b:c": ""} {
		assert.Equal(t, want, position(text).String(), text)
	}
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintln(&b, "line", i)
	}
	return b.String()
}

func TestALongDiffInAPlanIsCutUnlessAskedFor(t *testing.T) {
	long := []runner.Event{runner.RunStarted{Plan: true}, done("n1", runner.Result{Status: runner.WouldChange, Change: modules.Change{
		Diffs: []modules.Diff{{What: "/f", Want: numbered(1, 30), Text: true}}}}), runner.TaskStarted{}}
	brief := show(Options{}, long...)
	require.Contains(t, brief, "  +line 19\n  ... 11 more lines (-D shows all)\n")
	require.NotContains(t, brief, "line 20")
	require.Contains(t, show(Options{Diff: true}, long...), "  +line 29\n  +line 30\n")

	long[1] = done("n1", runner.Result{Status: runner.WouldChange, Change: modules.Change{
		Diffs: []modules.Diff{{What: "/f", Want: numbered(1, 20), Text: true}}}})
	require.Contains(t, show(Options{}, long...), "  +line 20\n", "one line more is as short as the words that there is one")

	wide := strings.Repeat("x", 5000)
	long[1] = done("n1", runner.Result{Status: runner.WouldChange, Change: modules.Change{Diffs: []modules.Diff{{What: "/f", Want: wide + "\n", Text: true}}}})
	require.Contains(t, show(Options{}, long...), "\n  +"+wide[:200]+"... 4800 more characters (-D shows all)\n")
	require.Contains(t, show(Options{Diff: true}, long...), wide)
}

func TestLongTextsAreComparedWhereTheyDiffer(t *testing.T) {
	differ := func(have, want string) string {
		return show(Options{Diff: true}, done("n1", runner.Result{Status: runner.Changed, Change: modules.Change{
			Diffs: []modules.Diff{{What: "/f", Have: have, Want: want, Text: true}}}}))
	}
	got := differ(numbered(1, 5000), strings.Replace(numbered(1, 5000), "line 4000\n", "LINE 4000\nand more\n", 1))
	require.Contains(t, got, "  @@ -3997 +3997 @@\n   line 3997\n   line 3998\n   line 3999\n  -line 4000\n  +LINE 4000\n  +and more\n   line 4001\n")
	require.Contains(t, differ(numbered(1, 5000), strings.ReplaceAll(numbered(1, 5000), "line", "LINE")), "5000 lines -> 5000 lines, too many to compare")
	require.Contains(t, differ("a\nb", "a\nb\n"), "   a\n  -b\n  \\ No newline at the end\n  +b\n")
	require.Contains(t, differ("a\na\n", "a\na\na\n"), "   a\n   a\n  +a\n")
}
