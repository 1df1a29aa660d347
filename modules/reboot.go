package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "reboot",
		Doc:  "Reboot the host, and wait until it is back and its cluster says so too",
		New: func() Module {
			return &reboot{RebootTimeout: 10 * time.Minute, NodeTimeout: 5 * time.Minute}
		},
	})
}

// reboot happens once in each run: it is over when the host is in another boot than
// at the first look. That is told by the boot's id alone; uptime hangs on a clock,
// and a host that answers may be one that is still going down.
type reboot struct {
	RebootTimeout time.Duration `arg:"reboot_timeout" doc:"How long the host may take to be back, in seconds."`
	RebootCommand string        `arg:"reboot_command" doc:"The command that reboots the host, as shell text; its own way where not given."`
	TestCommand   string        `arg:"test_command" doc:"A command, as shell text, that must succeed before the host counts as back."`
	Node          string        `arg:"node" doc:"The node of the Kubernetes cluster that the host is: its Node must tell of the new boot, and be Ready since."`
	NodeTimeout   time.Duration `arg:"node_timeout" doc:"How long that may take once the host is back, in seconds."`

	first string // the boot at the first look
}

func (r *reboot) Validate() error {
	if r.RebootTimeout <= 0 || r.NodeTimeout <= 0 {
		return errors.New("reboot_timeout and node_timeout are to be above 0")
	}
	return nil
}

