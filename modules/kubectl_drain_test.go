package modules

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const nodePods = "pods with spec.nodeName=node005 in all namespaces"

// cordoned is YAML of node005, with a mark and with who wrote its cordon.
func cordoned(on bool, mark, writer string) string {
	text := "apiVersion: v1\nkind: Node\nmetadata:\n  name: node005\n  resourceVersion: \"7\"\n"
	if mark != "" {
		text += "  annotations: {runbook/cordoned-by: " + mark + "}\n"
	}
	if writer != "" {
		text += "  managedFields: [{manager: kubelet, fieldsV1: {\"f:status\": {}}}, {manager: " + writer + ", time: \"2026-11-29T07:00:00Z\", fieldsV1: {\"f:spec\": {\"f:unschedulable\": {}}}}]\n"
	}
	return text + fmt.Sprintf("spec: {unschedulable: %t}\n", on)
}

func TestCordon(t *testing.T) {
	for _, c := range []struct {
		name  string
		verb  string
		node  string
		run   RunName
		diffs []string
		steps []string
		body  string
		notes string
		vars  map[string]any
		err   string
	}{
		{name: "to be cordoned", verb: "cordon", node: cordoned(false, "", ""), run: thisRun, diffs: []string{"node node005: schedulable -> cordoned for roll"}, steps: []string{"kubectl cordon node005"},
			body: `{"metadata":{"annotations":{"runbook/cordoned-by":"roll/r1"},"resourceVersion":"7"},"spec":{"unschedulable":true}}`,
			vars: map[string]any{"cordoned": false, "ours": true, "by": ""}},
		{name: "with an old mark", verb: "cordon", node: cordoned(false, "roll/r0", ""), diffs: []string{"node node005: schedulable -> cordoned for roll"}, steps: []string{"kubectl cordon node005"},
			body: `{"metadata":{"annotations":{"runbook/cordoned-by":"roll/"},"resourceVersion":"7"},"spec":{"unschedulable":true}}`,
			vars: map[string]any{"cordoned": false, "ours": true, "by": ""}},
		{name: "cordoned by us", verb: "cordon", node: cordoned(true, "roll/r0", "runbook"), vars: map[string]any{"cordoned": true, "ours": true, "by": "runbook for roll, run r0"}},
		{name: "cordoned by a person", verb: "cordon", node: cordoned(true, "", "kubectl-cordon"),
			notes: "node node005 is cordoned by somebody (kubectl-cordon at 2026-11-29T07:00:00Z), and will stay so",
			vars:  map[string]any{"cordoned": true, "ours": false, "by": "somebody (kubectl-cordon at 2026-11-29T07:00:00Z)"}},
		{name: "no such node", verb: "cordon", err: `there is no node "node005"`},

		{name: "ours is lifted", verb: "uncordon", node: cordoned(true, "roll/r0", "runbook"), diffs: []string{"node node005: cordoned by runbook for roll, run r0 -> schedulable"},
			steps: []string{"kubectl uncordon node005"}, body: `{"metadata":{"annotations":{"runbook/cordoned-by":null},"resourceVersion":"7"},"spec":{"unschedulable":null}}`,
			vars: map[string]any{"cordoned": true, "ours": true, "by": "runbook for roll, run r0"}},
		{name: "a person's stays", verb: "uncordon", node: cordoned(true, "", "kubectl-cordon"), notes: "that is not lifted",
			vars: map[string]any{"cordoned": true, "ours": false, "by": "somebody (kubectl-cordon at 2026-11-29T07:00:00Z)"}},
		{name: "a person's stays, though our old mark is still there", verb: "uncordon", node: cordoned(true, "roll/r0", "kubectl-cordon"), notes: "that is not lifted",
			vars: map[string]any{"cordoned": true, "ours": false, "by": "somebody (kubectl-cordon at 2026-11-29T07:00:00Z)"}},
		{name: "where the server does not say who, it stays", verb: "uncordon", node: cordoned(true, "roll/r0", ""), notes: "that is not lifted",
			vars: map[string]any{"cordoned": true, "ours": false, "by": "somebody"}},
		{name: "what runbook did for something else stays", verb: "uncordon", node: cordoned(true, "node-drain/r0", "runbook"),
			notes: "node node005 is cordoned by runbook for node-drain, run r0: that is not lifted",
			vars:  map[string]any{"cordoned": true, "ours": false, "by": "runbook for node-drain, run r0"}},
		{name: "a mark that was left over", verb: "uncordon", node: cordoned(false, "roll/r0", ""), diffs: []string{"node node005: marked as cordoned for roll/r0 -> no mark"},
			steps: []string{"kubectl uncordon node005"}, body: `{"metadata":{"annotations":{"runbook/cordoned-by":null},"resourceVersion":"7"}}`,
			vars: map[string]any{"cordoned": false, "ours": false, "by": ""}},
		{name: "schedulable", verb: "uncordon", node: cordoned(false, "", ""), vars: map[string]any{"cordoned": false, "ours": false, "by": ""}},
	} {
		t.Run(c.verb+" "+c.name, func(t *testing.T) {
			k := &kubectl{Owner: "roll"}
			if c.verb == "cordon" {
				k.Cordon = "node005"
			} else {
				k.Uncordon = "node/node005"
			}
			require.NoError(t, k.Validate())
			target := &fake{run: c.run, cluster: &fakeCluster{objects: map[string]string{"node/node005": c.node}}}
			change, err := k.Check(t.Context(), target)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, diffLines(change))
			assert.Equal(t, c.vars, change.Vars)
			assert.Contains(t, strings.Join(change.Notes, "; "), c.notes)
			require.Len(t, change.Steps, len(c.steps))
			if len(c.steps) > 0 {
				assert.Equal(t, c.steps, stepLines(change))
				assert.JSONEq(t, c.body, oneLineJSON(change.Steps[0].(APIStep).Body))
				target.predicted = change.Effects
				k.Cordon, k.Uncordon = "", "node005"
				if c.verb == "uncordon" {
					k.Cordon, k.Uncordon = "node005", ""
				}
				next := check(t, k, target)
				assert.Len(t, next.Steps, 1, "in a plan the other verb would have to undo it: %v", next.Notes)
			}
		})
	}
	assert.ErrorContains(t, (&kubectl{Cordon: "node/a/b"}).Validate(), "is not the name of a node")
	assert.ErrorContains(t, (&kubectl{Cordon: "a", Owner: "b/c"}).Validate(), "one word")
	assert.ErrorContains(t, (&kubectl{Cordon: "a", Force: true}).Validate(), `cordon does not take "force"`)
}

