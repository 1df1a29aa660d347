//go:build linux

package lab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanIsTheIncident(t *testing.T) {
	n, err := plan(DefaultSubnet)
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1", n.gateway)
	var got []string
	for _, h := range n.hosts {
		got = append(got, h.Name+" "+h.Address+" "+string(h.Role))
	}
	require.Equal(t, []string{
		"node001 10.0.0.100 control-plane", "node002 10.0.0.101 control-plane", "node003 10.0.0.102 control-plane",
		"node004 10.0.0.110 ingress", "node005 10.0.0.111 ingress",
		"node006 10.0.0.112 worker", "node007 10.0.0.113 worker", "node008 10.0.0.114 worker",
	}, got)
	require.LessOrEqual(t, len(n.hosts[7].link), 15, "the kernel's limit for the name of an interface")
}

func TestTwoSubnetsShareNoName(t *testing.T) {
	a, err := plan("10.0.0.0/16")
	require.NoError(t, err)
	b, err := plan("10.77.0.0/16")
	require.NoError(t, err)
	require.NotEqual(t, a.name, b.name)
	require.NotEqual(t, a.hosts[0].link, b.hosts[0].link)
	require.NotEqual(t, a.cgroup(), b.cgroup())
}

func TestPlanRefuses(t *testing.T) {
	for _, subnet := range []string{"", "10.0.0.0", "10.0.0.0/24", "10.0.1.0/16", "fd00::/16", "10.96.0.0/16", "10.244.0.0/16"} {
		t.Run(subnet, func(t *testing.T) {
			_, err := plan(subnet)
			require.ErrorContains(t, err, subnet)
		})
	}
}

func TestOccupied(t *testing.T) {
	n, err := plan(DefaultSubnet)
	require.NoError(t, err)
	tests := []struct {
		name, routes, want string
		wantErr            bool
	}{
		{"free", `[{"dst":"default","dev":"eth0"},{"dst":"192.0.2.0/24","dev":"eth0"}]`, "", false},
		{"the same network", `[{"dst":"10.0.0.0/16","dev":"eth1"}]`, "10.0.0.0/16 dev eth1", false},
		{"a larger network", `[{"dst":"10.0.0.0/8","dev":"tun0"}]`, "10.0.0.0/8 dev tun0", false},
		{"one address in it", `[{"dst":"10.0.3.4","dev":"wg0"}]`, "10.0.3.4 dev wg0", false},
		{"an earlier lab", `[{"dst":"10.0.0.0/16","dev":"lab0a00"}]`, "", false},
		{"another lab", `[{"dst":"10.77.0.0/16","dev":"lab0a4d"}]`, "", false},
		{"not JSON", `Object "route" is unknown`, "", true},
		{"not a destination", `[{"dst":"somewhere"}]`, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := occupied([]byte(tt.routes), n)
			require.Equal(t, tt.wantErr, err != nil)
			require.Equal(t, tt.want, got)
		})
	}
}
