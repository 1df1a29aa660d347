//go:build linux

package labvm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	n, err := plan("10.31.0.0/16")
	require.NoError(t, err)
	require.Equal(t, "10.31.0.1", n.gateway)
	require.Equal(t, Host{
		Name: "vm2", Address: "10.31.0.12", PodNet: "10.244.2.0/24",
		id: "1ab00000-0000-4000-8000-00000a1f0002", mac: "52:54:00:0a:1f:02", link: "labvm0a1f-2",
	}, n.hosts[1])
	for _, h := range n.hosts {
		require.Less(t, len(h.link), 16, "the kernel's limit for the name of an interface")
	}

	for _, subnet := range []string{"", "10.31.0.0/24", "10.31.1.0/16", "fd00::/16", "here"} {
		_, err := plan(subnet)
		require.ErrorContains(t, err, "an IPv4 network like 10.31.0.0/16 is wanted", subnet)
	}
}

func TestSeedFiles(t *testing.T) {
	l, err := configured(Config{Bare: true, Subnet: "10.31.0.0/16", State: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, l.makeKeys())
	files, err := l.seedFiles(l.net.hosts[0])
	require.NoError(t, err)
	content := map[string]string{}
	for _, f := range files {
		content[f.Path] = string(f.Data)
		require.NotContains(t, f.Path, "etc/lab/", "a bare machine is no node")
	}
	require.Equal(t, "vm1\n", content["etc/hostname"])
	require.Equal(t, "deb [trusted=yes] http://10.31.0.1:8080 ./\n", content["etc/apt/sources.list"])
	network := content["etc/systemd/network/10-lab.network"]
	require.Contains(t, network, "Address=10.31.0.11/16\nGateway=10.31.0.1\n")
	require.Contains(t, network, "[Route]\nDestination=10.244.3.0/24\nGateway=10.31.0.13\n")
	require.Equal(t, 2, strings.Count(network, "[Route]"), "its own pods need no way")

	require.NoError(t, l.writeInventory())
	require.FileExists(t, l.Inventory())
}