// drainPod is YAML of a pod of the node, with more of its metadata and spec.
func drainPod(name, meta, spec string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop, uid: uid-" + name + ", labels: {app: " + strings.TrimRight(name, "0123456789") + "}" + meta + "}\n" +
		"spec: {nodeName: node005, containers: [{name: c, image: i}]" + spec + "}\nstatus: {phase: Running, conditions: [{type: Ready, status: \"True\"}]}\n"
}

func owned(kind string) string {
	return ", ownerReferences: [{apiVersion: apps/v1, kind: " + kind + ", name: x, controller: true}]"
}

const (
	emptyDir  = ", volumes: [{name: tmp, emptyDir: {}}]"
	networkOK = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: calico-node, namespace: kube-system}\nspec: {updateStrategy: {type: RollingUpdate}}\nstatus: {observedGeneration: 0, desiredNumberScheduled: 8, numberReady: 8}\n"
	budgets   = `---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}, matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}
status: {disruptionsAllowed: 0, currentHealthy: 2, expectedPods: 3, desiredHealthy: 2}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: elsewhere}
spec: {selector: {}}
`
)

func TestDrain(t *testing.T) {
	mine := cordoned(true, "roll/r1", "runbook")
	all := func(k *kubectl) { k.IgnoreDaemonsets, k.DeleteEmptydirData, k.Force = true, true, true }
	for _, c := range []struct {
		name    string
		args    func(*kubectl)
		node    string
		pods    string
		network string // as it is where empty
		refuse  []string
		plan    []Effect
		diffs   []string
		steps   []string
		left    []any
		notes   string
		err     string
	}{
		{name: "nothing is on it", node: mine, left: []any{}},
		{name: "nothing is on it, and it is not cordoned", node: cordoned(false, "", ""), diffs: []string{"node node005: schedulable -> cordoned for roll"}, steps: []string{"kubectl cordon node005"}, left: []any{}},
		{name: "a pod of a deployment", node: mine, pods: drainPod("web1", owned("ReplicaSet"), ""),
			diffs: []string{"pods on node node005: shop/web1 to be evicted -> none"}, steps: []string{"kubectl drain node005 # evicts shop/web1"}, left: []any{}},
		{name: "what stays: the node's own, and daemonsets' where that is said", args: all, node: mine,
			pods: drainPod("etcd", `, annotations: {kubernetes.io/config.mirror: x}, ownerReferences: [{kind: Node, name: node005, controller: true}]`, "") + drainPod("agent", owned("DaemonSet"), emptyDir),
			left: []any{"shop/etcd", "shop/agent"}},
		{name: "what would be lost, all at once", node: mine, pods: drainPod("agent", owned("DaemonSet"), "") + drainPod("bare", "", "") + drainPod("db", owned("StatefulSet"), emptyDir) + drainPod("web1", owned("ReplicaSet"), ""),
			err: "node node005 is not drained: there are pods of daemonsets, which would make them again at once (ignore_daemonsets: true leaves them): shop/agent; " +
				"there are pods that belong to nobody, and would be gone for good (force: true evicts them all the same): shop/bare; " +
				"there are pods with data in an emptyDir, which would be gone (delete_emptydir_data: true gives it up): shop/db"},
		{name: "and what goes where that is said", args: all, node: mine, pods: drainPod("bare", "", "") + drainPod("db", owned("StatefulSet"), emptyDir),
			diffs: []string{"pods on node node005: shop/bare to be evicted -> none", "pods on node node005: shop/db to be evicted -> none"},
			steps: []string{"kubectl drain node005 --delete-emptydir-data --force --ignore-daemonsets # evicts shop/bare", "kubectl drain node005 --delete-emptydir-data --force --ignore-daemonsets # evicts shop/db"},
			left:  []any{}, notes: "pod shop/bare belongs to nobody: it is gone for good"},
		{name: "what is over has nothing to lose", node: mine, pods: strings.Replace(drainPod("job", "", emptyDir), "phase: Running", "phase: Succeeded", 1),
			diffs: []string{"pods on node node005: shop/job to be evicted -> none"}, steps: []string{"kubectl drain node005 # evicts shop/job"}, left: []any{}},
		{name: "what ends already is waited for", node: mine, pods: drainPod("bare", `, deletionTimestamp: "2026-11-29T07:00:00Z", finalizers: [x/y]`, ""), left: []any{},
			diffs: []string{`pods on node node005: shop/bare ending: terminating since 2026-11-29T07:00:00Z, held by the finalizers ["x/y"] -> none`}},
		{name: "a budget holds one back", node: mine, pods: drainPod("web1", owned("ReplicaSet"), "") + drainPod("api1", owned("ReplicaSet"), ""), refuse: []string{"web1"}, left: []any{},
			diffs: []string{"pods on node node005: shop/web1 held back by the budget shop/web (0 disruptions allowed: 2 of 3 pods are healthy, 2 must be) -> none", "pods on node node005: shop/api1 to be evicted -> none"},
			steps: []string{"kubectl drain node005 # evicts shop/api1"}},
		{name: "of a budget that nobody finds the server's words are told", node: mine, pods: drainPod("api1", owned("ReplicaSet"), ""), refuse: []string{"api1"}, left: []any{},
			diffs: []string{"pods on node node005: shop/api1 held back by a budget: too many -> none"}},
		{name: "without budgets", args: func(k *kubectl) { k.DisableEviction = true; k.Grace = new(int64) }, node: mine, pods: drainPod("web1", owned("ReplicaSet"), ""), refuse: []string{"web1"}, left: []any{},
			diffs: []string{"pods on node node005: shop/web1 to be evicted -> none"}, steps: []string{"kubectl drain node005 --disable-eviction --grace-period=0 # deletes shop/web1"}},
		{name: "the network is not ready", node: mine, pods: drainPod("web1", owned("ReplicaSet"), ""), network: strings.Replace(networkOK, "numberReady: 8", "numberReady: 6", 1), left: []any{},
			diffs: []string{"network plugin daemonset kube-system/calico-node: 6 of 8 pods Ready -> all, as other nodes cannot start evicted pods without it (allow_unready_network: true drains all the same)"}},
		{name: "the network is not ready, and nobody minds", args: func(k *kubectl) { k.AllowUnreadyNetwork = true }, node: mine, pods: drainPod("web1", owned("ReplicaSet"), ""), network: "none", left: []any{},
			diffs: []string{"pods on node node005: shop/web1 to be evicted -> none"}, steps: []string{"kubectl drain node005 # evicts shop/web1"}},
		{name: "no network is known", node: mine, pods: drainPod("web1", owned("ReplicaSet"), ""), network: "none", err: "no network plugin is found"},
		{name: "a plan that has drained another node", node: mine, plan: []Effect{{Thing: aDrain, State: "node004", By: "Drain"}}, err: `which pods are on node node005 by then, as the task "Drain" sends the pods of other nodes there`},
		{name: "a plan that has drained this one", node: mine, plan: []Effect{{Thing: aDrain, State: "node005", By: "Drain"}}, left: []any{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &kubectl{Drain: "node005", Owner: "roll"}
			if c.args != nil {
				c.args(k)
			}
			require.NoError(t, k.Validate())
			cluster := &fakeCluster{objects: map[string]string{"node/node005": c.node}, lists: map[string]string{
				nodePods: c.pods, allDS: networkOK, "poddisruptionbudgets in all namespaces": budgets}, refusals: map[string]error{}}
			if c.network != "" {
				cluster.lists[allDS] = strings.TrimPrefix(c.network, "none")
			}
			for _, name := range c.refuse {
				cluster.refusals["kubectl drain node005 # evicts shop/"+name] = &BudgetError{Message: "too many"}
			}
			change, err := k.Check(context.Background(), &fake{run: thisRun, cluster: cluster, predicted: c.plan})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, diffLines(change))
			require.Len(t, change.Steps, len(c.steps))
			if len(c.steps) > 0 {
				assert.Equal(t, c.steps, stepLines(change))
			}
			for _, s := range change.Steps {
				api := s.(APIStep)
				assert.Equal(t, k.drainLine("node005"), api.PartOf)
				if api.Verb != Patch {
					assert.Equal(t, "uid-"+api.Ref.Name, api.UID)
				}
			}
			assert.Equal(t, c.left, change.Vars["left"])
			assert.Contains(t, strings.Join(change.Notes, "; "), c.notes)
			assert.True(t, change.Wait.Gradual)
			assert.Equal(t, 10*time.Minute, change.Wait.Timeout)
		})
	}
}

