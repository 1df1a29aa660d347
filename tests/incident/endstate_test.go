//go:build linux

package incident

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/snapshot"
)

// byNature are the parts of a host's state that two runs of the same have
// differently: when a file was written, and the seed of a set's hash.
var byNature = regexp.MustCompile(`changed \S+, | initval 0x[0-9a-f]+`)

// timed are files that hold a time: of ld's last look at its folders, of apt's
// last update.
var timed = regexp.MustCompile(`/var/cache/ldconfig/aux-cache$|/var/lib/apt/periodic/runbook-update$`)

// ofPods is a route to a pod, whose address is another one in each life of it.
var ofPods = regexp.MustCompile(`(?m)^10\.244\.\d+\.\d+ .*\n`)

// noState are kinds of object that follow from others or come by themselves.
var noState = []string{"Event", "Lease", "EndpointSlice", "Endpoints", "ComponentStatus", "PodMetrics", "NodeMetrics"}

// endState is what hosts and cluster are made of, without what differs between
// two runs that did the same: two of them can be compared.
func (o Operator) endState(t *testing.T) snapshot.Snapshot {
	t.Helper()
	all, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	state := snapshot.Snapshot{}
	for name, is := range all {
		if timed.MatchString(name) {
			is = "there"
		}
		if !strings.HasPrefix(name, "cluster ") {
			state[name] = ofPods.ReplaceAllString(byNature.ReplaceAllString(is, ""), "")
		}
	}
	for name, is := range o.objects(t) {
		state[name] = is
	}
	return state
}

// object is an object of the cluster, as far as it says how it came about.
type object struct {
	Kind     string
	Metadata struct {
		Namespace, Name, GenerateName string
		Generation                    int64
		Labels, Annotations           map[string]string
		DeletionTimestamp             *string
		OwnerReferences               []struct{ Kind, Name string }
	}
	Spec, Data json.RawMessage
	Status     struct {
		Phase      string
		Conditions []struct{ Type, Status string }
	}
}

// objects are those of the cluster. Those that others make with names of chance
// (pods, revisions) count by who made them.
func (o Operator) objects(t *testing.T) snapshot.Snapshot {
	t.Helper()
	kinds, err := o.Lab.Kube(t.Context(), "api-resources", "--verbs=list", "--output=name")
	require.NoError(t, err)
	out, err := o.Lab.Kube(t.Context(), "get", strings.Join(strings.Fields(kinds), ","), "--all-namespaces", "--output=json")
	require.NoError(t, err)
	var list struct{ Items []object }
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	state := snapshot.Snapshot{}
	for _, item := range list.Items {
		if slices.Contains(noState, item.Kind) {
			continue
		}
		name, is := item.described()
		if had, twice := state[name]; twice {
			is = had + "; " + is
		}
		state[name] = is
	}
	return state
}

// stamp is what a restart writes: who and when.
var stamp = regexp.MustCompile(`"[^"]*(restartedAt|runbook[^"]*)":"[^"]*"`)

// described is a name for the object that it has in every run, and what it is.
func (o object) described() (name, is string) {
	m := o.Metadata
	name = fmt.Sprintf("cluster %s %s/%s", o.Kind, m.Namespace, m.Name)
	spec := stamp.ReplaceAllString(string(o.Spec)+string(o.Data), `"$1":"*"`)
	labels, _ := json.Marshal([]any{m.Labels, m.Annotations}) // maps of text
	is = fmt.Sprintf("%s %s generation %d", snapshot.Digest(spec), stamp.ReplaceAllString(string(labels), `"$1":"*"`), m.Generation)
	owner := ""
	if len(m.OwnerReferences) > 0 {
		owner = m.OwnerReferences[0].Kind + "/" + strings.TrimRight(m.OwnerReferences[0].Name, "bcdfghjklmnpqrstvwxz2456789")
	}
	switch {
	case o.Kind == "Node":
		is = string(labels)
	case o.Kind == "Pod" && owner != "":
		name, is = fmt.Sprintf("cluster Pods %s/%s", m.Namespace, owner), o.Status.Phase
		for _, c := range o.Status.Conditions {
			if c.Type == "Ready" {
				is += " ready " + c.Status
			}
		}
	case owner != "" && (o.Kind == "ControllerRevision" || o.Kind == "ReplicaSet"):
		name, is = fmt.Sprintf("cluster %s of %s/%s", o.Kind, m.Namespace, owner), "one"
	}
	if m.DeletionTimestamp != nil {
		is += ", being deleted"
	}
	return name, is
}

// nothingLeft demands that neither hosts nor cluster nor this machine keep
// anything for a run that is over. What this machine kept before it is others'.
func (o Operator) nothingLeft(t *testing.T, others []string) {
	t.Helper()
	for host, left := range o.everywhere(t, "ls /run/runbook 2>/dev/null | grep -v lock || true; ipset list -name | grep -i -e tmp -e runbook || true") {
		require.Empty(t, strings.TrimSpace(left), host)
	}
	for _, kept := range keptHere(t) {
		require.Contains(t, others, kept, "of this machine")
	}
	kinds, err := o.Lab.Kube(t.Context(), "api-resources", "--verbs=list", "--output=name")
	require.NoError(t, err)
	for _, label := range []string{"runbook.io/probe", "runbook/run"} {
		left, err := o.Lab.Kube(t.Context(), "get", strings.Join(strings.Fields(kinds), ","), "--all-namespaces", "--output=name", "--selector="+label)
		require.NoError(t, err)
		require.Empty(t, strings.TrimSpace(left), "objects with the label %s", label)
	}
}

// keptHere is what this machine, as a target, keeps of commands.
func keptHere(t *testing.T) []string {
	t.Helper()
	kept, err := filepath.Glob("/run/runbook/*")
	require.NoError(t, err)
	return slices.DeleteFunc(kept, func(path string) bool { return strings.HasPrefix(path, "/run/runbook/lock") })
}
