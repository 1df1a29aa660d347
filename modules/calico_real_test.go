package modules

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCalicoHostConfirmed is the fault itself, without a cluster: a process that
// is named calico-node, with a file system that has an old ipset, on a network
// where somebody has made sets with a newer one.
func TestCalicoHostConfirmed(t *testing.T) {
	old := oldIpset(t)
	host := newNetwork(t)
	agent := filepath.Join(t.TempDir(), "calico-node")
	require.NoError(t, os.WriteFile(agent, []byte("#!/bin/sh\nmount --bind "+Quote(old)+" \"$(command -v ipset)\" && echo ready && cat\n"), 0o755))
	hold(t, append(append([]string{}, host.enter...), "unshare", "-m", agent)...)
	host.sh("ip link set lo up; ipset create foreign hash:ip; ipset create cali40this-host hash:ip; " + old + " create cali40all-ipam-pools hash:net")

	out, err := host.Query(t.Context(), calicoHostQuery())
	require.NoError(t, err)
	h := parseCalicoHost(out.Stdout)
	assert.Empty(t, h.setsError)
	assert.Empty(t, h.readerError)
	assert.NotEmpty(t, h.addresses)
	assert.False(t, h.now.IsZero())
	assert.Contains(t, h.processes, "calico-node")
	assert.Empty(t, h.vars()["unreadable"])
	reader := h.readerVars()
	assert.Equal(t, "7.10", reader["ipset"])
	assert.Equal(t, 5, reader["reads"].(map[string]any)["hash:ip"])
	assert.Equal(t, []any{"cali40this-host", "foreign"}, reader["unreadable"])
	assert.Equal(t, []any{"cali40this-host"}, reader["own_unreadable"])
}

// A process of another network has other sets, and says nothing of this one's.
func TestCalicoOfAnotherNetworkConfirmed(t *testing.T) {
	host := newNetwork(t)
	agent := filepath.Join(t.TempDir(), "calico-node")
	require.NoError(t, os.WriteFile(agent, []byte("#!/bin/sh\necho ready; cat\n"), 0o755))
	hold(t, "unshare", "-n", agent)
	out, err := host.Query(t.Context(), calicoHostQuery())
	require.NoError(t, err)
	h := parseCalicoHost(out.Stdout)
	assert.NotContains(t, h.processes, "calico-node")
	assert.Equal(t, "", h.readerVars()["ipset"])
}

// A host that has nothing but busybox answers too.
func TestCalicoBareHostConfirmed(t *testing.T) {
	box, ok := shells(t)["busybox"]
	if !ok {
		cannot(t, "busybox is not installed")
	}
	run := calicoHostQuery()
	run.Env = nil // its own PATH has nothing but busybox
	out, err := box.Query(t.Context(), run)
	require.NoError(t, err)
	h := parseCalicoHost(out.Stdout)
	assert.Equal(t, "absent", h.vars()["ipset"])
	assert.NotEmpty(t, h.kernel)
	assert.NotEmpty(t, h.name)
	assert.NotEmpty(t, h.addresses)
	assert.False(t, h.now.IsZero())
}
