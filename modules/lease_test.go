package modules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	leaseNow = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	thisRun  = RunName{ID: "r1", Life: "l2", Who: "ann@desk"}
)

const (
	leaseRef = "lease/roll in namespace kube-system"
	allDS    = "daemonsets in all namespaces"
)

func newLease() *lease {
	return &lease{Name: "roll", Namespace: "kube-system", Duration: time.Minute, Kured: true, now: func() time.Time { return leaseNow }}
}

func heldLease(holder, renewed string) string {
	return "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: roll, namespace: kube-system}\n" +
		"spec: {holderIdentity: " + holder + ", leaseDurationSeconds: 60, leaseTransitions: 3, renewTime: \"" + renewed + "\"}\n"
}

// kuredDS is YAML of kured's daemonset.
func kuredDS(args, annotations string) string {
	return `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kured, namespace: kube-system, annotations: {` + annotations + `}}
spec: {template: {spec: {containers: [{name: kured, image: ghcr.io/kubereboot/kured:1.16.0, command: [/usr/bin/kured], args: [` + args + `]}]}}}
`
}

func TestLease(t *testing.T) {
	free := []string{"lease kube-system/roll: free -> held by this run"}
	hold := []string{"hold lease kube-system/roll"}
	withKured := []string{"hold lease kube-system/roll and the lock of kured in kube-system/kured"}
	for _, c := range []struct {
		name  string
		lease string
		ds    string
		plan  bool
		wait  time.Duration
		diffs []string
		steps []string
		err   string
	}{
		{name: "nobody has had it", diffs: free, steps: hold},
		{name: "in a plan too", plan: true, diffs: free, steps: hold},
		{name: "it was given back", lease: heldLease(`""`, ""), diffs: free, steps: hold},
		{name: "this life of the run has it", lease: heldLease("runbook/r1/l2/ann@desk", "2026-11-29T07:59:50.000000Z")},
		{name: "this life has had it, too long ago", lease: heldLease("runbook/r1/l2/ann@desk", "2026-11-29T07:58:50.000000Z"),
			diffs: []string{"lease kube-system/roll: left by runbook/r1/l2/ann@desk, which has not renewed it since 2026-11-29T07:58:50Z -> held by this run"}, steps: hold},
		{name: "an earlier life has it", lease: heldLease("runbook/r1/l1/ann@desk", "2026-11-29T07:59:50.000000Z"),
			diffs: []string{"lease kube-system/roll: held by runbook/r1/l1/ann@desk, last renewed at 2026-11-29T07:59:50Z -> held by this run"}, steps: hold},
		{name: "another run has it", lease: heldLease("runbook/r10/l1/bob@desk", "2026-11-29T07:59:50.000000Z"),
			err: "lease kube-system/roll: is held by runbook/r10/l1/bob@desk, last renewed at 2026-11-29T07:59:50Z, want held by this run"},
		{name: "another run has it, and is waited for", wait: time.Minute, lease: heldLease("runbook/r10/l1/bob@desk", "2026-11-29T07:59:50.000000Z"),
			diffs: []string{"lease kube-system/roll: held by runbook/r10/l1/bob@desk, last renewed at 2026-11-29T07:59:50Z -> held by this run"}},
		{name: "another run has left it", lease: heldLease("runbook/r10/l1/bob@desk", "2026-11-29T07:58:50.000000Z"),
			diffs: []string{"lease kube-system/roll: left by runbook/r10/l1/bob@desk, which has not renewed it since 2026-11-29T07:58:50Z -> held by this run"}, steps: hold},
		{name: "kured is idle", ds: kuredDS("", ""), diffs: free, steps: withKured},
		{name: "kured reboots a node", ds: kuredDS("", `kured.dev/kured-node-lock: '{"nodeID":"node003","metadata":{"unschedulable":false},"created":"2026-11-29T07:50:00Z","TTL":0}'`),
			err: "the lock of kured (daemonset kube-system/kured): is held by node003, want held by this run"},
		{name: "kured's lock has ended", ds: kuredDS("", `kured.dev/kured-node-lock: '{"nodeID":"node003","created":"2026-11-29T07:50:00Z","TTL":60000000000}'`),
			diffs: free, steps: withKured},
		{name: "somebody has stopped kured by hand", ds: kuredDS("", `weave.works/kured-node-lock: '{"nodeID":"manual"}'`), err: "held by manual"},
		{name: "under a name of its own", ds: kuredDS("--lock-annotation=a.b/c", `weave.works/kured-node-lock: '{"nodeID":"manual"}'`), diffs: free, steps: withKured},
		{name: "kured reboots two at once", ds: kuredDS("--concurrency=2", `kured.dev/kured-node-lock: '{"maxOwners":2,"locks":[{"nodeID":"node004","created":"2026-11-29T07:50:00Z","TTL":0}]}'`), err: "held by node004"},
		{name: "what cannot be read is somebody's", ds: kuredDS("", `kured.dev/kured-node-lock: 'mine'`), err: "held by somebody (kured.dev/kured-node-lock cannot be read"},
		{name: "the lock is an earlier life's", ds: kuredDS("", `kured.dev/kured-node-lock: '{"nodeID":"runbook/r1/l1/ann@desk","created":"2026-11-29T07:59:59Z","TTL":60000000000}'`), diffs: free, steps: withKured},
		{name: "another daemonset", ds: "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x, namespace: y}\nspec: {template: {spec: {containers: [{name: x, image: y}]}}}\n", diffs: free, steps: hold},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := &fake{run: thisRun, cluster: &fakeCluster{objects: map[string]string{leaseRef: c.lease}, lists: map[string]string{allDS: c.ds}}}
			if c.plan {
				target.run = RunName{}
			}
			l := newLease()
			l.Timeout = c.wait
			change, err := l.Check(t.Context(), target)
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
		})
	}
	_, err := newLease().Check(t.Context(), &fake{})
	require.ErrorIs(t, err, ErrNoCluster)
	require.ErrorContains(t, (&lease{Duration: time.Second}).Validate(), "at least 15s")
}

// TestKuredKnowsOurLock: what is written is what kured reads, of one node or of
// several at once, and ends by itself.
func TestKuredKnowsOurLock(t *testing.T) {
	one := KuredLock{Keys: kuredKeys, Owners: 1}
	taken := one.Taken(thisRun, leaseNow, time.Minute)
	require.Len(t, taken, 2)
	require.JSONEq(t, `{"nodeID":"runbook/r1/l2/ann@desk","metadata":{"unschedulable":false},"created":"2026-11-29T08:00:00Z","TTL":60000000000}`, taken[kuredKeys[0]].(string))
	other := RunName{ID: "r2"}
	require.Equal(t, "", one.Held(taken, thisRun, leaseNow))
	require.Equal(t, "runbook/r1/l2/ann@desk", one.Held(taken, other, leaseNow))
	require.Equal(t, "", one.Held(taken, other, leaseNow.Add(time.Minute)))

	many := KuredLock{Keys: []string{"k"}, Owners: 3}
	taken = many.Taken(thisRun, leaseNow, time.Minute)
	require.Contains(t, taken["k"], `"maxOwners":3`)
	require.Equal(t, "runbook/r1/l2/ann@desk", many.Held(taken, other, leaseNow))
	require.Equal(t, map[string]any{"k": nil}, many.Taken(thisRun, leaseNow, 0))
}
