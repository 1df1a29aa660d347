package render

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
)

var now = time.Date(2026, 11, 23, 0, 45, 0, 0, time.FixedZone("here", 3600))

func ago(d time.Duration) time.Time { return now.Add(-d).UTC() }

func printed(t *testing.T, print func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, print(&b))
	return b.String()
}

func TestWhen(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "-"},
		{ago(0), "00:45 (just now)"},
		{ago(40 * time.Second), "00:44 (40 s ago)"},
		{ago(3 * time.Minute), "00:42 (3 min ago)"},
		{ago(2 * time.Hour), "22 Nov 22:45 (2 h ago)"},
		{ago(72 * time.Hour), "20 Nov 00:45 (3 days ago)"},
		{ago(100 * 24 * time.Hour), "15 Aug 00:45 (3 months ago)"},
		{ago(400 * 24 * time.Hour), "2025-10-19 (13 months ago)"},
		{ago(1000 * 24 * time.Hour), "2024-02-27 (2 years ago)"},
		{ago(-30 * time.Second), "00:45 (just now)"},
		{ago(-time.Hour), "01:45 (in the future)"},
	} {
		assert.Equal(t, c.want, When(c.at, Options{Now: now}), c.want)
	}
	assert.Contains(t, When(time.Now(), Options{}), "just now")
}

func runRows() []RunRow {
	return []RunRow{
		{ID: "20261122-101500-aaaa", Playbook: "playbooks/ipset-fix.yaml", Who: "ops@controller", Began: ago(14 * time.Hour), State: "done", Lives: 2,
			Hosts: CountHosts([]runner.Recap{{Changed: 1, OK: 3}, {OK: 2}, {Failed: 1, Changed: 1}, {Unreachable: 1, Failed: 1}})},
		{ID: "20261123-004000-bbbb", Playbook: "playbooks/\nupgrade.yaml\x1b[2J", Who: "ops@controller", Began: ago(5 * time.Minute), State: "died", Lives: 1, Pending: 3},
		{ID: "20261123-004400-cccc", Began: ago(time.Minute), Damage: "journal.jsonl:17: checksum is 1, line has 2"},
	}
}

func TestRuns(t *testing.T) {
	require.Equal(t, `RUN                   BEGAN                    PLAYBOOK                        BY              STATE          HOSTS                                     PENDING
20261122-101500-aaaa  22 Nov 10:45 (14 h ago)  playbooks/ipset-fix.yaml        ops@controller  done (life 2)  1 unreachable, 1 failed, 1 changed, 1 ok
20261123-004000-bbbb  00:40 (5 min ago)        playbooks/ upgrade.yaml\x1b[2J  ops@controller  died           -                                               3
20261123-004400-cccc  00:44 (1 min ago)                                                        damaged        -
20261123-004400-cccc: journal.jsonl:17: checksum is 1, line has 2
`, printed(t, func(w io.Writer) error { return Runs(w, runRows(), Options{Now: now}) }))
	require.Equal(t, "No runs yet.\n", printed(t, func(w io.Writer) error { return Runs(w, nil, Options{}) }))
}

func TestANarrowTerminalCutsWhatCanBeCut(t *testing.T) {
	for width, want := range map[int]string{
		110: `RUN                   BEGAN                    PLAYBOOK        BY              STATE          HOSTS
20261122-101500-aaaa  22 Nov 10:45 (14 h ago)  playbooks/i...  ops@controller  done (life 2)  1 unreachab...
`,
		80: `RUN                   BEGAN                    PLAYBOOK  STATE          HOSTS
20261122-101500-aaaa  22 Nov 10:45 (14 h ago)  playb...  done (life 2)  1 unr...
`,
	} {
		got := printed(t, func(w io.Writer) error { return Runs(w, runRows()[:1], Options{Now: now, Width: width}) })
		assert.Equal(t, want, got)
		for line := range strings.Lines(got) {
			assert.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), width)
		}
	}
	got := printed(t, func(w io.Writer) error { return Runs(w, runRows()[:1], Options{Now: now, Width: 20}) })
	require.Contains(t, got, "20261122-101500-aaaa  22 Nov 10:45 (14 h ago)  playb...  done (life 2)", "the id can be copied at any width")

	rows := []StatusRow{{Host: "n1", Found: "unreachable", Unreachable: 1, At: ago(14 * time.Hour), Run: "20261122-101500-aaaa", Playbook: "playbooks/ipset-fix.yaml"}}
	require.Equal(t, `HOST  FOUND        FAILED  WHEN                     RUN
n1    unreachable       1  22 Nov 10:45 (14 h ago)  20261122-101500-aaaa
`, printed(t, func(w io.Writer) error { return Status(w, rows, nil, Options{Now: now, Width: 79}) }))
}

