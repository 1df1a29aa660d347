//go:build linux

package lab

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/parts"
	"runbook/tests/lab/snapshot"
)

func TestNodesReady(t *testing.T) {
	const list = `{"items":[
		{"status":{"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":"True"}]}},
		{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}]}`
	require.NoError(t, nodesReady(list, 1))
	require.ErrorContains(t, nodesReady(list, 2), "1 of 2")
	require.Error(t, nodesReady("", 0))
}

func TestParsePods(t *testing.T) {
	got, err := parsePods(`{"items":[
		{"metadata":{"namespace":"b","name":"x"},"spec":{"nodeName":"node001"},
		 "status":{"phase":"Running","podIP":"10.244.1.2","conditions":[{"type":"Ready","status":"True"}]}},
		{"metadata":{"namespace":"a","name":"y","labels":{"k8s-app":"calico-node"}},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"False"}]}},
		{"metadata":{"namespace":"a","name":"going","deletionTimestamp":"2025-11-24T00:00:00Z"}}]}`)
	require.NoError(t, err)
	require.Len(t, got, 2, "a pod that is going does not count")
	require.True(t, got[0].calico() && got[0].Running && !got[0].Ready)
	require.Equal(t, pod{Namespace: "b", Name: "x", Node: "node001", IP: "10.244.1.2", Running: true, Ready: true}, got[1])
}

func TestSettled(t *testing.T) {
	calico := func(ready bool) pod {
		return pod{Name: "calico", Labels: map[string]string{"k8s-app": "calico-node"}, Running: true, Ready: ready}
	}
	other := pod{Name: "other", Running: true, Ready: true}
	one := func(c pod, rest pod) []pod {
		return []pod{c, rest, other, other, other, other, other, other, other, other}
	}
	tests := []struct {
		name    string
		pods    []pod
		fault   Fault
		stacked bool
		want    string
	}{
		{"all ready", one(calico(true), other), None, false, ""},
		{"the fault keeps calico unready", one(calico(false), other), ClassC, false, ""},
		{"calico must be ready without a fault", one(calico(false), other), None, false, "calico"},
		{"the fault keeps nothing else unready", one(calico(false), pod{Name: "late"}), ClassA, false, "late"},
		{"a pod is missing", one(calico(true), other)[:9], None, false, "9 pods"},
		{"class B has a creator on every host", one(calico(false), other), ClassB, false, "10 pods (1 of calico-node), 11 are wanted"},
		{"the creator is there", append(one(calico(false), other), other), ClassB, false, ""},
		{"a stacked lab has a shop", one(calico(true), other), None, true, "10 pods (1 of calico-node), 15 are wanted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := settled(tt.pods, tt.fault, 1, tt.stacked)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestParseObjects(t *testing.T) {
	const (
		pod   = `{"items":[{"kind":"Pod","metadata":{"namespace":"a","name":"p","uid":"u","resourceVersion":"%"}}]}`
		node  = `{"items":[{"kind":"Node","metadata":{"name":"n","uid":"u","resourceVersion":"1"},"spec":{"taints":[]},"status":{"x":1}}]}`
		beat  = `{"items":[{"kind":"Node","metadata":{"name":"n","uid":"u","resourceVersion":"2"},"spec":{"taints":[]},"status":{"x":2}}]}`
		taint = `{"items":[{"kind":"Node","metadata":{"name":"n","uid":"u","resourceVersion":"2"},"spec":{"taints":[{"key":"k"}]}}]}`
	)
	read := func(list string) snapshot.Snapshot {
		s, err := parseObjects(list)
		require.NoError(t, err)
		return s
	}
	require.Equal(t, snapshot.Snapshot{"cluster Pod a/p": "u version %"}, read(pod))
	require.Empty(t, snapshot.Diff(read(node), read(beat)), "a heartbeat is no change")
	require.Len(t, snapshot.Diff(read(node), read(taint)), 1)
}

func TestParseFault(t *testing.T) {
	for _, f := range []Fault{None, ClassA, ClassB, ClassC, ClassD} {
		got, err := ParseFault(string(f))
		require.NoError(t, err)
		require.Equal(t, f, got)
	}
	_, err := ParseFault("x")
	require.ErrorContains(t, err, `"x"`)
}

func TestParseInstall(t *testing.T) {
	for _, i := range []Install{Manifest, Operator} {
		got, err := ParseInstall(string(i))
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	_, err := ParseInstall("helm")
	require.ErrorContains(t, err, `"helm"`)
}

func TestManifestsOfEveryVersion(t *testing.T) {
	for _, version := range parts.CalicoVersions {
		got, err := render(values{Namespace: "kube-system"}.of(version), "calico-crds.yaml", "calico.yaml")
		require.NoError(t, err)
		require.Equal(t, 4, strings.Count(string(got), ":"+version+",")+strings.Count(string(got), ":"+version+"\n"), "the images of %s", version)
		require.Equal(t, version == "v3.27.5", strings.Contains(string(got), "bpfExcludeCIDRsFromNAT"), version)
		require.NotContains(t, string(got), "ownerReferences")
	}
	owned, err := render(values{Namespace: "calico-system", OwnerUID: "u-1"}, "calico.yaml")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(owned), "name: default, uid: u-1,"))
}

func TestWithoutCopies(t *testing.T) {
	require.Equal(t, "create a hash:ip\nadd a 10.0.0.1\n", withoutCopies("create TMP-X hash:ip\nadd TMP-X 10.0.0.1\ncreate a hash:ip\nadd a 10.0.0.1\n"))
}
