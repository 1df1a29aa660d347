package modules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

func TestKubectlRestart(t *testing.T) {
	healthy := pod("a", "n1", true, "") + pod("b", "n2", true, "") + pod("c", "n3", true, "")
	faulty := pod("a", "n1", true, "") + pod("b", "n2", false, "") + pod("c", "n3", true, "")
	const line = "kubectl -n ns rollout restart daemonset/ds"
	for _, c := range []struct {
		name, ds, pods, only string
		steps                []string
		diffs                []string
	}{
		{"healthy", daemonset(3, 3, ""), healthy, "", []string{line}, []string{"daemonset ns/ds: not restarted -> restarted"}},
		{"healthy, only unready", daemonset(3, 3, ""), healthy, "unready", nil, nil},
		{"a pod is not ready, only unready", daemonset(3, 2, ""), faulty, "unready", []string{line}, []string{"daemonset ns/ds: not restarted -> restarted"}},
		{"marked before by another run", daemonset(3, 3, `"runbook/restart": old`), healthy, "", []string{line}, []string{"daemonset ns/ds: not restarted -> restarted"}},
		{"restarted and rolled out", daemonset(3, 3, `"runbook/restart": m1`), healthy, "", nil, nil},
		{"restarted, on its way", daemonset(2, 2, `"runbook/restart": m1`), faulty, "", nil, []string{
			"daemonset ns/ds: 2 updated, 2 ready, 2 available -> all 3 updated, ready and available",
			"pod b on n2: not ready, RFalse containers with unready status: [main], 2 restarts, last warning: Unhealthy probe failed -> Ready",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := &fakeCluster{
				objects: map[string]string{dsRef: c.ds},
				lists: map[string]string{dsPods: c.pods, warnsRef: `
{apiVersion: v1, kind: Event, lastTimestamp: "2026-01-01T00:00:02Z", reason: Unhealthy, message: probe failed, involvedObject: {uid: uid-b}}
---
{apiVersion: v1, kind: Event, lastTimestamp: "2026-01-01T00:00:01Z", reason: BackOff, message: older, involvedObject: {uid: uid-b}}`},
			}
			k := &kubectl{Restart: "daemonset/ds", Namespace: "ns", Mark: "m1", Only: c.only, now: noon}
			change := check(t, k, &fake{cluster: cluster})
			assert.Equal(t, len(c.steps), len(change.Steps))
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.diffs, diffLines(change))
			if len(c.steps) == 0 && len(c.diffs) > 0 {
				assert.Equal(t, restartDefault, change.Wait.Timeout)
				assert.Len(t, change.Wait.On, 2)
			}
		})
	}
}

func TestKubectlRestartStep(t *testing.T) {
	cluster := &fakeCluster{objects: map[string]string{dsRef: daemonset(3, 3, "")}, lists: map[string]string{dsPods: ""}}
	k := &kubectl{Restart: "daemonset/ds", Namespace: "ns", now: noon}
	first := check(t, k, &fake{cluster: cluster})
	require.Len(t, first.Steps, 1)
	template := dig[map[string]any](first.Steps[0].(APIStep).Body, "spec", "template", "metadata", "annotations")
	assert.Equal(t, map[string]any{restartedAt: "2026-01-01T12:00:00Z", restartMark: "after-abcdefgh.4"}, template)

	// The patch has made a new generation; the task still knows its own mark.
	cluster.objects[dsRef] = daemonset(3, 3, `"runbook/restart": after-abcdefgh.4`)
	assert.Empty(t, check(t, k, &fake{cluster: cluster}).Steps)

	for name, wrong := range map[string]string{
		"OnDelete":       "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: ds}\nspec: {updateStrategy: {type: OnDelete}}",
		"has no rollout": "apiVersion: v1\nkind: Pod\nmetadata: {name: ds}",
		"is paused":      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ds}\nspec: {paused: true}",
		"there is no":    "",
	} {
		cluster.objects[dsRef] = wrong
		assert.Contains(t, fails(t, &kubectl{Restart: "daemonset/ds", Namespace: "ns", now: noon}, cluster), name)
	}
}