func (r *reboot) Check(ctx context.Context, t Target) (Change, error) {
	now, err := lookAtBoot(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if r.first == "" {
		r.first = now.id
	}
	change := Change{Vars: map[string]any{"rebooted": now.id != r.first, "boot_id": now.id}, Wait: Wait{Timeout: r.NodeTimeout}}
	if now.id == r.first {
		if err := r.same(ctx, t, now); err != nil {
			return Change{}, err
		}
		change.Diffs = []Diff{{What: "boot", Have: now.id, Want: "another one", Passing: true}}
		change.Steps = []Step{Reboot{Boot: now.id, Command: r.RebootCommand, Timeout: r.RebootTimeout}}
		change.Effects = []Effect{{Thing: aKernel, State: Unforeseen{"which kernel runs when the host has booted"}}}
		return change, nil
	}
	if r.TestCommand != "" {
		out, err := t.Query(ctx, Run{Shell: r.TestCommand})
		if err != nil {
			return Change{}, err
		}
		if out.Code != 0 {
			change.Diffs = append(change.Diffs, Diff{What: r.TestCommand, Have: fmt.Sprintf("exit code %d %s", out.Code, lastLine(out.Stderr)), Want: "exit code 0"})
		}
	}
	if r.Node == "" {
		return change, nil
	}
	node, err := r.node(ctx, t)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = append(change.Diffs, behind(node, now)...)
	change.Wait.On = []Ref{nodeRef(r.Node)}
	return change, nil
}

// same makes sure, before anything is rebooted, that the node is this host: what is
// waited for afterwards would never come.
func (r *reboot) same(ctx context.Context, t Target, now boot) error {
	if r.Node == "" {
		return nil
	}
	node, err := r.node(ctx, t)
	if err != nil {
		return err
	}
	if told := dig[string](node, "status", "nodeInfo", "bootID"); told != now.id {
		return fmt.Errorf("node %s tells of the boot %q, and this host is in the boot %s: it is another machine, or its kubelet has not started since this host has; nothing was rebooted",
			r.Node, told, now.id)
	}
	return nil
}

func (r *reboot) node(ctx context.Context, t Target) (Object, error) {
	cluster, err := t.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	node, err := cluster.Get(ctx, nodeRef(r.Node))
	if err == nil && node == nil {
		err = fmt.Errorf("there is no node %q in the cluster", r.Node)
	}
	return node, err
}

func nodeRef(name string) Ref { return Ref{Kind: "node", APIVersion: "v1", Name: name} }

// behind is what a node lacks to tell of a boot. A node that has died stays Ready
// in the API until the controllers miss it, for 40 seconds and more: only what its
// kubelet has said since the boot counts.
func behind(node Object, now boot) []Diff {
	var diffs []Diff
	title := "node " + nameOf(node)
	if told := dig[string](node, "status", "nodeInfo", "bootID"); told != now.id {
		return []Diff{{What: title + " boot", Have: told, Want: now.id}}
	}
	status, why := conditionOf(node, "Ready")
	if status != "True" {
		diffs = append(diffs, Diff{What: title, Have: strings.TrimSpace("not Ready " + why), Want: "Ready"})
	}
	heard := heartbeat(node)
	if heard.Before(now.began.Truncate(time.Second)) {
		diffs = append(diffs, Diff{What: title + " heartbeat", Have: heard.Format(time.RFC3339), Want: "since the boot at " + now.began.UTC().Format(time.RFC3339)})
	}
	return diffs
}

// heartbeat is when a node last said that it is Ready, by its own clock; the zero
// time where it never has.
func heartbeat(node Object) time.Time {
	for _, c := range objectsAt(node, "status", "conditions") {
		if dig[string](c, "type") == "Ready" {
			at, _ := time.Parse(time.RFC3339, dig[string](c, "lastHeartbeatTime"))
			return at
		}
	}
	return time.Time{}
}

// boot is what a host says of its latest start.
type boot struct {
	id    string
	began time.Time // by the host's clock; of its first process, which in a container is later than the kernel
}

// bootQuery prints the boot's id, when the kernel started, and what is known of
// process 1, each on a line of its own.
var bootQuery = Run{Shell: `cat /proc/sys/kernel/random/boot_id; grep '^btime ' /proc/stat; cat /proc/1/stat 2>/dev/null || echo`, Show: "cat /proc/sys/kernel/random/boot_id"}

var (
	uuid       = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	kernelTime = regexp.MustCompile(`^btime ([0-9]+)$`)
)

// ticks are how Linux counts a process's start, in a second: USER_HZ, which is 100
// on every architecture that Debian has.
const ticks = 100

// lookAtBoot asks for the boot. An answer that is none, such as what a host says
// while it goes down, is an error: taken as an id, it would pass for another boot
// (ansible/ansible#78007, #83018).
func lookAtBoot(ctx context.Context, t Target) (boot, error) {
	out, err := t.Query(ctx, bootQuery)
	if err != nil {
		return boot{}, err
	}
	lines := strings.Split(out.Stdout, "\n")
	if out.Code != 0 || len(lines) < 3 || !uuid.MatchString(lines[0]) {
		return boot{}, fmt.Errorf("the boot's id cannot be told: /proc/sys/kernel/random/boot_id answers %q (exit code %d) %s", lines[0], out.Code, strings.TrimSpace(out.Stderr))
	}
	b := boot{id: lines[0]}
	if m := kernelTime.FindStringSubmatch(lines[1]); m != nil {
		seconds, _ := strconv.ParseInt(m[1], 10, 64)
		b.began = time.Unix(seconds, 0)
	}
	// The fields after the process's name, which is in parentheses; the start is
	// number 22 of all (proc(5)).
	if fields := strings.Fields(lines[2][strings.LastIndexByte(lines[2], ')')+1:]); len(fields) > 19 {
		n, _ := strconv.ParseInt(fields[19], 10, 64)
		b.began = b.began.Add(time.Duration(n) * time.Second / ticks)
	}
	return b, nil
}

// Seen is the boot of the first look.
func (r *reboot) Seen() []byte {
	if r.first == "" {
		return nil
	}
	data, err := json.Marshal(r.first)
	if err != nil {
		return nil // text cannot fail
	}
	return data
}

// Recall takes what Seen gave: the host is not rebooted twice.
func (r *reboot) Recall(seen []byte) error { return json.Unmarshal(seen, &r.first) }