func TestDrainArguments(t *testing.T) {
	zero := time.Duration(0)
	for want, k := range map[string]*kubectl{
		"timeout is 0":                        {Drain: "n", Timeout: &zero},
		`drain does not take "name"`:          {Drain: "n", Name: "x"},
		`"node/" is not the name of a node`:   {Drain: "node/"},
		"cordon and drain exclude each other": {Drain: "n", Cordon: "n"},
	} {
		assert.ErrorContains(t, k.Validate(), want)
	}
}

// TestDrainDoesNotStopHalfway: a network that goes while pods do is no reason.
func TestDrainDoesNotStopHalfway(t *testing.T) {
	k := &kubectl{Drain: "node005", Owner: "roll"}
	cluster := &fakeCluster{objects: map[string]string{"node/node005": cordoned(true, "roll/r1", "runbook")}, lists: map[string]string{
		nodePods: drainPod("web1", owned("ReplicaSet"), "") + drainPod("web2", owned("ReplicaSet"), ""), allDS: networkOK}}
	require.Len(t, check(t, k, &fake{cluster: cluster}).Steps, 2)
	cluster.lists[allDS] = strings.Replace(networkOK, "numberReady: 8", "numberReady: 0", 1)
	cluster.lists[nodePods] = drainPod("web2", owned("ReplicaSet"), "")
	require.Len(t, check(t, k, &fake{cluster: cluster}).Steps, 1)
}

