package modules

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planned is a target of a plan: what a Check would change, the next one sees.
type planned struct {
	t    *testing.T
	fake *fake
}

func newPlanned(t *testing.T, c *fakeCluster) *planned {
	return &planned{t, &fake{cluster: c}}
}

func (p *planned) then(task string, k *kubectl) Change {
	p.t.Helper()
	require.NoError(p.t, k.Validate())
	change := check(p.t, k, p.fake)
	for _, e := range change.Effects {
		e.By = task
		p.fake.predicted = append([]Effect{e}, p.fake.predicted...) // the last one is the first found
	}
	return change
}

func (p *planned) unforeseen(k *kubectl) string {
	p.t.Helper()
	_, err := k.Check(context.Background(), p.fake)
	var u Unforeseen
	require.ErrorAs(p.t, err, &u)
	return u.Reason
}

func namespaceNew() Object {
	return Object{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "new"}}
}

func configMap(namespace, name string, data map[string]any) Object {
	return Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": namespace}, "data": data}
}

const (
	applyLine = "kubectl %sapply --server-side --field-manager=runbook -f - # %s"
	cmYAML    = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: ns, uid: dry}\ndata: {%s}\n"
	makeNew   = "kubectl apply --server-side --field-manager=runbook -f - # namespace/new"
	inNew     = "kubectl -n new apply --server-side --field-manager=runbook -f - # configmap/c"
	nsYAML    = "apiVersion: v1\nkind: Namespace\nmetadata: {name: new, uid: dry}\nstatus: {phase: Active}"
)

func TestPlanNamespaceThenObjects(t *testing.T) {
	p := newPlanned(t, &fakeCluster{
		objects:  map[string]string{"namespace/new": ""},
		previews: map[string]string{makeNew: nsYAML},
	})
	assert.Len(t, p.then("Have a namespace", &kubectl{Apply: namespaceNew()}).Steps, 1)
	assert.Empty(t, p.then("Have it again", &kubectl{Apply: namespaceNew()}).Diffs)

	made := p.then("Have a config map", &kubectl{Apply: configMap("new", "c", map[string]any{"k": "v"})})
	assert.Equal(t, []string{inNew}, stepLines(made))
	assert.Contains(t, made.Diffs[0].Want, "k: v")
	assert.Equal(t, []string{`the server can check configmap/c in namespace new only after the task "Have a namespace"`}, made.Notes)

	got := p.then("", &kubectl{Get: "cm/c", Namespace: "new"})
	assert.Equal(t, true, got.Vars["found"])
	assert.Equal(t, configMap("new", "c", map[string]any{"k": "v"}), got.Vars["items"].([]any)[0])

	patched := p.then("Patch it", &kubectl{Patch: "configmap/c", Namespace: "new", Merge: Object{"data": map[string]any{"l": "w"}}})
	assert.Equal(t, []string{"configmap new/c .data.l: absent -> w"}, diffLines(patched))
	assert.Len(t, patched.Notes, 1)
	assert.Empty(t, p.then("", &kubectl{Patch: "configmap/c", Namespace: "new", Merge: Object{"data": map[string]any{"l": "w"}}}).Diffs)
	assert.Empty(t, p.then("", &kubectl{Wait: "configmap/c", Namespace: "new", For: "jsonpath=.data.l=w"}).Diffs)
	assert.Contains(t, p.unforeseen(&kubectl{Wait: "configmap/c", Namespace: "new", For: "jsonpath=.data.l=x"}), `which the task "Patch it" changes`)

	// Its pods are for later: there is nothing that could be wrong about the selector.
	p.fake.cluster.(*fakeCluster).lists = map[string]string{"pods with app=x in namespace new": ""}
	assert.Contains(t, p.unforeseen(&kubectl{Wait: "pods", Selector: "app=x", Namespace: "new"}), `after the task "Have a namespace"`)

	gone := p.then("Drop it", &kubectl{Delete: "configmap/c", Namespace: "new"})
	assert.Equal(t, []string{"configmap new/c: present -> gone"}, diffLines(gone))
	assert.Empty(t, p.then("", &kubectl{Delete: "configmap/c", Namespace: "new"}).Diffs)
	assert.Empty(t, p.then("", &kubectl{Wait: "configmap/c", Namespace: "new", For: "deleted"}).Diffs)
	assert.Equal(t, false, p.then("", &kubectl{Get: "cm/c", Namespace: "new"}).Vars["found"])
}

