//go:build linux

package maintenance

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner/plan"
	"runbook/tests/incident"
	"runbook/tests/lives"
)

// TestAPlanOfARollIsTrue: what is signed is done, step by step, and nothing else.
func TestAPlanOfARollIsTrue(t *testing.T) {
	o := fresh(t, "plan", "node006")
	file := filepath.Join(t.TempDir(), "roll.plan")
	vars, limit := one("node006", nil)
	args := o.args("plan", upgrade, vars, append(limit, "-o", file)...)
	began := time.Now()
	require.Equal(t, 0, o.call(args...).Code)
	first, err := plan.Read(file)
	require.NoError(t, err)
	require.Equal(t, 0, o.call(args...).Code)
	second, err := plan.Read(file)
	require.NoError(t, err)
	require.Equal(t, len(first.Work), len(second.Work))
	for i := range first.Work {
		require.Equal(t, first.Work[i].Status, second.Work[i].Status, "%+v", first.Work[i].Key)
	}
	require.Empty(t, o.turns(began))
	require.Equal(t, 0, o.call("apply", file).Code)
	lives.Compare(t, second, o.journal().Records())
	require.Equal(t, []string{"node006"}, inOrder(t, o.turns(began), 1))
	after := o.call(o.args("plan", upgrade, vars, limit...)...)
	require.Equal(t, 0, after.Code)
	require.Contains(t, after.Stdout, "Nothing to do")
}

// TestRebootNodes reboots what asks for it, and no more.
func TestRebootNodes(t *testing.T) {
	o := fresh(t, "reboot", "node004", "node005")
	const playbook = "playbooks/reboot-nodes.yaml"
	vars, limit := map[string]any{"canary": "node005"}, []string{"-l", "node004,node005"}
	quiet := o.call(o.args("apply", playbook, vars, limit...)...)
	require.Equal(t, 0, quiet.Code)
	unchanged(t, quiet)

	h, err := o.Lab.Host("node004")
	require.NoError(t, err)
	_, err = o.Lab.SSH(t.Context(), h, "touch /var/run/reboot-required")
	require.NoError(t, err)
	boots := []int{o.boots("node004"), o.boots("node005")}
	asked := o.call(o.args("apply", playbook, vars, limit...)...)
	require.Equal(t, 0, asked.Code)
	require.Equal(t, []int{boots[0] + 1, boots[1]}, []int{o.boots("node004"), o.boots("node005")})
	require.False(t, o.node("node004").Spec.Unschedulable)
	again := o.call(o.args("apply", playbook, vars, limit...)...)
	require.Equal(t, 0, again.Code)
	unchanged(t, again)
}

// TestNodeDrain empties a node and gives it back; what would be lost for good is
// named first, as kubectl drain does.
func TestNodeDrain(t *testing.T) {
	o := fresh(t, "drain", "node006")
	const playbook = "playbooks/node-drain.yaml"
	require.NoError(t, o.Lab.BarePod(t.Context(), "shop", "alone", "node006"))
	drain := func(verb string, vars map[string]any) incident.Outcome {
		all := map[string]any{"nodes": "node006", "delete_emptydir_data": false}
		for name, value := range vars {
			all[name] = value
		}
		return o.call(o.args(verb, playbook, all)...)
	}
	for _, c := range []struct {
		vars  map[string]any
		flags []string
	}{
		{nil, nil},
		{map[string]any{"force": true}, []string{"--force"}},
		{map[string]any{"delete_emptydir_data": true}, []string{"--delete-emptydir-data"}},
		{map[string]any{"delete_emptydir_data": true, "force": true}, []string{"--delete-emptydir-data", "--force"}},
	} {
		want, refused := o.kubectlDrain(c.flags...)
		planned := drain("plan", c.vars)
		require.Equal(t, want, podsIn(t, planned.Stdout, regexp.MustCompile(`# evicts (\S+)`)), "%v", c.flags)
		require.Equal(t, refused, planned.Code != 0, "%v", c.flags)
	}
	began := time.Now()
	refused := drain("apply", nil)
	require.Equal(t, 2, refused.Code)
	require.Contains(t, refused.Stdout, "pods that belong to nobody, and would be gone for good (force: true evicts them all the same): shop/alone")

	all := map[string]any{"delete_emptydir_data": true, "force": true}
	require.Equal(t, 0, drain("apply", all).Code)
	left, err := o.Lab.Kube(t.Context(), "get", "pods", "-A", "--field-selector=spec.nodeName=node006", `--output=jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{"\n"}{end}`)
	require.NoError(t, err)
	require.Regexp(t, `^(DaemonSet\n)+$`, left)
	require.True(t, o.node("node006").Spec.Unschedulable)
	second := drain("apply", all)
	require.Equal(t, 0, second.Code)
	unchanged(t, second)

	// The roll leaves what is out for something else, and stops.
	vars, limit := one("node007", nil)
	stopped := o.call(o.args("apply", upgrade, vars, limit...)...)
	require.Equal(t, 2, stopped.Code)
	require.Contains(t, stopped.Stdout, "node006: cordoned by runbook for node-drain, run ")

	require.Equal(t, 0, drain("apply", map[string]any{"give_back": true}).Code)
	require.False(t, o.node("node006").Spec.Unschedulable)
	turns := o.turns(began)
	require.Len(t, turns, 1)
	require.Contains(t, turns[0].evicted, "shop/alone")
}

// kubectlDrain is what kubectl would evict, and whether it refuses.
func (o operator) kubectlDrain(flags ...string) (pods []string, refused bool) {
	o.t.Helper()
	out, err := o.Lab.Kube(o.t.Context(), append([]string{"drain", "node006", "--ignore-daemonsets", "--dry-run=client"}, flags...)...)
	return podsIn(o.t, out, regexp.MustCompile(`evicting pod (\S+)`)), err != nil
}

func podsIn(t *testing.T, text string, line *regexp.Regexp) []string {
	t.Helper()
	var pods []string
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		pods = append(pods, m[1])
	}
	slices.Sort(pods)
	return slices.Compact(pods)
}
