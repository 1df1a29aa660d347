//go:build linux

package incident

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

// Checklist is the seven items.
const Checklist = "playbooks/checklist.yaml"

// shortWaits are the checklist's pauses and limits, short enough for a lab.
var shortWaits = map[string]any{
	"soak": 1, "ready_timeout": 10, "felix_interval": 0.5, "felix_timeout": 5, "log_timeout": 4, "dns_timeout": 6,
	"net_timeout": 8, "agents_timeout": 40, "site_timeout": 6,
}

var tableRow = regexp.MustCompile(`\| ([1-7]) \| [^|]+ \| ([x ]) \| ([^|]+) \|`)

// judged runs the checklist and returns which items are not ticked, with what
// the table says of each item.
func (o Operator) judged(t *testing.T, more map[string]any) (open string, evidence map[string]string, out Outcome) {
	t.Helper()
	vars := maps.Clone(shortWaits)
	maps.Copy(vars, more)
	text, err := json.Marshal(vars)
	require.NoError(t, err)
	theirs, err := Vars(o.Lab)
	require.NoError(t, err)
	out = o.exec(t, "apply", "--yes", Checklist, "-i", o.Lab.Inventory(), "-e", theirs, "-e", string(text))
	evidence = map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(out.Stdout, -1) {
		evidence[row[1]] = row[3]
		if row[2] != "x" {
			open += row[1]
		}
	}
	require.Len(t, evidence, 7, "the table has seven rows")
	require.NotContains(t, o.leftOver(t), "pod/", "no temporary pod is left")
	// The cluster itself collects what belonged to the daemonset.
	require.Eventually(t, func() bool { return o.leftOver(t) == "" }, 20*time.Second, 300*time.Millisecond)
	return open, evidence, out
}

// leftOver are the checklist's temporary objects that are still there.
func (o Operator) leftOver(t *testing.T) string {
	t.Helper()
	out, err := o.Lab.Kube(t.Context(), "get", "daemonsets,pods,controllerrevisions", "--all-namespaces", "--selector=runbook.io/probe", "--output=name")
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// kube is kubectl of the lab, which must succeed.
func (o Operator) kube(t *testing.T, args ...string) string {
	t.Helper()
	out, err := o.Lab.Kube(context.WithoutCancel(t.Context()), args...)
	require.NoError(t, err)
	return out
}

// on runs a command on one host, which must succeed.
func (o Operator) on(t *testing.T, host, command string) string {
	t.Helper()
	h, err := o.Lab.Host(host)
	require.NoError(t, err)
	out, err := o.Lab.SSH(context.WithoutCancel(t.Context()), h, command)
	require.NoError(t, err, out)
	return out
}

// passes runs a check as the page, or its table of false passes, has it: kubectl
// and ssh in a shell on a control-plane host. It must pass, though the item is
// not as it should be: that is what makes it false.
func (o Operator) passes(t *testing.T, check string) {
	t.Helper()
	host := o.Lab.Hosts()[0]
	script := "export KUBECONFIG=/etc/kubernetes/admin.conf; PATH=$PATH:/opt/lab; " + check
	out, err := o.Lab.SSH(t.Context(), host, script)
	require.NoError(t, err, "the naive check must pass: %s\n%s", check, out)
	t.Logf("passes: %s\n%s", check, out)
}

// passesHere runs a check on this machine, the controller.
func passesHere(t *testing.T, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "the naive check must pass: %q\n%s", argv, out)
	t.Logf("passes: %q\n%s", argv, out)
}

// podOn is the pod that a selector finds on a node.
func (o Operator) podOn(t *testing.T, namespace, selector, node string) string {
	t.Helper()
	name := o.kube(t, "get", "pods", "-n", namespace, "-l", selector, "--field-selector=spec.nodeName="+node, "-o", "jsonpath={.items[0].metadata.name}")
	require.NotEmpty(t, name)
	return name
}