// What the namespace to come is to hold is tried out in another one, so that a
// wrong field is found, and the server's defaults are known.
func TestPlanTriesObjectsOut(t *testing.T) {
	cluster := &fakeCluster{
		objects:  map[string]string{"namespace/new": ""},
		previews: map[string]string{makeNew: nsYAML, inNew: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: runbook-x1, generateName: runbook-, namespace: default, uid: dry}\ndata: {k: v}\nimmutable: false"},
	}
	for name, k := range map[string]*kubectl{
		"a task before":    {Apply: configMap("new", "c", map[string]any{"k": "v"})},
		"an object before": {Apply: []any{namespaceNew(), configMap("new", "c", map[string]any{"k": "v"})}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlanned(t, cluster)
			if name == "a task before" {
				p.then("Have a namespace", &kubectl{Apply: namespaceNew()})
			}
			assert.Empty(t, p.then("Have a config map", k).Notes)
			tried := cluster.previewed[len(cluster.previewed)-1]
			assert.Equal(t, Ref{Kind: "configmap", APIVersion: "v1", Namespace: "default"}, tried.Ref)
			assert.Equal(t, map[string]any{"generateName": "runbook-", "namespace": "default"}, tried.Body["metadata"])
			want := configMap("new", "c", map[string]any{"k": "v"})
			want["immutable"] = false
			assert.Equal(t, []any{want}, p.then("", &kubectl{Get: "cm/c", Namespace: "new"}).Vars["items"])

			cluster.refusals = map[string]error{inNew: &FieldError{"unknown field"}}
			defer func() { cluster.refusals = nil }()
			p = newPlanned(t, cluster)
			if name == "a task before" {
				p.then("Have a namespace", &kubectl{Apply: namespaceNew()})
			}
			assert.Equal(t, "configmap/c in namespace new: unknown field", fails(t, k, cluster, p.fake.predicted...))
		})
	}
}

// A namespace in the same manifest needs no second look for what is in it.
func TestPlanNamespaceInTheSameManifest(t *testing.T) {
	p := newPlanned(t, &fakeCluster{objects: map[string]string{"namespace/new": ""}, previews: map[string]string{makeNew: nsYAML}})
	c := p.then("", &kubectl{Apply: []any{namespaceNew(), configMap("new", "c", map[string]any{"k": "v"})}})
	assert.Equal(t, []string{makeNew, inNew}, stepLines(c))
	assert.Contains(t, c.Diffs[1].Want, "k: v")
	assert.Empty(t, p.then("", &kubectl{Apply: []any{namespaceNew(), configMap("new", "c", map[string]any{"k": "v"})}}).Diffs)
}

// With a namespace goes what is in it, also where a new one takes its name.
func TestPlanNamespaceAnew(t *testing.T) {
	there := "apiVersion: v1\nkind: Namespace\nmetadata: {name: new, uid: old}"
	inside := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: new, uid: old}\ndata: {k: v}"
	p := newPlanned(t, &fakeCluster{
		objects: map[string]string{"namespace/new": there, "configmap/c in namespace new": inside, "cm/c in namespace new": inside},
		lists:   map[string]string{"configmaps with a=b in namespace new": inside},
	})
	read := func() bool { return p.then("", &kubectl{Get: "cm/c", Namespace: "new"}).Vars["found"].(bool) }
	assert.True(t, read())
	p.then("delete", &kubectl{Delete: "namespace/new"})
	assert.False(t, read())
	assert.Equal(t, []string{makeNew}, stepLines(p.then("again", &kubectl{Apply: namespaceNew()})))
	assert.False(t, read())
	assert.Zero(t, p.then("", &kubectl{Get: "configmaps", Selector: "a=b", Namespace: "new"}).Vars["count"])
	made := p.then("object", &kubectl{Apply: configMap("new", "c", map[string]any{"k": "v"})})
	assert.Equal(t, []string{inNew}, stepLines(made))
	assert.True(t, read())
}

// It is not known whether there will be a namespace: no task can be sure of it.
func TestPlanOfANamespaceThatMayCome(t *testing.T) {
	cluster := &fakeCluster{objects: map[string]string{"namespace/new": "", "configmap/c in namespace new": ""}}
	p := newPlanned(t, cluster)
	p.fake.predicted = []Effect{{Thing: AnObject, Name: "Namespace//new", State: Unforeseen{"why"}}}
	assert.Equal(t, "why", p.unforeseen(&kubectl{Apply: configMap("new", "c", nil)}))
	assert.Equal(t, "why", p.unforeseen(&kubectl{Patch: "namespace/new", Merge: Object{"a": "b"}}))
	cluster.objects["namespace/new"] = nsYAML
	cluster.previews = map[string]string{inNew: fmt.Sprintf(cmYAML, "")}
	assert.Len(t, p.then("", &kubectl{Apply: configMap("new", "c", nil)}).Steps, 1)
}

