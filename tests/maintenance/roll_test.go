//go:build linux

package maintenance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

// TestARoll upgrades three nodes of the control plane and five workers, one at a
// time, under the eyes of whoever uses the cluster: no request fails, etcd keeps its
// quorum, and the order is the one that was asked for. Then there is nothing to do.
func TestARoll(t *testing.T) {
	o := fresh(t, "roll")
	quiet := map[string]any{"canary_soak": 3, "soak": 1, "probe_image": "docker.io/library/busybox:1.36"}

	boots := map[string]int{}
	for _, h := range o.Lab.Hosts() {
		boots[h.Name] = o.boots(h.Name)
	}

	began := time.Now()
	planned := o.call(o.args("plan", upgrade, quiet)...)
	require.Equal(t, 0, planned.Code)
	require.Contains(t, planned.Stdout, "batch 2 of 4: node006")
	require.Contains(t, planned.Stdout, "in 4 batches")
	require.Empty(t, o.turns(began), "a plan touches nothing")

	probe, err := o.Lab.ProbeService(t.Context(), lab.Shop, "web", lab.ShopPort, "/health")
	require.NoError(t, err)
	etcd, err := o.Lab.WatchEtcd(t.Context())
	require.NoError(t, err)
	applied := o.call(o.args("apply", upgrade, quiet)...)
	quorum := etcd.Stop()
	seen, err := probe.Stop()
	require.NoError(t, err)
	require.Equal(t, 0, applied.Code)

	require.Empty(t, seen.Failures, "of %d requests", seen.Sent)
	require.Greater(t, seen.Sent, 500)
	t.Logf("%d requests, none failed; etcd: %+v", seen.Sent, quorum)
	require.LessOrEqual(t, quorum.LongestLoss(), 500*time.Millisecond, "%+v", quorum)

	order := inOrder(t, o.turns(began), 1)
	require.Equal(t, []string{"node004", "node005", "node006", "node007", "node008"}, order[:5])
	require.ElementsMatch(t, []string{"node001", "node002", "node003"}, order[5:])
	require.Equal(t, quorum.Leaders[0], order[7], "whoever led etcd comes last: %v", quorum.Leaders)
	for _, host := range order {
		o.upgraded(host)
	}

	again := time.Now()
	second := o.call(o.args("apply", upgrade, quiet)...)
	require.Equal(t, 0, second.Code)
	unchanged(t, second)
	require.Contains(t, second.Stdout, "Nothing to do")
	require.Empty(t, o.turns(again), "a second apply takes no node out")
	for _, host := range order {
		require.Equal(t, boots[host]+1, o.boots(host), host)
	}
}