func TestRollouts(t *testing.T) {
	for _, c := range []struct {
		name, object string
		want         string // Have of the only diff; empty: complete
	}{
		{"daemonset complete", daemonset(3, 3, ""), ""},
		{"daemonset half available", daemonset(3, 1, ""), "3 updated, 1 ready, 1 available"},
		{"daemonset wanted nowhere", "kind: DaemonSet\nstatus: {desiredNumberScheduled: 0}", "wanted on no node"},
		{"controller behind", "kind: DaemonSet\nmetadata: {generation: 2}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberReady: 1, numberAvailable: 1}",
			"1 updated, 1 ready, 1 available, the last change is not seen by its controller yet"},
		{"deployment complete", "kind: Deployment\nspec: {replicas: 2}\nstatus: {replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2}", ""},
		{"deployment of none", "kind: Deployment\nspec: {replicas: 0}", ""},
		{"deployment with the default of one", "kind: Deployment\nspec: {}", "0 updated, 0 ready, 0 available"},
		{"old pods left", "kind: Deployment\nspec: {replicas: 1}\nstatus: {replicas: 2, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}",
			"1 updated, 1 ready, 1 available, 1 old pods are left"},
		{"given up", "kind: Deployment\nspec: {replicas: 1}\nstatus: {conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: late}]}",
			"0 updated, 0 ready, 0 available, ProgressDeadlineExceeded late"},
		{"statefulset complete", "kind: StatefulSet\nspec: {replicas: 2}\nstatus: {updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2}", ""},
		{"statefulset with a partition", "kind: StatefulSet\nspec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}\nstatus: {updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects, err := parseManifest("test", []byte(c.object))
			require.NoError(t, err)
			state, err := rolloutOf(objects[0])
			require.NoError(t, err)
			lack := state.lack(objects[0])
			if c.want == "" {
				assert.Empty(t, lack)
				return
			}
			require.Len(t, lack, 1)
			assert.Equal(t, c.want, lack[0].Have)
		})
	}
}

func TestKubectlWait(t *testing.T) {
	waiting := `---
apiVersion: v1
kind: Pod
metadata: {name: w, namespace: ns, uid: u}
spec: {nodeName: n4}
status:
  phase: Pending
  containerStatuses: [{name: main, restartCount: 0, state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m0s}}}]`
	node := "apiVersion: v1\nkind: Node\nmetadata: {name: node1}\nstatus: {conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown, message: Kubelet stopped}]}"
	stale := "apiVersion: x/v1\nkind: Thing\nmetadata: {name: t, generation: 3}\nstatus: {observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]}"
	cluster := &fakeCluster{
		objects: map[string]string{
			dsRef: daemonset(3, 2, ""), "pod/late in namespace ns": "", "node/node1": node, "thing/t": stale, "pod/w in namespace ns": waiting,
		},
		lists: map[string]string{podsRef: pod("a", "n1", true, ""), dsPods: pod("a", "n1", true, ""), warnsRef: "", "pods with app=none in namespace ns": ""},
	}
	for _, c := range []struct {
		name string
		k    *kubectl
		want []string
	}{
		{"pods are ready", &kubectl{Wait: "pods", Selector: "app=x"}, nil},
		{"as many as expected", &kubectl{Wait: "pods", Selector: "app=x", Expect: 1}, nil},
		{"fewer than expected", &kubectl{Wait: "pods", Selector: "app=x", Expect: "desired of daemonset/ds"},
			[]string{"number of pods with app=x in namespace ns: 1 -> 3"}},
		{"none of those expected", &kubectl{Wait: "pods", Selector: "app=none", Expect: 2},
			[]string{"number of pods with app=none in namespace ns: 0 -> 2"}},
		{"a rollout", &kubectl{Wait: "daemonset/ds"},
			[]string{"daemonset ns/ds: 3 updated, 2 ready, 2 available -> all 3 updated, ready and available"}},
		{"a named object may come", &kubectl{Wait: "pod/late"}, []string{"pod/late in namespace ns: absent -> present"}},
		{"a container waits", &kubectl{Wait: "pod/w"},
			[]string{"pod w on n4: not ready, phase Pending, container main waits: CrashLoopBackOff back-off 5m0s -> Ready"}},
		{"deleted", &kubectl{Wait: "pod/late", For: "deleted"}, nil},
		{"deleted, but there", &kubectl{Wait: "pods", Selector: "app=x", For: "deleted"}, []string{"pod ns/a: present -> gone"}},
		{"a path", &kubectl{Wait: "pods", Selector: "app=x", For: "jsonpath={.status.containerStatuses[0].restartCount}=2"}, nil},
		{"another value", &kubectl{Wait: "pods", Selector: "app=x", For: "jsonpath=.status.phase=Failed"},
			[]string{"pod ns/a .status.phase: Running -> Failed"}},
		{"nothing at the path", &kubectl{Wait: "pods", Selector: "app=x", For: "jsonpath=.status['a.b']=1"},
			[]string{"pod ns/a .status['a.b']: absent -> 1"}},
		{"a condition that must not be", &kubectl{Wait: "pods", Selector: "app=x", For: "condition=Ready=False"},
			[]string{"pod ns/a condition Ready: True RTrue containers with unready status: [main] -> False"}},
		{"no such condition", &kubectl{Wait: "pods", Selector: "app=x", For: "condition=Strange"},
			[]string{"pod ns/a condition Strange: not told -> True"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.k.Namespace = "ns"
			change := check(t, c.k, &fake{cluster: cluster})
			assert.Equal(t, c.want, diffLines(change))
			assert.Empty(t, change.Steps)
			assert.NotEmpty(t, change.Wait.On)
			if len(c.want) > 0 {
				assert.Equal(t, waitDefault, change.Wait.Timeout)
			}
		})
	}
	assert.Equal(t, []string{"node node1 condition Ready: Unknown NodeStatusUnknown Kubelet stopped -> True"}, diffLines(check(t, &kubectl{Wait: "node/node1"}, &fake{cluster: cluster})))
	assert.Contains(t, diffLines(check(t, &kubectl{Wait: "thing/t"}, &fake{cluster: cluster}))[0], "of an older state")
}

