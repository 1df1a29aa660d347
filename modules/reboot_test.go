package modules

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	oldBoot = "00000000-1111-4222-8333-000000000001"
	newBoot = "00000000-1111-4222-8333-000000000002"
)

// bootAnswer is what a host says whose kernel started at btime and whose process 1
// started so many hundredths of a second later.
func bootAnswer(id string, btime string, start string) Output {
	return Output{Stdout: id + "\nbtime " + btime + "\n1 (odd ) name) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 " + start + " 4096 5\n"}
}

// bootNode is YAML of a node in a boot, whose Ready condition was last told at a time.
func bootNode(id, ready, at string) string {
	return `
apiVersion: v1
kind: Node
metadata: {name: node005}
status:
  nodeInfo: {bootID: ` + id + `}
  conditions: [{type: Ready, status: "` + ready + `", reason: KubeletNotReady, message: no network, lastHeartbeatTime: "` + at + `"}]
`
}

func TestReboot(t *testing.T) {
	const b = 1767225600 // 2026-01-01T00:00:00Z
	answer := func(id string) Output { return bootAnswer(id, "1767225600", "500") }
	for _, c := range []struct {
		name   string
		seen   string // the boot that was seen first; empty: this is the first look
		says   Output
		args   func(*reboot)
		node   string
		diffs  []string
		steps  []string
		boots  bool
		err    string
		others map[string]Output
	}{
		{name: "to be rebooted", says: answer(oldBoot), diffs: []string{"boot: " + oldBoot + " -> another one"}, steps: []string{"reboot"}},
		{name: "in another boot", seen: oldBoot, says: answer(newBoot), boots: true},
		{name: "by a command of its own", says: answer(oldBoot), args: func(r *reboot) { r.RebootCommand = "kexec -e" },
			diffs: []string{"boot: " + oldBoot + " -> another one"}, steps: []string{"kexec -e"}},
		{name: "it answers nonsense while it goes down", seen: oldBoot, says: Output{Stdout: "\nbtime 1\n\n"}, err: `the boot's id cannot be told: /proc/sys/kernel/random/boot_id answers ""`},
		{name: "it answers an error while it goes down", seen: oldBoot, says: Output{Stdout: newBoot + "\nbtime 1\n\n", Code: 1, Stderr: "Input/output error"}, err: "exit code 1) Input/output error"},
		{name: "no uptime is taken for an id", seen: oldBoot, says: Output{Stdout: "2026-01-01 00:00:00\nbtime 1\n\n"}, err: "the boot's id cannot be told"},
		{name: "no boot id", says: Output{Code: 1, Stderr: "cat: no such file"}, err: "the boot's id cannot be told"},
		{name: "the test fails", seen: oldBoot, says: answer(newBoot), args: func(r *reboot) { r.TestCommand = "test up" }, boots: true,
			others: map[string]Output{"test up": {Code: 3, Stderr: "starting\n"}}, diffs: []string{"test up: exit code 3 starting -> exit code 0"}},
		{name: "the test succeeds", seen: oldBoot, says: answer(newBoot), args: func(r *reboot) { r.TestCommand = "test up" }, boots: true,
			others: map[string]Output{"test up": {}}},
		{name: "the node is another machine", says: answer(oldBoot), node: bootNode(newBoot, "True", "2026-01-01T00:00:10Z"), err: "it is another machine, or its kubelet has not started since this host has; nothing was rebooted"},
		{name: "there is no such node", says: answer(oldBoot), node: "none", err: `there is no node "node005" in the cluster`},
		{name: "the node is the host", says: answer(oldBoot), node: bootNode(oldBoot, "True", "2026-01-01T00:00:10Z"),
			diffs: []string{"boot: " + oldBoot + " -> another one"}, steps: []string{"reboot"}},
		{name: "Ready, of the boot before", seen: oldBoot, says: answer(newBoot), node: bootNode(oldBoot, "True", "2026-01-01T00:10:00Z"), boots: true,
			diffs: []string{"node node005 boot: " + oldBoot + " -> " + newBoot}},
		{name: "not Ready", seen: oldBoot, says: answer(newBoot), node: bootNode(newBoot, "False", "2026-01-01T00:00:10Z"), boots: true,
			diffs: []string{"node node005: not Ready KubeletNotReady no network -> Ready"}},
		{name: "not heard since", seen: oldBoot, says: answer(newBoot), node: bootNode(newBoot, "True", "2026-01-01T00:00:04Z"), boots: true,
			diffs: []string{"node node005 heartbeat: 2026-01-01T00:00:04Z -> since the boot at 2026-01-01T00:00:05Z"}},
		{name: "heard in the very second", seen: oldBoot, says: bootAnswer(newBoot, "1767225600", "590"), node: bootNode(newBoot, "True", "2026-01-01T00:00:05Z"), boots: true},
		{name: "process 1 is not shown", seen: oldBoot, says: Output{Stdout: newBoot + "\nbtime 1767225600\n\n"}, node: bootNode(newBoot, "True", "2026-01-01T00:00:00Z"), boots: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &reboot{first: c.seen, RebootTimeout: time.Minute, NodeTimeout: time.Minute}
			if c.args != nil {
				c.args(r)
			}
			target := &fake{commands: map[string]Output{bootQuery.String(): c.says}}
			for cmd, out := range c.others {
				target.commands[cmd] = out
			}
			if c.node != "" {
				r.Node = "node005"
				target.cluster = &fakeCluster{objects: map[string]string{"node/node005": strings.TrimPrefix(c.node, "none")}}
			}
			change, err := r.Check(t.Context(), target)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, diffLines(change))
			assert.Equal(t, len(c.steps), len(change.Steps))
			if len(c.steps) > 0 {
				assert.Equal(t, c.steps, stepLines(change))
				assert.Equal(t, oldBoot, change.Steps[0].(Reboot).Boot)
			}
			assert.Equal(t, c.boots, change.Vars["rebooted"])
		})
	}
	now, err := lookAtBoot(t.Context(), &fake{commands: map[string]Output{bootQuery.String(): answer(newBoot)}})
	require.NoError(t, err)
	require.Equal(t, time.Unix(b+5, 0), now.began)
}

// TestRebootIsRemembered: a resumed run knows the boot that was to end.
func TestRebootIsRemembered(t *testing.T) {
	first := &reboot{}
	require.Nil(t, first.Seen())
	check(t, first, &fake{commands: map[string]Output{bootQuery.String(): bootAnswer(oldBoot, "1", "1")}})
	again := &reboot{}
	require.NoError(t, again.Recall(first.Seen()))
	change := check(t, again, &fake{commands: map[string]Output{bootQuery.String(): bootAnswer(newBoot, "1", "1")}})
	require.Empty(t, change.Steps)
	require.Equal(t, true, change.Vars["rebooted"])
}

// TestBootOfThisMachine: the query is right about a real kernel.
func TestBootOfThisMachine(t *testing.T) {
	for name, target := range shells(t) {
		b, err := lookAtBoot(t.Context(), target)
		require.NoError(t, err, name)
		require.Regexp(t, uuid, b.id)
		require.True(t, b.began.After(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) && b.began.Before(time.Now()), b.began)
	}
	require.Error(t, (&reboot{NodeTimeout: time.Minute}).Validate())
}