func TestSelects(t *testing.T) {
	pod := Object{"metadata": map[string]any{"labels": map[string]any{"app": "web", "tier": "a"}}}
	in := func(op string, values ...any) map[string]any {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": "tier", "operator": op, "values": values}}}
	}
	for want, all := range map[bool][]map[string]any{
		true:  {{}, {"matchLabels": map[string]any{"app": "web"}}, in("In", "a", "b"), in("NotIn", "b"), in("Exists")},
		false: {nil, {"matchLabels": map[string]any{"app": "api"}}, {"matchLabels": map[string]any{"none": "x"}}, in("In", "b"), in("NotIn", "a"), in("DoesNotExist"), in("Newer")},
	} {
		for _, s := range all {
			assert.Equal(t, want, selects(s, pod), "%v", s)
		}
	}
}

func TestNodeFacts(t *testing.T) {
	text := strings.Replace(cordoned(true, "roll/r0", "runbook"), "unschedulable: true", "unschedulable: true, taints: [{key: a/b, effect: NoSchedule}]", 1) +
		"status: {conditions: [{type: Ready, status: \"True\"}], addresses: [{type: Hostname, address: x}, {type: InternalIP, address: 10.0.0.1}], nodeInfo: {bootID: b, kernelVersion: k}}\n"
	change := check(t, &kubectl{Get: "nodes"}, &fake{cluster: &fakeCluster{lists: map[string]string{"nodes": text}}})
	assert.Equal(t, []any{map[string]any{"name": "node005", "ready": true, "address": "10.0.0.1", "taints": []any{"a/b"}, "cordoned": true,
		"cordoned_by": "runbook for roll, run r0", "cordon_owner": "roll", "boot_id": "b", "kernel": "k"}}, change.Vars["nodes"])
	change = check(t, &kubectl{Get: "nodes"}, &fake{cluster: &fakeCluster{lists: map[string]string{"nodes": cordoned(true, "roll/r0", "kubectl")}}})
	assert.Equal(t, "", change.Vars["nodes"].([]any)[0].(map[string]any)["cordon_owner"])
}
