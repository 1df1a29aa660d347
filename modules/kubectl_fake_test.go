package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeCluster is a cluster that knows its answers beforehand. What it was not
// told is an error.
type fakeCluster struct {
	objects  map[string]string // YAML by refWords of a Ref with a name; empty: there is none
	lists    map[string]string // YAML documents by refWords of a Ref that selects
	previews map[string]string // YAML by the step's command line
	refusals map[string]error  // by the step's command line
	unserved []string          // kinds that are not served
	logs     map[string]string // by POD/CONTAINER, with " previous" for the run before
	outputs  map[string]Output // by POD/CONTAINER: COMMAND

	previewed []APIStep // in order
}

func known[T any](from map[string]T, key string) (T, error) {
	v, ok := from[key]
	if !ok {
		return v, fmt.Errorf("unexpected question %q", key)
	}
	return v, nil
}

func (f *fakeCluster) Get(_ context.Context, ref Ref) (Object, error) {
	text, err := known(f.objects, refWords(ref))
	if err != nil || text == "" {
		return nil, err
	}
	all, err := parseManifest("fake", []byte(text))
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (f *fakeCluster) List(_ context.Context, ref Ref) ([]Object, error) {
	text, err := known(f.lists, refWords(ref))
	if err != nil {
		return nil, err
	}
	return parseManifest("fake", []byte(text))
}

// fakeKinds are the words for kinds that the server knows.
var fakeKinds = map[string]string{
	"pod": "Pod", "pods": "Pod", "configmap": "ConfigMap", "configmaps": "ConfigMap", "cm": "ConfigMap", "secret": "Secret", "secrets": "Secret", "node": "Node", "nodes": "Node",
	"events": "Event", "namespace": "Namespace", "ns": "Namespace", "deployment": "Deployment.apps", "deploy": "Deployment.apps",
	"daemonset": "DaemonSet.apps", "ds": "DaemonSet.apps", "daemonsets": "DaemonSet.apps", "statefulset": "StatefulSet.apps", "replicaset": "ReplicaSet.apps",
	"felixconfiguration": "FelixConfiguration.v3", "customresourcedefinition": "CustomResourceDefinition.apiextensions.k8s.io",
	"poddisruptionbudgets": "PodDisruptionBudget.policy", "lease": "Lease.coordination.k8s.io", "thing": "Thing.x", "things.x": "Thing.x", "job": "Job.batch",
}

// Resolve knows the kinds of the tests; the namespace of those who name none is
// "", and of those who cannot have one too.
func (f *fakeCluster) Resolve(_ context.Context, ref Ref) (Ref, error) {
	word := strings.ToLower(ref.Kind)
	if slices.Contains(f.unserved, word) {
		return Ref{}, &KindError{fmt.Sprintf("the cluster serves no kind %q", ref.Kind)}
	}
	kind, err := known(fakeKinds, word)
	if slices.Contains([]string{"Node", "Namespace", "CustomResourceDefinition.apiextensions.k8s.io", "Thing.x"}, kind) {
		ref.Namespace = ""
	}
	ref.Kind = kind
	return ref, err
}

func (f *fakeCluster) Preview(_ context.Context, s APIStep) (Object, error) {
	f.previewed = append(f.previewed, s)
	if err := f.refusals[s.Command]; err != nil || s.Verb == Evict {
		return nil, err
	}
	text, err := known(f.previews, s.Command)
	if err != nil {
		return nil, err
	}
	all, err := parseManifest("fake", []byte(text))
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (f *fakeCluster) Logs(_ context.Context, req LogRequest) (string, error) {
	key := req.Pod + "/" + req.Container
	if !req.Since.IsZero() {
		key += " since " + req.Since.Format(time.RFC3339)
	}
	if req.Previous {
		key += " previous"
	}
	return known(f.logs, key)
}

func (f *fakeCluster) Query(_ context.Context, in PodCommand) (Output, error) {
	return known(f.outputs, in.Pod+"/"+in.Container+": "+strings.Join(in.Argv, " "))
}

func fails(t *testing.T, m Module, c Cluster, predicted ...Effect) string {
	t.Helper()
	_, err := m.Check(context.Background(), &fake{cluster: c, predicted: predicted})
	require.Error(t, err)
	return err.Error()
}

// diffLines are the diffs of a change, a line each.
func diffLines(c Change) []string {
	var lines []string
	for _, d := range c.Diffs {
		lines = append(lines, d.What+": "+d.Have+" -> "+d.Want)
	}
	return lines
}

// pod is YAML of a pod with the label app=x in namespace ns.
func pod(name, node string, ready bool, more string) string {
	status := "False"
	if ready {
		status = "True"
	}
	return fmt.Sprintf(`---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, namespace: ns, uid: uid-%[1]s, managedFields: [{manager: x}]}
spec: {nodeName: %[2]s, containers: [{name: main, image: img}]}
status:
  phase: Running
  podIP: 10.1.1.1
  startTime: "2026-01-01T00:00:00Z"
  conditions: [{type: Ready, status: "%[3]s", reason: R%[3]s, message: "containers with unready status: [main]"}]
  containerStatuses: [{name: main, image: img, imageID: sha, ready: %[4]t, restartCount: 2, state: {running: {startedAt: "2026-01-01T00:00:05Z"}}}]
%[5]s
`, name, node, status, ready, more)
}

// daemonset is YAML of the daemonset ns/ds that wants three pods.
func daemonset(updated, available int, annotations string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds, namespace: ns, uid: abcdefghij, generation: 4}
spec:
  selector: {matchLabels: {app: x}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]}
  template: {metadata: {annotations: {%s}}}
  updateStrategy: {type: RollingUpdate}
status: {observedGeneration: 4, desiredNumberScheduled: 3, updatedNumberScheduled: %d, numberReady: %d, numberAvailable: %d}
`, annotations, updated, available, available)
}

const (
	dsPods   = "pods with app=x,tier in (a,b) in namespace ns"
	dsRef    = "daemonset/ds in namespace ns"
	podsRef  = "pods with app=x in namespace ns"
	warnsRef = "events with involvedObject.kind=Pod,type=Warning in namespace ns"
)