// TestTheChecklistIsGreenOnAHealthyLab: seven ticks, nothing left over, nothing
// changed, and the second time the same; a plan changes nothing either.
func TestTheChecklistIsGreenOnAHealthyLab(t *testing.T) {
	o := faulty(t, lab.None)
	pods := o.pods(t)
	was, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	text, err := json.Marshal(shortWaits)
	require.NoError(t, err)
	plan := o.call(t, "plan", Checklist, "-e", string(text))
	require.Equal(t, 0, plan.Code)
	is, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, lab.Diff(was, is), "a plan changes nothing")
	record := filepath.Join(t.TempDir(), "record.md")
	open, evidence, out := o.judged(t, nil)
	green(t, open, evidence)
	require.Equal(t, 0, out.Code)
	unchanged(t, out)
	open, evidence, out = o.judged(t, map[string]any{"record": record})
	green(t, open, evidence)
	kept, err := os.ReadFile(record)
	require.NoError(t, err)
	require.Len(t, tableRow.FindAllString(string(kept), -1), 7, "%s", kept)
	for line := range strings.Lines(string(kept)) {
		require.Contains(t, out.Stdout, strings.TrimSpace(line))
	}
	require.Equal(t, pods, o.pods(t))
}

// green requires seven ticks, with the evidence that a healthy lab gives.
func green(t *testing.T, open string, evidence map[string]string) {
	t.Helper()
	require.Empty(t, open, "%v", evidence)
	for item, says := range map[string]string{
		"1": "8 of 8 nodes have a Ready pod of kube-system/calico-node", "2": "8 of 8 pods", "3": "8 of 8 hosts",
		"4": "8 of 8 nodes: keybuzz-api.keybuzz.svc.cluster.local is 10.96.", "5": "2 of 2 ingress pods", "6": "56 of 56 pairs",
	} {
		require.Contains(t, evidence[item], says)
	}
	require.Equal(t, 2, strings.Count(evidence["7"], "five times, TLS verified"), evidence["7"])
}

// TestTheChecklistTakesAwayWhatADeadRunLeft: a run that is killed while its pods
// are there leaves them to resume, or to the next run.
func TestTheChecklistTakesAwayWhatADeadRunLeft(t *testing.T) {
	o := faulty(t, lab.None)
	for name, after := range map[string]func(*testing.T){
		"resume": func(t *testing.T) { require.Equal(t, 0, o.exec(t, "resume").Code) },
		"the next run": func(t *testing.T) {
			open, evidence, _ := o.judged(t, nil)
			require.Empty(t, open, "%v", evidence)
		},
	} {
		t.Run(name, func(t *testing.T) {
			vars, err := Vars(o.Lab)
			require.NoError(t, err)
			text, err := json.Marshal(shortWaits)
			require.NoError(t, err)
			cmd, err := o.Command(t.Context(), "apply", "--yes", Checklist, "-i", o.Lab.Inventory(), "-e", vars, "-e", string(text))
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return strings.Contains(o.leftOver(t), "pod/") }, time.Minute, 100*time.Millisecond)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait() // it was killed
			require.Contains(t, o.leftOver(t), "daemonset.apps/runbook-checklist-")
			after(t)
			require.Eventually(t, func() bool { return o.leftOver(t) == "" }, 20*time.Second, 300*time.Millisecond)
		})
	}
}

// TestTheChecklistAndALostHost: one host without a cable leaves its items open;
// the others are judged, and the table is there.
func TestTheChecklistAndALostHost(t *testing.T) {
	o := faulty(t, lab.None)
	require.NoError(t, o.Lab.Unplug(t.Context(), "node008"))
	t.Cleanup(func() { require.NoError(t, o.Lab.Plug(context.WithoutCancel(t.Context()), "node008")) })
	open, evidence, out := o.judged(t, map[string]any{"agents_timeout": 6})
	require.Equal(t, 4, out.Code)
	require.Contains(t, open, "3")
	require.Contains(t, evidence["3"], "node008 was not reached")
	require.Contains(t, open, "6")
	require.NotContains(t, open, "7", evidence["7"])
}
