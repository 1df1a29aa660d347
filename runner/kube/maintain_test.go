package kube

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"runbook/modules"
)

// maintain is what only a real API server can show: what it allows and refuses
// when nodes are emptied, and who has a lease.
func maintain(t *testing.T, c *Client) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	t.Run("evict", func(t *testing.T) { maintainEvict(t, ctx, c) })
	t.Run("lease", func(t *testing.T) { maintainLease(t, ctx, c) })
	t.Run("stale", func(t *testing.T) {
		create(t, ctx, c, configMap("stale", nil))
		var stale *modules.StaleError
		_, err := c.Take(ctx, modules.APIStep{Verb: modules.Patch, Ref: modules.Ref{Kind: "cm", Name: "stale"},
			Body: modules.Object{"metadata": map[string]any{"resourceVersion": "1"}, "data": map[string]any{"a": "b"}}})
		require.ErrorAs(t, err, &stale)
	})
	t.Run("kured", func(t *testing.T) { maintainKured(t, ctx, c) })
}

// have creates an object, with its status, as controllers and kubelets would.
func have(t *testing.T, ctx context.Context, c *Client, kind string, object, status modules.Object) modules.Object {
	t.Helper()
	p, err := c.place(ctx, modules.Ref{Kind: kind})
	require.NoError(t, err)
	made, err := p.objects.Create(ctx, &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	require.NoError(t, err)
	if status != nil {
		made.Object["status"] = status
		made, err = p.objects.UpdateStatus(ctx, made, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	return made.Object
}

func budgetStatus(allowed int64) modules.Object {
	return modules.Object{"observedGeneration": int64(1), "disruptionsAllowed": allowed, "currentHealthy": 1 + allowed, "desiredHealthy": int64(1), "expectedPods": int64(2)}
}

func maintainEvict(t *testing.T, ctx context.Context, c *Client) {
	pod := have(t, ctx, c, "pod", modules.Object{"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "evicted", "namespace": "default", "labels": map[string]any{"app": "evicted"}},
		"spec":     map[string]any{"nodeName": "n1", "containers": []any{map[string]any{"name": "c", "image": "i"}}}},
		modules.Object{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}})
	have(t, ctx, c, "pdb", modules.Object{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
		"metadata": map[string]any{"name": "budget", "namespace": "default"},
		"spec":     map[string]any{"minAvailable": int64(1), "selector": map[string]any{"matchLabels": map[string]any{"app": "evicted"}}}}, budgetStatus(0))
	ref := modules.Ref{Kind: "pod", Name: "evicted"}
	uid := pod["metadata"].(map[string]any)["uid"].(string)
	step := modules.APIStep{Verb: modules.Evict, Ref: ref, UID: uid}

	began := time.Now()
	var budget *modules.BudgetError
	_, err := c.Preview(ctx, step)
	require.ErrorAs(t, err, &budget)
	_, err = c.Take(ctx, step)
	require.ErrorAs(t, err, &budget)
	assert.Contains(t, budget.Message, "Cannot evict pod as it would violate the pod's disruption budget.")
	assert.Contains(t, budget.Message, "budget")
	assert.Less(t, time.Since(began), 5*time.Second, "the library is not to ask again by itself")

	allow := func() {
		p, err := c.place(ctx, modules.Ref{Kind: "pdb"})
		require.NoError(t, err)
		now, err := p.objects.Get(ctx, "budget", metav1.GetOptions{})
		require.NoError(t, err)
		now.Object["status"] = budgetStatus(1)
		_, err = p.objects.UpdateStatus(ctx, now, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	allow()
	_, err = c.Preview(ctx, step)
	require.NoError(t, err)
	still, err := c.Get(ctx, ref)
	require.NoError(t, err)
	assert.NotContains(t, still["metadata"], "deletionTimestamp", "a preview evicts nobody")

	other := step
	other.UID = "00000000-0000-0000-0000-000000000000"
	assert.Equal(t, "pod/evicted was replaced already\n", take(t, ctx, c, other))
	allow() // the server has counted it all the same
	grace := int64(0)
	step.Grace = &grace
	assert.Equal(t, "pod/evicted evicted\n", take(t, ctx, c, step))
	assert.Equal(t, "pod/evicted was gone already\n", take(t, ctx, c, step))
}

func maintainLease(t *testing.T, ctx context.Context, c *Client) {
	one, two := modules.RunName{ID: "r1", Life: "l1", Who: "ann"}, modules.RunName{ID: "r2", Life: "l1", Who: "bob"}
	later := modules.RunName{ID: "r1", Life: "l2", Who: "ann"}
	h := modules.Hold{Lease: modules.Ref{Kind: "lease", APIVersion: "coordination.k8s.io/v1", Namespace: "default", Name: "roll"}, Duration: 3 * time.Second}
	state := func() modules.LeaseState {
		o, err := c.Get(ctx, h.Lease)
		require.NoError(t, err)
		return modules.LeaseOf(o)
	}
	var held *modules.LeaseHeld
	require.ErrorAs(t, c.Renew(ctx, h, one), &held, "there is none")
	require.NoError(t, c.Hold(ctx, h, one))
	first := state()
	assert.Equal(t, "runbook/r1/l1/ann", first.Holder)
	assert.Equal(t, 3*time.Second, first.Duration)
	require.NoError(t, c.Renew(ctx, h, one))
	assert.True(t, state().Renewed.After(first.Renewed))
	require.ErrorAs(t, c.Hold(ctx, h, two), &held)
	assert.ErrorContains(t, held, "lease default/roll is held by runbook/r1/l1/ann until ")

	require.NoError(t, c.Hold(ctx, h, later), "a later life of the run takes it over at once")
	assert.Equal(t, int64(1), state().Transitions)
	require.ErrorAs(t, c.Renew(ctx, h, one), &held, "the life before notices")
	require.NoError(t, c.Release(ctx, h, one), "and gives nothing back that is not its own")
	assert.Equal(t, later.String(), state().Holder)

	// Whoever renews is alive, whatever its clock says.
	stale := h
	stale.Duration = 2 * time.Second
	ticking, rest := context.WithCancel(ctx)
	var slow = make(chan error, 1)
	require.NoError(t, sleep(ctx, 3100*time.Millisecond))
	go func() {
		_ = sleep(ticking, 300*time.Millisecond)
		slow <- c.Renew(ctx, h, later)
	}()
	require.ErrorAs(t, c.Hold(ctx, stale, two), &held)
	assert.ErrorContains(t, held, "its clock, which differs from ours")
	rest()
	require.NoError(t, <-slow)

	require.NoError(t, sleep(ctx, 3100*time.Millisecond))
	require.NoError(t, c.Hold(ctx, stale, two), "nobody has renewed it")
	assert.Equal(t, int64(2), state().Transitions)
	require.NoError(t, c.Release(ctx, stale, two))
	assert.Empty(t, state().Holder)
	require.NoError(t, c.Hold(ctx, h, one))
	assert.Equal(t, int64(3), state().Transitions, "it never goes back: who has an older number is late")
}

func maintainKured(t *testing.T, ctx context.Context, c *Client) {
	labels := map[string]any{"name": "kured"}
	have(t, ctx, c, "daemonset", modules.Object{"apiVersion": "apps/v1", "kind": "DaemonSet",
		"metadata": map[string]any{"name": "kured", "namespace": "default"},
		"spec": map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": map[string]any{
			"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "kured", "image": "i"}}}}}}, nil)
	ds := modules.Ref{Kind: "daemonset", APIVersion: "apps/v1", Namespace: "default", Name: "kured"}
	annotations := func() map[string]any {
		o, err := c.Get(ctx, ds)
		require.NoError(t, err)
		all, _ := o["metadata"].(map[string]any)["annotations"].(map[string]any)
		return all
	}
	one, two := modules.RunName{ID: "r1", Life: "l1", Who: "ann"}, modules.RunName{ID: "r2", Life: "l1", Who: "bob"}
	lock := modules.KuredLock{DaemonSet: ds, Keys: []string{"kured.dev/kured-node-lock"}, Owners: 1}
	h := modules.Hold{Lease: modules.Ref{Kind: "lease", Namespace: "default", Name: "with-kured"}, Duration: time.Minute, Kured: []modules.KuredLock{lock}}
	require.NoError(t, c.Hold(ctx, h, one))
	assert.Equal(t, one.String(), lock.Held(annotations(), two, time.Now()))
	require.NoError(t, c.Renew(ctx, h, one))
	require.NoError(t, c.Release(ctx, h, one))
	assert.NotContains(t, annotations(), "kured.dev/kured-node-lock")

	take(t, ctx, c, modules.APIStep{Verb: modules.Patch, Ref: ds, Body: modules.Object{"metadata": map[string]any{"annotations": map[string]any{
		"kured.dev/kured-node-lock": `{"nodeID":"n1","created":"2026-01-01T00:00:00Z","TTL":0}`}}}})
	var held *modules.LeaseHeld
	require.ErrorAs(t, c.Hold(ctx, h, two), &held)
	assert.ErrorContains(t, held, "the lock of kured is held by n1")
	o, err := c.Get(ctx, h.Lease)
	require.NoError(t, err)
	assert.Empty(t, modules.LeaseOf(o).Holder, "the lease is not taken without it")
	h.Lease.Name = "ended"
	ended := h
	ended.Kured = nil
	require.NoError(t, c.Release(ctx, ended, two), "what never was is no error")
}
