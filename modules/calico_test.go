package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newCalico() *calico { return &calico{Selector: "k8s-app=calico-node"} }

// calicoHostSaid is what the script prints on a host of the incident: its own
// ipset reads everything, the one in calico-node does not know one set.
const calicoHostSaid = `@version
ipset v7.17, protocol version: 7
@kernel
6.8.0-31-generic
@reads
Supported set types:
    hash:ip	6	bitmask support
    hash:ip	5	bucketsize, initval support
@creates
Name: runbook1
Type: hash:ip
Revision: 6
@sets
Name: KUBE-DST-3YNVZWWGX3UQQ4VQ
Type: hash:ip
Revision: 6
Name: cali40this-host
Type: hash:ip
Revision: 5
%facts
@kernel
6.8.0-31-generic
@now
2026-01-02 10:00:00
@hostname
node1
@addresses
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.1/24 brd 10.0.0.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::1/64 scope link \       valid_lft forever preferred_lft forever
@packages
ipset 7.17-1 installed
libipset13 7.17-1 installed
libipset3 6.34-1 config-files
@revisions
hash:ip type of IP sets, revisions 0-6
@modules
ip_set_hash_ip
ip_set
xt_set
@cni
10-calico.conflist
@links
eth0
flannel.1
lo
tunl0
@services
firewalld
@settings
@processes
calico-node 812
kube-router 900
%reader
@pid
812
@version
ipset v7.11, protocol version: 7
@kernel
6.8.0-31-generic
@reads
Supported set types:
    hash:ip	5	bucketsize, initval support
@creates
@sets
@sets
Name: KUBE-DST-3YNVZWWGX3UQQ4VQ
ipset v7.11: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.
Name: cali40this-host
Name: cali40this-host
Type: hash:ip
Revision: 5
`

func TestCalicoHost(t *testing.T) {
	h := parseCalicoHost(calicoHostSaid)
	assert.Equal(t, []string{"127.0.0.1", "10.0.0.1", "fe80::1"}, h.addresses)
	assert.Equal(t, map[string]bool{"calico-node": true, "kube-router": true}, h.processes)
	vars := h.vars()
	for key, want := range map[string]any{
		"ipset": "7.17", "package": "7.17-1", "libipset": "7.17-1", "kernel": "6.8.0-31-generic", "unreadable": []any{},
		"reads": map[string]any{"hash:ip": 6}, "creates": map[string]any{"hash:ip": 6}, "kernel_revisions": map[string]any{"hash:ip": "0-6"},
		"modules": []any{"ip_set_hash_ip", "ip_set", "xt_set"}, "cni": []any{"10-calico.conflist"}, "links": []any{"flannel.1", "tunl0"},
		"services": []any{"firewalld"}, "hostname": "node1", "error": "",
	} {
		assert.Equal(t, want, vars[key], key)
	}
	require.Len(t, vars["sets"], 2)
	assert.Equal(t, map[string]any{
		"ipset": "7.11", "reads": map[string]any{"hash:ip": 5}, "unreadable": []any{"KUBE-DST-3YNVZWWGX3UQQ4VQ"}, "own_unreadable": []any{}, "error": "",
	}, h.readerVars())
}