// The server is asked what all tasks together come to.
func TestPlanChangesOnChanges(t *testing.T) {
	apply := fmt.Sprintf(applyLine, "-n ns ", "configmap/c")
	patch := `kubectl -n ns patch configmap c --type merge -p '{"data":{"b":"2"}}'`
	for name, c := range map[string]struct {
		before, merged string
		seen           string // in the step that was previewed last
	}{
		"new":   {"", fmt.Sprintf(cmYAML, "a: '1', b: '2'"), "create"},
		"there": {fmt.Sprintf(cmYAML, "a: '0'"), fmt.Sprintf(cmYAML, "a: '1', b: '2'"), "patch"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &fakeCluster{
				objects:  map[string]string{"configmap/c in namespace ns": c.before},
				previews: map[string]string{apply: fmt.Sprintf(cmYAML, "a: '1'"), patch: c.merged},
			}
			p := newPlanned(t, cluster)
			assert.Len(t, p.then("one", &kubectl{Apply: configMap("ns", "c", map[string]any{"a": "1"})}).Steps, 1)
			two := p.then("two", &kubectl{Patch: "configmap/c", Namespace: "ns", Merge: Object{"data": map[string]any{"b": "2"}}})
			assert.Equal(t, []string{"configmap ns/c .data.b: absent -> 2"}, diffLines(two))
			last := cluster.previewed[len(cluster.previewed)-1]
			assert.Equal(t, c.seen, string(last.Verb))
			assert.Equal(t, map[string]any{"a": "1", "b": "2"}, last.Body["data"])
		})
	}
}

func TestPlanApplyTwice(t *testing.T) {
	apply := fmt.Sprintf(applyLine, "-n ns ", "configmap/c")
	cluster := &fakeCluster{objects: map[string]string{"configmap/c in namespace ns": ""}, previews: map[string]string{apply: fmt.Sprintf(cmYAML, "a: '1', b: '2'")}}
	p := newPlanned(t, cluster)
	p.then("one", &kubectl{Apply: configMap("ns", "c", map[string]any{"a": "1", "b": "2"})})
	assert.Empty(t, p.then("same", &kubectl{Apply: configMap("ns", "c", map[string]any{"a": "1", "b": "2"})}).Diffs)

	// What was applied and is no longer goes.
	cluster.previews[apply] = fmt.Sprintf(cmYAML, "a: '1'")
	less := p.then("less", &kubectl{Apply: configMap("ns", "c", map[string]any{"a": "1"})})
	assert.Equal(t, []string{"configmap ns/c .data.b: 2 -> absent"}, diffLines(less))
	assert.Equal(t, map[string]any{"a": "1"}, cluster.previewed[len(cluster.previewed)-1].Body["data"])
}

func TestPlanKindThenObject(t *testing.T) {
	crd := Object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "things.x"},
		"spec": map[string]any{"group": "x", "scope": "Cluster", "names": map[string]any{"kind": "Thing", "plural": "things", "singular": "thing", "shortNames": []any{"th"}}},
	}
	thing := Object{"apiVersion": "x/v1", "kind": "Thing", "metadata": map[string]any{"name": "t"}, "spec": map[string]any{"a": "b"}}
	line := fmt.Sprintf(applyLine, "", "customresourcedefinition/things.x")
	cluster := &fakeCluster{
		objects:  map[string]string{"customresourcedefinition/things.x": ""},
		previews: map[string]string{line: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x}\nspec: {group: x, scope: Cluster, names: {kind: Thing, plural: things, singular: thing, shortNames: [th]}}"},
		unserved: []string{"thing", "things", "th", "things.x", "thing.x"},
	}
	p := newPlanned(t, cluster)
	p.then("the kind", &kubectl{Apply: crd})
	assert.Empty(t, p.then("", &kubectl{Apply: crd}).Diffs)
	assert.Contains(t, p.unforeseen(&kubectl{Wait: "things"}), `what things there will be, after the task "the kind"`)
	assert.Equal(t, false, p.then("", &kubectl{Get: "thing/t"}).Vars["found"])
	made := p.then("a thing", &kubectl{Apply: thing})
	assert.Equal(t, []string{fmt.Sprintf(applyLine, "", "thing/t")}, stepLines(made))
	assert.Equal(t, []string{`the server can check thing/t only after the task "the kind"`}, made.Notes)
	for _, word := range []string{"thing/t", "things/t", "th/t", "Thing.x/t"} {
		cluster.unserved = append(cluster.unserved, "thing.x")
		patched := p.then("", &kubectl{Patch: word, Merge: Object{"spec": map[string]any{"a": "b"}}})
		assert.Empty(t, patched.Diffs, word)
	}
	assert.Contains(t, p.unforeseen(&kubectl{Wait: "th/t", For: "condition=Ready"}), `the status of thing t, which the task "a thing" changes`)
	assert.IsType(t, Unforeseen{}, p.then("", &kubectl{Get: "th/t"}).Vars["items"])

	var unknown *KindError
	_, err := (&kubectl{Get: "thing/t", APIVersion: "y/v1"}).Check(context.Background(), p.fake)
	assert.ErrorAs(t, err, &unknown, "another group's")
}