func TestStatus(t *testing.T) {
	row := func(host, found string, at time.Time) StatusRow {
		return StatusRow{Host: host, Found: found, OK: 12, At: at, Run: "r1", Playbook: "site.yaml"}
	}
	failed := row("n2", "failed", ago(time.Hour))
	failed.Failed = 1
	rows := []StatusRow{row("n10", "ok", ago(61*time.Second)), row("n9", "ok", ago(62*time.Second)), failed, row("n8", "ok", ago(63*time.Second))}
	require.Equal(t, `HOST     FOUND   OK  CHANGED  FAILED  WHEN                    RUN  PLAYBOOK
n2       failed  12        0       1  22 Nov 23:45 (1 h ago)  r1   site.yaml
n8..n10  ok      12        0       0  00:43 (1 min ago)       r1   site.yaml

pending from run r1: restart kubelet on n2, n3 (notified by "Configure")
`, printed(t, func(w io.Writer) error {
		return Status(w, rows, []runner.Notification{owes("n2"), owes("n3")}, Options{Now: now})
	}))
	require.Equal(t, "n10", rows[0].Host, "the caller's rows stay in their order")
	require.Equal(t, "No run has seen a host yet.\n", printed(t, func(w io.Writer) error { return Status(w, nil, nil, Options{}) }))
}

func TestHeading(t *testing.T) {
	require.Equal(t, "Plan:    fix.plan\nDigest:  sha256:12\n", printed(t, func(w io.Writer) error {
		return Heading(w, []Label{{"Plan", "fix.plan"}, {"Limit", ""}, {"Digest", "sha256:12"}}, Options{Width: 10})
	}))
}

func account() Account {
	key := func(task, host string, item int) runner.Key {
		return runner.Key{Play: 1, Task: task, Host: host, Item: item}
	}
	upgraded := func(host string, took time.Duration) runner.Outcome {
		return runner.Outcome{Key: key("tasks/0", host, 0), Name: "Upgrade", Status: runner.Changed, Took: took, At: ago(3 * time.Minute),
			Diffs:    []modules.Diff{{What: "package ipset", Have: "7.10", Want: "7.17"}},
			Steps:    []string{"apt-get install ipset"},
			Notified: []runner.Called{{Task: "handlers/0", Name: "restart kubelet"}}}
	}
	failed := runner.Outcome{Key: key("tasks/0", "n4", 0), Name: "Upgrade", Status: runner.Failed, Msg: "no space\nleft", Rescued: true, At: ago(2 * time.Minute), Took: 90 * time.Second}
	lost := runner.Outcome{Key: key("tasks/1", "n2", 0), Name: "Script", Status: runner.Unreachable, Unsettled: true, Msg: "timeout", At: ago(time.Minute),
		Notified: []runner.Called{{Name: "reload", May: true}}}
	first := failed
	first.Msg, first.Key = "this was in an earlier life", key("tasks/0", "n3", 0)
	script := runner.Outcome{Key: key("tasks/1", "n1", 1), Name: "Script", Label: "a", Status: runner.Changed, Steps: []string{"echo \x1b[2J"}, Opaque: true,
		Settled: "finished while nobody was there", Stdout: "one\ntwo\x1b[2J\n", At: ago(time.Minute), Took: 1234 * time.Microsecond}
	loop, quiet := script, script
	loop.Item, loop.Stdout, loop.Settled, loop.Notified = 0, "", "", []runner.Called{{Name: "reload"}}
	quiet.Item, quiet.Host = 0, "n5"
	item := script
	item.Host, item.Stdout, item.Settled = "n5", "", ""
	return Account{
		Batches: []runner.BatchBegun{{Play: 1, Name: "Nodes"}, {Play: 2, Name: "After"}},
		Outcomes: []runner.Outcome{first, upgraded("n1", 12345*time.Millisecond), upgraded("n2", 10*time.Second), failed, loop, script, lost, quiet, item,
			{Key: runner.Key{Play: 2, Task: "handlers/0", Host: "n1"}, Name: "restart kubelet", Handler: true, Status: runner.OK, At: ago(0), Took: time.Second},
			{Key: runner.Key{Play: 3, Task: "tasks/0", Host: "n1"}, Name: "Last", Status: runner.Skipped, Msg: "when is false", At: ago(0)},
			upgraded("n3", time.Second)},
		Begun: []runner.Intent{{Key: key("tasks/1", "n2", 0), Name: "Script", Step: 1, Of: 2, Command: "reboot", Opaque: true, At: ago(30 * time.Second)}},
	}
}

