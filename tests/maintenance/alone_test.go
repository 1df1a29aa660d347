//go:build linux

package maintenance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/incident"
)

// TestTwoMaintainers: while one rolls, another refuses, and says who is at it; one
// that waits begins when the first has ended, and not before.
func TestTwoMaintainers(t *testing.T) {
	fresh(t, "maintainers", "node006", "node007")
	first, second, third := at(t, "first maintainer"), at(t, "second maintainer"), at(t, "third maintainer")
	began := time.Now()
	vars, limit := one("node006", map[string]any{"canary_soak": 15})
	done := make(chan incident.Outcome, 1)
	go func() { done <- first.call(first.args("apply", upgrade, vars, limit...)...) }()
	holder := first.leaseHeld()

	vars, limit = one("node007", nil)
	refused := second.call(second.args("apply", upgrade, vars, limit...)...)
	require.Equal(t, 2, refused.Code)
	require.Contains(t, refused.Stdout, "lease kube-system/runbook-maintenance: is held by "+holder)

	vars["lease_timeout"] = 120
	waited := third.call(third.args("apply", upgrade, vars, limit...)...)
	require.Equal(t, 0, waited.Code)
	require.Contains(t, waited.Stdout, "waiting: [localhost]: lease kube-system/runbook-maintenance: held by "+holder)
	require.Equal(t, 0, (<-done).Code)
	require.Equal(t, []string{"node006", "node007"}, inOrder(t, first.turns(began), 1))
}

// leaseHeld waits until somebody is at maintenance, and says who.
func (o operator) leaseHeld() string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	for {
		out, err := o.Lab.Kube(ctx, "get", "lease", "-n", "kube-system", "runbook-maintenance", "--ignore-not-found", "--output=jsonpath={.spec.holderIdentity}")
		require.NoError(o.t, err)
		if out != "" {
			return out
		}
	}
}

// TestKuredIsKeptOut: a node that kured reboots is waited for or refused, and while
// runbook rolls kured finds its lock taken.
func TestKuredIsKeptOut(t *testing.T) {
	o := fresh(t, "kured", "node008")
	const ds = `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"kured","namespace":"kube-system"},"spec":{"selector":{"matchLabels":{"name":"kured"}},` +
		`"template":{"metadata":{"labels":{"name":"kured"}},"spec":{"nodeSelector":{"no/where":""},"containers":[{"name":"kured","image":"none","command":["/usr/bin/kured"]}]}}}}`
	require.NoError(t, o.Lab.Apply(t.Context(), ds))
	t.Cleanup(func() {
		_, err := o.Lab.Kube(context.WithoutCancel(t.Context()), "delete", "daemonset", "-n", "kube-system", "kured")
		require.NoError(t, err)
	})
	annotate := func(value string) {
		_, err := o.Lab.Kube(t.Context(), "annotate", "--overwrite", "daemonset", "-n", "kube-system", "kured", "kured.dev/kured-node-lock"+value)
		require.NoError(t, err)
	}
	annotate(`={"nodeID":"node005","metadata":{"unschedulable":false},"created":"` + time.Now().UTC().Format(time.RFC3339) + `","TTL":0}`)
	vars, limit := one("node008", map[string]any{"canary_soak": 8})
	refused := o.call(o.args("apply", upgrade, vars, limit...)...)
	require.Equal(t, 2, refused.Code)
	require.Contains(t, refused.Stdout, "the lock of kured (daemonset kube-system/kured): is held by node005")

	annotate("-")
	done := make(chan incident.Outcome, 1)
	go func() { done <- o.call("resume") }()
	holder := o.leaseHeld()
	lock, err := o.Lab.Kube(t.Context(), "get", "daemonset", "-n", "kube-system", "kured", `--output=jsonpath={.metadata.annotations.kured\.dev/kured-node-lock}`)
	require.NoError(t, err)
	var taken struct {
		NodeID string
		TTL    time.Duration
	}
	require.NoError(t, json.Unmarshal([]byte(lock), &taken), lock)
	require.Equal(t, holder, taken.NodeID)
	require.Equal(t, 15*time.Second, taken.TTL, "it ends by itself, if runbook dies")
	require.Equal(t, 0, (<-done).Code)
	lock, err = o.Lab.Kube(t.Context(), "get", "daemonset", "-n", "kube-system", "kured", "--output=jsonpath={.metadata.annotations}")
	require.NoError(t, err)
	require.NotContains(t, lock, "kured-node-lock")
	o.upgraded("node008")
}

// TestALeaseThatIsLost: whoever has lost it does nothing more, and says why; the
// cordon stays.
func TestALeaseThatIsLost(t *testing.T) {
	o := fresh(t, "lost lease", "node005")
	vars, limit := one("node005", map[string]any{"drain_timeout": 60})
	require.NoError(t, budgets(o, 3, 0))
	done := make(chan incident.Outcome, 1)
	go func() { done <- o.call(o.args("apply", upgrade, vars, limit...)...) }()
	o.leaseHeld()
	o.await("node005 is cordoned", func() bool { return o.node("node005").Spec.Unschedulable })
	_, err := o.Lab.Kube(t.Context(), "patch", "lease", "-n", "kube-system", "runbook-maintenance", "--type=merge",
		"--patch="+fmt.Sprintf(`{"spec":{"holderIdentity":"somebody","renewTime":"%s","leaseDurationSeconds":600}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")))
	require.NoError(t, err)
	stolen := time.Now()
	o.await("a renewal has been refused", func() bool { return time.Since(stolen) > 5*time.Second })
	require.NoError(t, budgets(o, 2, 1))
	stopped := <-done
	require.Equal(t, 2, stopped.Code)
	require.Contains(t, stopped.Stdout, "was lost: lease kube-system/runbook-maintenance is held by somebody")
	o.outBy("node005")
	_, err = o.Lab.Kube(t.Context(), "delete", "lease", "-n", "kube-system", "runbook-maintenance")
	require.NoError(t, err)
	require.Equal(t, 0, o.call("resume").Code)
	o.upgraded("node005")
}

// budgets sets what of the shop must be there.
func budgets(o operator, web, cache int) error {
	for name, patch := range map[string]string{"web": fmt.Sprintf(`{"spec":{"minAvailable":%d}}`, web), "cache": fmt.Sprintf(`{"spec":{"maxUnavailable":%d}}`, cache)} {
		if _, err := o.Lab.Kube(o.t.Context(), "patch", "pdb", "-n", "shop", name, "--type=merge", "--patch="+patch); err != nil {
			return err
		}
	}
	return nil
}

// await looks until something holds.
func (o operator) await(what string, holds func() bool) {
	o.t.Helper()
	require.Eventually(o.t, holds, time.Minute, 200*time.Millisecond, strings.TrimSpace(what))
}
