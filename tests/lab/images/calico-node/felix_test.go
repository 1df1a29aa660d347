package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListsAllSets(t *testing.T) {
	tests := map[string]bool{
		"v3.26.5": true, "v3.27.0": true,
		"v3.27.1": false, "v3.27.5": false, "v3.28.0": false, "v4.0.0": false, "": false,
	}
	for version, want := range tests {
		t.Run(version, func(t *testing.T) { require.Equal(t, want, listsAllSets(version)) })
	}
}

func TestComplainsAt(t *testing.T) {
	tests := map[string]string{"v3.26.5": "569", "v3.27.0": "599", "v3.27.1": "656", "v3.27.5": "656"}
	for version, line := range tests {
		require.Equal(t, "felix/ipsets.go "+line, complainsAt(version), version)
	}
}

func TestWanted(t *testing.T) {
	require.Equal(t, "create cali40all-ipam-pools hash:net family inet maxelem 1048576\nadd cali40all-ipam-pools 10.244.0.0/16\n"+
		"create cali40masq-ipam-pools hash:net family inet maxelem 1048576\nadd cali40masq-ipam-pools 10.244.0.0/16\n"+
		"create cali40this-host hash:ip family inet maxelem 1048576\nadd cali40this-host 10.0.0.100\n",
		wanted(ownSets("10.244.0.0/16", "10.0.0.100")))
	require.NotContains(t, wanted(ownSets("", "")), "add", "what is not known is no member")
}

func TestParsePeers(t *testing.T) {
	const list = "10.244.1.0/24=10.0.0.100,10.244.2.0/24=10.0.0.101,10.244.3.0/24=10.0.0.102"
	got, err := parsePeers(list, "10.0.0.101")
	require.NoError(t, err)
	require.Equal(t, []peer{{"10.244.1.0/24", "10.0.0.100"}, {"10.244.3.0/24", "10.0.0.102"}}, got)

	got, err = parsePeers("", "")
	require.NoError(t, err)
	require.Empty(t, got)

	_, err = parsePeers("10.244.1.0/24", "")
	require.ErrorContains(t, err, `"10.244.1.0/24"`)
}

func TestLogLineLooksLikeFelix(t *testing.T) {
	var b bytes.Buffer
	logger{out: &b, pid: 57}.line("ERROR", "felix/ipsets.go 599", `Bad return code from 'ipset list'. family="inet"`)
	require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[ERROR\]\[57\] felix/ipsets\.go 599: Bad return code from 'ipset list'\. family="inet"\n$`, b.String())
}
