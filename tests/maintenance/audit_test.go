//go:build linux

package maintenance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

// turn is a node's way through a roll, as the API's audit log has it.
type turn struct {
	node                 string
	cordoned, uncordoned time.Time
	evicted              []string  // pods, in order
	booted               time.Time // when the kubelet told of another boot
	kernel               string    // that it told of
	boots                int       // that it told of
	firstEvicted         time.Time
	lastEvicted          time.Time
}

// turns reads from the audit log, since a time, which nodes runbook has taken out,
// in the order of their cordons.
func (o operator) turns(since time.Time) []turn {
	o.t.Helper()
	events, err := o.Lab.Audit(o.t.Context())
	require.NoError(o.t, err)
	var all []turn
	find := func(name string) *turn {
		i := slices.IndexFunc(all, func(t turn) bool { return t.node == name })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	for _, e := range events {
		if e.Received.Before(since) || e.DryRun || e.Code >= 300 {
			continue
		}
		switch {
		case e.Resource == "nodes" && e.Subresource == "" && strings.HasPrefix(e.UserAgent, "runbook"):
			var sent struct{ Spec map[string]any }
			require.NoError(o.t, json.Unmarshal(e.Request, &sent))
			value, told := sent.Spec["unschedulable"]
			switch {
			case !told:
			case value == true:
				require.Nil(o.t, find(e.Name), "%s is cordoned twice", e.Name)
				all = append(all, turn{node: e.Name, cordoned: e.Answered})
			default:
				require.NotNil(o.t, find(e.Name), "%s is uncordoned without a cordon", e.Name)
				require.Zero(o.t, find(e.Name).uncordoned, "%s is uncordoned twice", e.Name)
				find(e.Name).uncordoned = e.Received
			}
		case e.Subresource == "eviction":
			require.True(o.t, strings.HasPrefix(e.UserAgent, "runbook"), e.UserAgent)
			open := slices.IndexFunc(all, func(t turn) bool { return t.uncordoned.IsZero() })
			require.GreaterOrEqual(o.t, open, 0, "%s is evicted while no node is out", e.Name)
			t := &all[open] // in a batch, the first that is out stands for all
			if t.firstEvicted.IsZero() {
				t.firstEvicted = e.Answered
			}
			t.evicted, t.lastEvicted = append(t.evicted, e.Namespace+"/"+e.Name), e.Answered
		case e.Resource == "nodes" && e.Subresource == "status":
			if t := find(e.Name); t != nil && t.uncordoned.IsZero() {
				t.heard(o.t, e)
			}
		}
	}
	return all
}

// heard takes in what a kubelet tells of its node.
func (t *turn) heard(test *testing.T, e lab.AuditEvent) {
	var sent struct {
		Status struct {
			NodeInfo struct{ BootID, KernelVersion string }
		}
	}
	require.NoError(test, json.Unmarshal(e.Request, &sent))
	info := sent.Status.NodeInfo // what has changed of it
	if info.KernelVersion != "" {
		t.kernel = info.KernelVersion
	}
	if info.BootID != "" {
		t.boots++
		t.booted = e.Received
	}
}

// inOrder requires of each node what a roll promises: cordoned, emptied, booted with
// the new kernel, given back, and all that before the next one is touched.
func inOrder(t *testing.T, turns []turn, boots int) (nodes []string) {
	t.Helper()
	for i, n := range turns {
		nodes = append(nodes, n.node)
		require.False(t, n.uncordoned.IsZero(), "%s is given back", n.node)
		if len(n.evicted) > 0 {
			require.True(t, n.lastEvicted.After(n.cordoned), "%s is cordoned before it is emptied", n.node)
			require.True(t, n.booted.After(n.lastEvicted), "%s is emptied before it boots", n.node)
		}
		require.Equal(t, boots, n.boots, "%s boots so often", n.node)
		require.Equal(t, newKernel, n.kernel, n.node)
		require.True(t, n.uncordoned.After(n.booted), "%s is given back when it has booted", n.node)
		if i > 0 {
			require.True(t, n.cordoned.After(turns[i-1].uncordoned), "%s is touched after %s is back", n.node, turns[i-1].node)
		}
	}
	return nodes
}
