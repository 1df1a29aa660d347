//go:build linux

package incident

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/tests/lab"
)

// TestAChainOfTasksIsForeseen plans tasks of which each needs what the one before
// it would make, on a real host and a real cluster: nothing of the plan is
// unknown, and the apply does what it says.
func TestAChainOfTasksIsForeseen(t *testing.T) {
	const chain = "tests/incident/testdata/chain.yaml"
	o := faulty(t, lab.ClassC)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		h, err := o.Lab.Host("node006")
		require.NoError(t, err)
		_, err = o.Lab.SSH(ctx, h, "userdel link; groupdel chain 2>/dev/null; rm -r /srv/chain; ipset destroy chain")
		require.NoError(t, err)
		_, err = o.Lab.Kube(ctx, "delete", "namespace", "chain")
		require.NoError(t, err)
	})
	before, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	for key, verdict := range verdicts(o.planned(t, []string{chain})) {
		require.Contains(t, []runner.Status{runner.OK, runner.WouldChange}, verdict, "%+v", key)
	}
	after := o.provePlan(t, before, []string{chain})
	require.Zero(t, after.Change+after.Run+after.Wait+after.Unknown, "%+v", after)
}
