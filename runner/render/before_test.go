package render

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

func recalled(task, host string, r runner.Result) runner.TaskDone {
	return runner.TaskDone{Task: task, Host: host, Pos: at, Recalled: true, Result: r}
}

// resuming is a run that died in its third task, on the second batch.
func resuming() []runner.Event {
	item := "a"
	part := func(host string, part bool) runner.TaskDone {
		e := recalled("Each", host, came(runner.Changed))
		e.Looped, e.Part = true, part
		if part {
			e.Item = &item
		}
		return e
	}
	fresh := runner.TaskDone{Task: "Each", Host: "n4", Pos: at, Item: &item, Part: true, Looped: true, Result: came(runner.Changed)}
	whole := runner.TaskDone{Task: "Each", Host: "n4", Pos: at, Looped: true, Result: came(runner.Changed)}
	return []runner.Event{
		runner.RunStarted{Resumed: true, Playbook: "site.yaml", Tasks: 3},
		runner.PlayStopped{Reason: "no hosts matched"},
		runner.PlayStarted{Name: "Nodes", Hosts: []string{"n1", "n2"}, Batch: 1, Batches: 2},
		runner.TaskStarted{Name: "Upgrade"},
		recalled("Upgrade", "n1", came(runner.Changed)), recalled("Upgrade", "n2", runner.Result{Status: runner.Failed, Msg: "no space"}),
		runner.TaskStarted{Name: "Restart", Handler: true},
		recalled("Restart", "n1", came(runner.OK)),
		runner.PlayStarted{Name: "Nodes", Hosts: []string{"n3", "n4", "n5"}, Batch: 2, Batches: 2},
		runner.TaskStarted{Name: "Each"},
		part("n3", true), part("n3", true), part("n3", false),
		part("n4", true), part("n4", true), fresh, whole,
		part("n5", true), part("n5", false), recalled("Each", "n6", came(runner.Skipped)),
		runner.TaskStarted{Name: "Again"},
		recalled("Again", "n3", came(runner.OK)), recalled("Again", "n4", came(runner.OK)), recalled("Again", "n5", came(runner.OK)),
		recalled("Again", "n6", runner.Result{Status: runner.Failed, Ignored: true, Msg: "hm"}),
		runner.TaskStarted{Name: "New"},
		runner.TaskDone{Task: "New", Host: "n3", Result: came(runner.OK)},
		runner.RunDone{Took: time.Second, Recap: []runner.Recap{{Host: "n3", OK: 3, Changed: 4}}},
	}
}

func TestWhatWasDoneBeforeIsFolded(t *testing.T) {
	require.Equal(t, `
Resuming; done before: 2 tasks
failed before: [n2]: no space (Upgrade)

PLAY [Nodes] *****************
batch 2 of 2: n3..n5

TASK [Each] ******************
changed: [n4] => (item=a)
changed before: [n3, n5]
done before: [n4] 2 items
skipped before: [n6]

TASK [Again] *****************
ok before: [n3..n5]
failed before: [n6]: hm ...ignoring

TASK [New] *******************
ok: [n3]

PLAY RECAP *******************
n3                         : ok=3    changed=4    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   

n2: Upgrade (site.yaml:4:7): no space

Done: 4 changed, 3 of them before; took 1s
`, show(Options{Width: 30}, resuming()...))
}

func TestWithVerbosityWhatWasDoneBeforeIsShownAsItCame(t *testing.T) {
	got := show(Options{Width: 30, Verbosity: 1}, resuming()...)
	require.Contains(t, got, "\nTASK [Upgrade] ***************\nchanged before: [n1] => {}\nfatal before: [n2]: FAILED! => ")
	require.Contains(t, got, "RUNNING HANDLER [Restart] ****\nok before: [n1] => {}\n")
	require.NotContains(t, got, "Resuming")
}

func TestARunOfWhichEverythingWasDoneBefore(t *testing.T) {
	require.Contains(t, show(Options{Width: 30},
		runner.RunStarted{Resumed: true}, runner.PlayStarted{Name: "p"},
		runner.TaskStarted{Name: "t"}, recalled("t", "n1", came(runner.OK)), runner.RunDone{Recap: []runner.Recap{{Host: "n1", OK: 1}}},
	), "\nResuming; done before: 1 task\n\nPLAY RECAP ***")
	item := runner.TaskDone{Task: "t", Host: "n1", Part: true, Looped: true, Recalled: true, Result: came(runner.Changed)}
	require.Contains(t, show(Options{Width: 30}, runner.RunStarted{Resumed: true}, runner.TaskStarted{Name: "t"}, item, runner.RunDone{}),
		"\nResuming; no task was finished before\n", "a loop that is not over")
	require.Contains(t, show(Options{Width: 30},
		runner.RunStarted{Resumed: true}, runner.PlayStarted{Name: "p"}, runner.TaskStarted{Name: "t"},
		runner.TaskWaiting{Task: "t", Host: "n1", At: time.Unix(1e9, 0)},
	), "\nResuming; no task was finished before\n\nPLAY [p] ***")
}

func TestProgressCountsWhatWasDoneBefore(t *testing.T) {
	bar := newProgress(io.Discard)
	term := &Terminal{w: io.Discard, bar: bar}
	for _, e := range resuming()[:7] {
		term.Event(e)
	}
	require.Equal(t, 2, bar.done)
}

func owes(host string) runner.Notification {
	return runner.Notification{Playbook: "site.yaml", Play: "Nodes", Handler: "restart kubelet", Host: host, By: "Configure", Run: "r1", At: time.Unix(0, 0)}
}

func TestAnApplySaysWhatItLeaves(t *testing.T) {
	pending := []runner.Notification{owes("n1"), owes("n2"), owes("n3"), {Playbook: "site.yaml", Handler: "reload", Host: "n1", By: "x\x1b[2J"}}
	got := show(Options{Width: 30}, runner.RunStarted{}, runner.RunDone{Took: time.Second, Pending: pending, Recap: []runner.Recap{{Host: "n1", Failed: 1, Changed: 2}}})
	_, got, _ = strings.Cut(got, "ignored=0   \n")
	require.Equal(t, `
Pending: notified, and not run yet
  restart kubelet on n1..n3 (notified by "Configure")
  reload on n1 (notified by "x\x1b[2J")
`+"`runbook resume` or the next apply of site.yaml runs them; `runbook runs drop HANDLER` drops one.\n"+`
Failed: 2 changed; took 1s
`, got)
	plan := show(Options{}, runner.RunStarted{Plan: true}, runner.RunDone{Plan: true, Pending: pending})
	require.NotContains(t, plan, "Pending:", "what a plan leaves is what it has shown")
}

// breaks takes so many writes, and no more.
type breaks struct {
	bytes.Buffer
	after int
}

func (b *breaks) Write(p []byte) (int, error) {
	if b.after--; b.after < 0 {
		b.WriteString("!") // that it was asked at all is in the text
		return 0, errors.New("broken pipe")
	}
	return b.Buffer.Write(p)
}

func TestTheTerminalKeepsTheFirstErrorOfWriting(t *testing.T) {
	w := &breaks{after: 2}
	term := NewTerminal(w, Options{Width: 10})
	for _, e := range resuming() {
		term.Event(e)
	}
	require.EqualError(t, term.Err(), "broken pipe")
	require.Equal(t, "\nResuming; done before: 2 tasks\nfailed before: [n2]: no space (Upgrade)\n!", w.String())
}