func TestKubectlWaitForNothing(t *testing.T) {
	cluster := &fakeCluster{lists: map[string]string{podsRef: ""}}
	k := &kubectl{Wait: "pods", Selector: "app=x", Namespace: "ns"}
	assert.Contains(t, fails(t, k, cluster), "there are no pods with app=x")

	// Once seen, an empty moment between two pods is a wait and no mistake.
	cluster.lists[podsRef] = pod("a", "n1", true, "")
	assert.Empty(t, check(t, k, &fake{cluster: cluster}).Diffs)
	cluster.lists[podsRef] = ""
	assert.Equal(t, []string{"pods with app=x in namespace ns: absent -> present"}, diffLines(check(t, k, &fake{cluster: cluster})))

	zero := time.Duration(0)
	cluster.lists[podsRef], cluster.lists[warnsRef] = pod("a", "n1", false, ""), ""
	assert.Contains(t, fails(t, &kubectl{Wait: "pods", Selector: "app=x", Namespace: "ns", Timeout: &zero}, cluster), "pod a on n1: is not ready")
}

func TestKubectlStable(t *testing.T) {
	cluster := &fakeCluster{lists: map[string]string{podsRef: pod("a", "n1", true, "")}}
	k := &kubectl{Wait: "pods", Selector: "app=x", Namespace: "ns", Stable: 30 * time.Second}
	c := check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Diffs)
	assert.Equal(t, 4, c.Wait.Consecutive, "looks at 0, 10, 20 and 30 seconds")
	assert.Equal(t, 10*time.Second, c.Wait.Interval)

	// Another pod is Ready at the next look: it was not stable.
	cluster.lists[podsRef] = pod("b", "n1", true, "")
	assert.Equal(t, []string{"pod b on n1: started anew (2 restarts) -> no start for 30s"}, diffLines(check(t, k, &fake{cluster: cluster})))
	assert.Empty(t, check(t, k, &fake{cluster: cluster}).Diffs)

	short := (&kubectl{Stable: time.Second}).spacing()
	assert.Equal(t, Wait{Interval: time.Second, Consecutive: 2}, short)
}
