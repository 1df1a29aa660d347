//go:build linux

package maintenance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stop is something that stops a roll at one host, and how that is mended.
type stop struct {
	name string
	host string
	vars map[string]any
	// break has the roll stop, and returns what mends it.
	breaks func(t *testing.T, o operator, host string) (mend func())
	code   int
	says   []string
	boots  int  // one more where a person boots the host to mend it
	away   bool // the node is not touched: it is not cordoned then
}

// TestEveryStop: a roll that cannot go on stops at once, says why, and leaves the node
// as it is; where that is mended, resume finishes it, and does nothing twice.
func TestEveryStop(t *testing.T) {
	fresh(t, "stops")
	sound := true // the next one counts on what the one before leaves
	for _, s := range stops {
		sound = t.Run(s.name, func(t *testing.T) {
			o := at(t, s.name)
			if !sound {
				o = fresh(t, s.name)
			}
			before := o.boots(s.host)
			mend := s.breaks(t, o, s.host)
			began := time.Now()
			vars, limit := one(s.host, s.vars)
			stopped := o.call(o.args("apply", upgrade, vars, limit...)...)
			require.Equal(t, s.code, stopped.Code)
			for _, text := range s.says {
				require.Contains(t, stopped.Stdout, text)
			}
			require.Contains(t, stopped.Stderr, "runbook resume")
			if s.away {
				require.Empty(t, o.turns(began))
			} else {
				o.outBy(s.host)
				require.Contains(t, stopped.Stdout, "Nothing more is done to node "+s.host)
			}
			mend()
			resumed := o.call("resume")
			require.Equal(t, 0, resumed.Code)
			require.Equal(t, []string{s.host}, inOrder(t, o.turns(began), 1+s.boots))
			o.upgraded(s.host)
			require.Equal(t, before+1+s.boots, o.boots(s.host))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	require.NoError(t, err)
}

var stops = []stop{
	{
		name: "a disruption budget", host: "node004", vars: map[string]any{"drain_timeout": 8}, code: 2,
		says: []string{"node node004 is not drained (timed out after 8s: pods on node node004: is shop/",
			"held back by the budget shop/", "(0 disruptions allowed: "},
		breaks: func(t *testing.T, o operator, _ string) func() {
			strict(t, o, "web", `{"spec":{"minAvailable":3}}`)
			strict(t, o, "cache", `{"spec":{"maxUnavailable":0}}`)
			return func() {
				strict(t, o, "web", `{"spec":{"minAvailable":2}}`)
				strict(t, o, "cache", `{"spec":{"maxUnavailable":1}}`)
			}
		},
	},
	{
		name: "a node that does not come back", host: "node005", vars: map[string]any{"reboot_timeout": 10}, code: 4,
		says: []string{"did not come back within 10s after the reboot; last seen at", "10.79.0.111:22"},
		breaks: func(t *testing.T, o operator, host string) func() {
			must(t, o.Lab.StayOff(t.Context(), host))
			return func() { must(t, o.Lab.PowerOn(t.Context(), host)) }
		},
	},
	{
		name: "an old kernel", host: "node006", code: 2, boots: 1,
		says: []string{"It runs the kernel that it should: ", oldKernel, newKernel},
		breaks: func(t *testing.T, o operator, host string) func() {
			must(t, o.Lab.BootKernel(t.Context(), host, oldKernel))
			return func() {
				must(t, o.Lab.BootKernel(t.Context(), host, newKernel))
				must(t, o.Lab.Reboot(t.Context(), host))
			}
		},
	},
	{
		name: "another host key", host: "node007", code: 4,
		says: []string{"after the reboot: node007: ", "key"},
		breaks: func(t *testing.T, o operator, host string) func() {
			restore, err := o.Lab.NextHostKey(t.Context(), host)
			must(t, err)
			return func() { must(t, restore()) }
		},
	},
	{
		name: "Ready, with the boot id of before", host: "node008", vars: map[string]any{"ready_timeout": 15}, code: 2,
		says: []string{"node node008 boot: is "},
		breaks: func(t *testing.T, o operator, host string) func() {
			must(t, o.Lab.KeepBootID(t.Context(), host))
			return func() { must(t, o.Lab.RightBootID(t.Context(), host)) }
		},
	},
	{
		name: "Ready, and nobody at home", host: "node001", vars: map[string]any{"ready_timeout": 12}, code: 2,
		says: []string{"node node001 boot: is "},
		breaks: func(t *testing.T, o operator, host string) func() {
			must(t, o.Lab.HoldKubelet(t.Context(), host))
			return func() { must(t, o.Lab.ReleaseKubelet(t.Context(), host)) }
		},
	},
	{
		name: "a person's cordon", host: "node002", code: 2, away: true,
		says: []string{"node003: cordoned by somebody (kubectl", "A cordon of somebody else's is not lifted here"},
		breaks: func(t *testing.T, o operator, _ string) func() {
			_, err := o.Lab.Kube(t.Context(), "cordon", "node003")
			must(t, err)
			return func() {
				require.True(t, o.node("node003").Spec.Unschedulable, "it stays")
				_, err := o.Lab.Kube(t.Context(), "uncordon", "node003")
				must(t, err)
			}
		},
	},
	{
		name: "a member of etcd that is down", host: "node003", vars: map[string]any{"ready_timeout": 10}, code: 2, away: true,
		says: []string{"Every member of etcd is healthy"},
		breaks: func(t *testing.T, o operator, _ string) func() {
			must(t, o.Lab.StopEtcd(t.Context(), "node001"))
			return func() { must(t, o.Lab.StartEtcd(t.Context(), "node001")) }
		},
	},
}

// strict changes a disruption budget of the shop, and waits until the controller has
// seen it.
func strict(t *testing.T, o operator, name, patch string) {
	t.Helper()
	_, err := o.Lab.Kube(t.Context(), "patch", "pdb", "-n", "shop", name, "--type=merge", "--patch="+patch)
	must(t, err)
	generation, err := o.Lab.Kube(t.Context(), "get", "pdb", "-n", "shop", name, "--output=jsonpath={.metadata.generation}")
	must(t, err)
	_, err = o.Lab.Kube(t.Context(), "wait", "--for=jsonpath={.status.observedGeneration}="+generation, "pdb", "-n", "shop", name, "--timeout=20s")
	must(t, err)
}