func TestWork(t *testing.T) {
	require.Equal(t, `
PLAY [Nodes] ***************************************************

TASK [Upgrade] *************************************************
changed          n1..n3  up to 12.3s  00:42 (3 min ago)
  package ipset: 7.10 -> 7.17
    $ apt-get install ipset
  notifies: restart kubelet
failed, rescued  n4            1m30s  00:43 (2 min ago)
  no space
  left

TASK [Script] **************************************************
changed                 n1 (item=a)     1ms  00:44 (1 min ago)
    run: echo \x1b[2J (cannot be foreseen)
  note: finished while nobody was there
  stdout:
    | one
    | two\x1b[2J
changed                 n1 (all items)  1ms  00:44 (1 min ago)
  notifies: reload
unreachable, unsettled  n2               0s  00:44 (1 min ago)
  timeout
  note: a step was at work when the connection or the run ended; a resumed run asks what became of it
  notifies: reload (maybe)
changed                 n5 (item=a)     1ms  00:44 (1 min ago)
    run: echo \x1b[2J (cannot be foreseen)

PLAY [After] ***************************************************

RUNNING HANDLER [restart kubelet] ******************************
ok  n1  1s  00:45 (just now)

PLAY [3] *******************************************************

TASK [Last] ****************************************************
skipped  n1  0s  00:45 (just now)

BEGUN, AND THE END IS NOT KNOWN ********************************
unknown: [n2] Script: step 2 of 2, begun 00:44 (30 s ago)
    run: reboot (cannot be foreseen)
`, printed(t, func(w io.Writer) error { return Work(w, account(), Options{Now: now, Width: 64}) }))
	require.Equal(t, "No task has come to a result.\n", printed(t, func(w io.Writer) error { return Work(w, Account{}, Options{}) }))
}

func TestTablesSayThatTheyCouldNotBeWritten(t *testing.T) {
	for name, print := range map[string]func(io.Writer) error{
		"runs":    func(w io.Writer) error { return Runs(w, runRows(), Options{}) },
		"status":  func(w io.Writer) error { return Status(w, nil, nil, Options{}) },
		"work":    func(w io.Writer) error { return Work(w, account(), Options{}) },
		"heading": func(w io.Writer) error { return Heading(w, []Label{{"a", "b"}}, Options{}) },
	} {
		assert.EqualError(t, print(broken{}), "broken pipe", name)
	}
}

func TestRowsAsJSON(t *testing.T) {
	text, err := json.Marshal([]any{runRows()[0], StatusRow{Host: "n1", Found: "ok", OK: 1, At: now, Run: "r", Playbook: "p"}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"run":"20261122-101500-aaaa","playbook":"playbooks/ipset-fix.yaml","who":"ops@controller","began":"2026-11-22T09:45:00Z",
		"last":"0001-01-01T00:00:00Z","state":"done","lives":2,"hosts":{"ok":1,"changed":1,"failed":1,"unreachable":1}},
		{"host":"n1","found":"ok","ok":1,"changed":0,"failed":0,"unreachable":0,"at":"2026-11-23T00:45:00+01:00","run":"r","playbook":"p"}]`, string(text))
}
