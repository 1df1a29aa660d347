//go:build linux

package maintenance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABatch takes two workers out at once, of which one does not come back: the other
// is finished and given back, the roll stops there, and resume goes on in the middle
// of the batch. Both are cordoned before either is emptied.
func TestABatch(t *testing.T) {
	hosts := []string{"node004", "node005", "node006"}
	o := fresh(t, "batch", hosts...)
	require.NoError(t, o.Lab.StayOff(t.Context(), "node006"))
	began := time.Now()
	vars := map[string]any{"canary": "node004", "batch": "100%", "reboot_timeout": 15}
	stopped := o.call(o.args("apply", upgrade, vars, "-l", "node004,node005,node006,node003")...)
	require.Equal(t, 4, stopped.Code)
	require.Contains(t, stopped.Stdout, "stopped: node006 failed")
	o.upgraded("node004")
	o.upgraded("node005")
	o.outBy("node006")
	require.False(t, o.node("node003").Spec.Unschedulable, "the control plane has not begun")
	boots := []int{o.boots("node004"), o.boots("node005")}

	require.NoError(t, o.Lab.PowerOn(t.Context(), "node006"))
	require.Equal(t, 0, o.call("resume").Code)
	for _, host := range append(hosts, "node003") {
		o.upgraded(host)
	}
	require.Equal(t, boots, []int{o.boots("node004"), o.boots("node005")})

	turns := map[string]turn{}
	for _, n := range o.turns(began) {
		turns[n.node] = n
	}
	require.Len(t, turns, 4)
	one, other := turns["node005"], turns["node006"]
	for _, n := range []turn{one, other} {
		require.True(t, n.cordoned.After(turns["node004"].uncordoned))
		for _, at := range []time.Time{one.firstEvicted, other.firstEvicted} {
			require.True(t, at.IsZero() || at.After(n.cordoned), "%s is cordoned before either is emptied", n.node)
		}
	}
	require.False(t, one.firstEvicted.IsZero() && other.firstEvicted.IsZero())
	require.True(t, turns["node003"].cordoned.After(turns["node006"].uncordoned))
}