// After a restart, or any other change, nobody knows the pods to come.
func TestPlanWorkload(t *testing.T) {
	owned := "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ns, uid: uid-a, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: ds, controller: true}]}\nspec: {nodeName: n1, containers: [{name: main}]}\nstatus: {phase: Running, conditions: [{type: Ready, status: 'True'}]}\n"
	cluster := &fakeCluster{
		objects: map[string]string{dsRef: daemonset(3, 3, "")},
		lists:   map[string]string{dsPods: owned, podsRef: owned},
	}
	p := newPlanned(t, cluster)
	pods := func(k *kubectl) *kubectl { k.Selector, k.Namespace = "app=x", "ns"; return k }
	assert.Empty(t, p.then("", pods(&kubectl{Wait: "pods"})).Diffs)

	restart := func(only string) *kubectl {
		return &kubectl{Restart: "daemonset/ds", Namespace: "ns", Only: only, now: time.Now}
	}
	c := p.then("Restart", restart(""))
	require.Len(t, c.Steps, 1)
	assert.True(t, c.Steps[0].(APIStep).Event)

	for _, k := range []*kubectl{
		pods(&kubectl{Wait: "pods"}), pods(&kubectl{Logs: "pods"}), pods(&kubectl{Exec: "pods", Command: []any{"true"}}), pods(&kubectl{Delete: "pods"}),
	} {
		assert.Equal(t, `the pods of daemonset ns/ds, which the task "Restart" changes`, p.unforeseen(k))
	}
	for _, k := range []*kubectl{
		{Wait: "ds/ds", Namespace: "ns"}, {Wait: "pods", Selector: "app=x", Namespace: "ns", Expect: "desired of daemonset/ds"}, restart("unready"),
	} {
		assert.Contains(t, p.unforeseen(k), `daemonset ns/ds, which the task "Restart" changes`)
	}
	assert.IsType(t, Unforeseen{}, p.then("", pods(&kubectl{Get: "pods"})).Vars["found"])
	found := p.then("", &kubectl{Get: "ds/ds", Namespace: "ns"}).Vars
	assert.Equal(t, true, found["found"])
	assert.IsType(t, Unforeseen{}, found["items"])
	for range 2 {
		assert.Len(t, p.then("", restart("")).Steps, 1, "another restart is one more")
	}

	// Only the server knows what these come to.
	for _, k := range []*kubectl{
		{Patch: "ds/ds", Namespace: "ns", JSON: []any{map[string]any{"op": "remove", "path": "/spec/a"}}},
		{Patch: "ds/ds", Namespace: "ns", Strategic: Object{"spec": map[string]any{"ports": []any{map[string]any{"containerPort": 1}}}}},
	} {
		assert.Contains(t, p.unforeseen(k), "what this patch makes of ds/ds in namespace ns")
	}
}

func TestWorkloadOf(t *testing.T) {
	replica := Object{"metadata": map[string]any{"namespace": "ns", "labels": map[string]any{"pod-template-hash": "5d4"}, "ownerReferences": []any{
		map[string]any{"apiVersion": "v1", "kind": "Node", "name": "n"},
		map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4", "controller": true},
	}}}
	assert.Equal(t, "Deployment.apps/ns/web", nameOfObject(workloadOf(replica)))
	assert.Nil(t, workloadOf(Object{}))
}
