package modules

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKubectlArguments(t *testing.T) {
	zero, minus := time.Duration(0), -time.Second
	words := []any{"true"}
	for _, c := range []struct {
		name string
		k    *kubectl
		want string // part of the error; empty: valid
	}{
		{"no verb", &kubectl{Namespace: "ns"}, "no verb given"},
		{"two verbs", &kubectl{Get: "pods", Delete: "pods"}, "get and delete exclude each other"},
		{"foreign argument", &kubectl{Get: "pods", Force: true}, `get does not take "force"`},
		{"kind and name", &kubectl{Get: "pod/x"}, ""},
		{"no kind", &kubectl{Get: "/x"}, "neither a kind nor KIND/NAME"},
		{"two slashes", &kubectl{Get: "a/b/c"}, "neither a kind nor KIND/NAME"},
		{"two names", &kubectl{Get: "pod/x", Name: "y"}, "keep one of them"},
		{"name and selector", &kubectl{Get: "pod/x", Selector: "a=b"}, "exclude each other"},
		{"name in all namespaces", &kubectl{Get: "pod/x", Namespace: "*"}, "in one namespace"},
		{"delete everything", &kubectl{Delete: "pods"}, "does not say which"},
		{"restart everything", &kubectl{Restart: "daemonsets"}, "does not say which"},
		{"logs of everything", &kubectl{Logs: "pods"}, "does not say which"},
		{"logs of no pods", &kubectl{Logs: "daemonset/x"}, "are no pods"},
		{"bad regex", &kubectl{Logs: "pod/x", Absent: "a("}, "not a regular expression"},
		{"regex is a number", &kubectl{Logs: "pod/x", Match: []any{int64(5)}}, "is no text"},
		{"bad since", &kubectl{Logs: "pod/x", Since: "yesterday"}, `since is "yesterday"`},
		{"patch without a name", &kubectl{Patch: "ds", Merge: Object{"a": "b"}}, "does not say which"},
		{"patch without a patch", &kubectl{Patch: "ds/x"}, "one of merge, strategic and json"},
		{"two patches", &kubectl{Patch: "ds/x", Merge: Object{}, Strategic: Object{}}, "one of merge, strategic and json"},
		{"bad operation", &kubectl{Patch: "ds/x", JSON: []any{Object{"op": "add"}}}, "operation 1"},
		{"apply and src", &kubectl{Apply: "a: b", Src: Local{Path: "x"}}, "exclude each other"},
		{"apply without a kind", &kubectl{Apply: Object{"apiVersion": "v1"}}, "has no kind"},
		{"apply of text", &kubectl{Apply: []any{"x"}}, "item 1"},
		{"apply of nothing", &kubectl{Src: Local{Path: "x", Data: []byte("---\n# empty\n")}}, "no object given"},
		{"apply elsewhere", &kubectl{Namespace: "a", Apply: Object{"apiVersion": "v1", "kind": "Pod", "metadata": Object{"name": "p", "namespace": "b"}}}, "another namespace"},
		{"key given twice", &kubectl{Apply: "a: 1\na: 2"}, "already set"},
		{"src not read yet", &kubectl{Src: Local{Path: "x.yaml"}}, ""},
		{"unknown state", &kubectl{Wait: "pods", For: "redy"}, `for is "redy"`},
		{"condition without a name", &kubectl{Wait: "pods", For: "condition"}, "say which"},
		{"ready takes no value", &kubectl{Wait: "pods", For: "ready=yes"}, "takes no value"},
		{"bad path", &kubectl{Wait: "pods", For: "jsonpath=phase=x"}, "does not begin with a dot"},
		{"stable for too long", &kubectl{Wait: "pods", Stable: time.Hour}, "could never be seen"},
		{"no time and stable", &kubectl{Wait: "pods", Stable: time.Second, Timeout: &zero}, "could never be seen"},
		{"negative", &kubectl{Wait: "pods", Timeout: &minus}, "cannot be negative"},
		{"expect nonsense", &kubectl{Wait: "pods", Expect: "many"}, `expect is "many"`},
		{"expect nothing", &kubectl{Wait: "pods", Expect: int64(0)}, `expect is "0"`},
		{"expect of a workload", &kubectl{Wait: "pods", Expect: "desired of ds/x"}, ""},
		{"command as text", &kubectl{Exec: "pod/x", Command: "ls -l"}, "write it as a list"},
		{"no command", &kubectl{Exec: "pod/x"}, "command is missing"},
		{"nested command", &kubectl{Exec: "pod/x", Command: []any{[]any{}}}, "word 1"},
		{"numbers are words", &kubectl{Exec: "pod/x", Command: []any{"sleep", int64(5)}}, ""},
		{"run without an image", &kubectl{Run: "x", Command: words}, "image is missing"},
		{"run everywhere", &kubectl{Run: "x", Command: words, Image: "i", Namespace: "*"}, "one namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.k.Validate()
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestKubectlNeedsACluster(t *testing.T) {
	_, err := (&kubectl{Get: "pods"}).Check(context.Background(), &fake{})
	assert.ErrorIs(t, err, ErrNoCluster)
}

func TestKubectlGet(t *testing.T) {
	cluster := &fakeCluster{
		objects: map[string]string{"pod/none in namespace ns": "", "pod/a in namespace ns": pod("a", "n1", true, "")},
		lists:   map[string]string{podsRef: pod("a", "n1", true, "") + pod("b", "n2", false, ""), "nodes": ""},
	}
	target := &fake{cluster: cluster}

	many := check(t, &kubectl{Get: "pods", Selector: "app=x", Namespace: "ns"}, target)
	assert.Empty(t, many.Diffs)
	assert.Equal(t, 2, many.Vars["count"])
	assert.Equal(t, true, many.Vars["found"])
	assert.Equal(t, map[string]any{
		"name": "a", "namespace": "ns", "uid": "uid-a", "node": "n1", "ip": "10.1.1.1", "phase": "Running", "ready": true,
		"terminating": false, "started": "2026-01-01T00:00:00Z", "restarts": int64(2),
		"containers": []any{map[string]any{
			"name": "main", "image": "img", "image_id": "sha", "ready": true, "restarts": int64(2), "started": "2026-01-01T00:00:05Z",
		}},
	}, many.Vars["pods"].([]any)[0])
	assert.NotContains(t, many.Vars["items"].([]any)[0].(Object)["metadata"], "managedFields")

	for _, k := range []*kubectl{
		{Get: "pod/none", Namespace: "ns"}, {Get: "pod", Name: "none", Namespace: "ns"}, {Get: "nodes"},
	} {
		c := check(t, k, target)
		assert.Equal(t, map[string]any{"items": []any{}, "pods": []any{}, "nodes": []any{}, "count": 0, "found": false}, c.Vars)
	}
	assert.Contains(t, fails(t, &kubectl{Get: "secrets"}, cluster), "unexpected")
}

const felix = "kubectl patch felixconfiguration default --type merge -p "

func TestKubectlPatch(t *testing.T) {
	before := "apiVersion: v3\nkind: FelixConfiguration\nmetadata: {name: default, resourceVersion: '1', generation: 1}\nspec: {a: 1, m: {o: [1]}}\nstatus: {s: 1}"
	after := "apiVersion: v3\nkind: FelixConfiguration\nmetadata: {name: default, resourceVersion: '2', generation: 2}\nspec: {a: 1, m: {o: [2]}, z: x}\nstatus: {s: 2}"
	line := felix + `'{"spec":{"z":"x"}}'`
	k := func() *kubectl {
		return &kubectl{Patch: "felixconfiguration/default", Merge: Object{"spec": map[string]any{"z": "x"}}}
	}
	cluster := &fakeCluster{objects: map[string]string{"felixconfiguration/default": before}, previews: map[string]string{line: after}}

	c := check(t, k(), &fake{cluster: cluster})
	assert.Equal(t, []string{line}, stepLines(c))
	assert.Equal(t, []string{
		"felixconfiguration default .spec.m.o: [1] -> [2]", "felixconfiguration default .spec.z: absent -> x",
	}, diffLines(c))

	cluster.objects["felixconfiguration/default"] = after
	c = check(t, k(), &fake{cluster: cluster})
	assert.Empty(t, c.Diffs)
	assert.Empty(t, c.Steps)

	var field *FieldError
	cluster.refusals = map[string]error{line: &FieldError{Message: `unknown field "spec.z"`}}
	_, err := k().Check(context.Background(), &fake{cluster: cluster})
	require.ErrorAs(t, err, &field)

	cluster.objects["felixconfiguration/default"] = ""
	assert.Equal(t, "there is no felixconfiguration/default", fails(t, k(), cluster))
}

func TestKubectlPatchKinds(t *testing.T) {
	deploy := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 1}"
	for line, k := range map[string]*kubectl{
		`kubectl patch deploy d --type strategic -p '{"spec":{"replicas":1}}'`:                         {Patch: "deploy/d", Strategic: Object{"spec": map[string]any{"replicas": 1}}},
		`kubectl patch deploy d --type json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`: {Patch: "deploy", Name: "d", JSON: []any{map[string]any{"op": "replace", "path": "/spec/replicas", "value": 1}}},
	} {
		cluster := &fakeCluster{objects: map[string]string{"deploy/d": deploy}, previews: map[string]string{line: deploy}}
		assert.Empty(t, check(t, k, &fake{cluster: cluster}).Steps, line)
	}
}

// What a Secret holds must not reach a plan, in no shape.
func TestKubectlHidesSecrets(t *testing.T) {
	object := func(v string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {last: " + v + "}}\ndata: {k: " + v + "}"
	}
	apply := "kubectl apply --server-side --field-manager=runbook -f - # secret/s"
	patch := "kubectl patch secret s --type merge -p '(hidden)'"
	cluster := &fakeCluster{
		objects:  map[string]string{"secret/s": object("canary1")},
		previews: map[string]string{apply: object("canary2"), patch: object("canary2")},
	}
	for _, k := range []*kubectl{
		{Apply: object("canary2")}, {Patch: "secret/s", Merge: Object{"data": map[string]any{"k": "canary2"}}},
	} {
		c := check(t, k, &fake{cluster: cluster})
		assert.Len(t, c.Diffs, 2)
		assert.NotContains(t, diffLines(c), "canary")
		for _, line := range append(diffLines(c), stepLines(c)...) {
			assert.NotContains(t, line, "canary")
		}
	}
	cluster.objects["secret/s"] = ""
	assert.Equal(t, []string{"secret s: absent -> (hidden)"}, diffLines(check(t, &kubectl{Apply: object("canary2")}, &fake{cluster: cluster})))
}

func TestKubectlApply(t *testing.T) {
	a := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\ndata: {k: v}\n"
	b := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: ns}\ndata: {k: w}\n"
	line := func(name string) string {
		return "kubectl -n ns apply --server-side --field-manager=runbook -f m.yaml # configmap/" + name
	}
	cluster := &fakeCluster{
		objects:  map[string]string{"configmap/a in namespace ns": a, "configmap/b in namespace ns": ""},
		previews: map[string]string{line("a"): a, line("b"): b},
	}
	k := &kubectl{Src: Local{Path: "m.yaml", Data: []byte("# comment\n---\n" + a + "---\n" + b)}}
	c := check(t, k, &fake{cluster: cluster})
	assert.Equal(t, []string{line("b")}, stepLines(c))
	require.Len(t, c.Diffs, 1)
	assert.Equal(t, "configmap ns/b", c.Diffs[0].What)
	assert.True(t, c.Diffs[0].Text)
	assert.Equal(t, "k: w", c.Diffs[0].Want[len("apiVersion: v1\ndata:\n  "):len("apiVersion: v1\ndata:\n  ")+4])

	cluster.objects["configmap/b in namespace ns"] = b
	c = check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Diffs)
	assert.Equal(t, 2, c.Vars["count"])

	cluster.refusals = map[string]error{line("a"): errors.New("others own .data.k")}
	assert.Contains(t, fails(t, k, cluster), "others own .data.k")
}

// A kind and a namespace that the same manifest brings cannot be previewed yet.
func TestKubectlApplyKindAndObject(t *testing.T) {
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x}\nspec: {group: x, names: {kind: Thing, plural: things}}\n"
	thing := "apiVersion: x/v1\nkind: Thing\nmetadata: {name: t}\n"
	makeCRD := "kubectl apply --server-side --field-manager=runbook -f - # customresourcedefinition/things.x"
	makeThing := "kubectl apply --server-side --field-manager=runbook -f - # thing/t"
	cluster := &fakeCluster{
		objects:  map[string]string{"customresourcedefinition/things.x": ""},
		previews: map[string]string{makeCRD: crd},
		unserved: []string{"thing", "things.x"},
	}
	k := &kubectl{Apply: crd + "---\n" + thing}
	c := check(t, k, &fake{cluster: cluster})
	assert.Equal(t, []string{makeCRD}, stepLines(c))
	assert.Equal(t, []string{"the server can check thing/t only after customresourcedefinition things.x is there"}, c.Notes)
	assert.Contains(t, c.Diffs[1].Want, "kind: Thing")

	// There is the definition, and a moment later its kind.
	cluster.objects["customresourcedefinition/things.x"] = crd
	c = check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Steps)
	assert.Equal(t, "customresourcedefinition things.x: not served yet -> served", diffLines(c)[0])

	cluster.unserved = nil
	cluster.objects["thing/t"] = ""
	cluster.previews[makeThing] = thing
	assert.Equal(t, []string{makeThing}, stepLines(check(t, k, &fake{cluster: cluster})))
}

func TestKubectlDelete(t *testing.T) {
	cluster := &fakeCluster{
		lists: map[string]string{podsRef: pod("a", "n1", true, "") + pod("b", "n2", true, ""), "pods with app=none in namespace ns": ""},
		objects: map[string]string{
			"pod/a in namespace ns": pod("a", "n1", true, ""), "pod/b in namespace ns": pod("b", "n2", true, ""), "pod/gone in namespace ns": "",
		},
	}
	now := int64(0)
	k := &kubectl{Delete: "pods", Selector: "app=x", Namespace: "ns", Grace: &now}
	c := check(t, k, &fake{cluster: cluster})
	assert.Equal(t, []string{"kubectl -n ns delete pod a --grace-period=0", "kubectl -n ns delete pod b --grace-period=0"}, stepLines(c))
	assert.Equal(t, "uid-a", c.Steps[0].(APIStep).UID)

	// One is on its way out, the other has been replaced under its own name.
	going := "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ns, uid: uid-a, deletionTimestamp: T, finalizers: [f]}"
	cluster.objects["pod/a in namespace ns"] = going
	cluster.objects["pod/b in namespace ns"] = "apiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: ns, uid: another}"
	c = check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Steps)
	assert.Equal(t, []string{`pod ns/a: terminating since T, held by the finalizers ["f"] -> gone`}, diffLines(c))
	assert.Equal(t, waitDefault, c.Wait.Timeout)

	cluster.objects["pod/a in namespace ns"] = ""
	c = check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Diffs)
	assert.Equal(t, 2, c.Vars["count"])

	assert.Empty(t, check(t, &kubectl{Delete: "pod/gone", Namespace: "ns"}, &fake{cluster: cluster}).Diffs)
	assert.Equal(t, "there are no pods with app=none in namespace ns; check the namespace and the selector",
		fails(t, &kubectl{Delete: "pods", Selector: "app=none", Namespace: "ns"}, cluster))
	assert.Empty(t, check(t, &kubectl{Delete: "pods", Selector: "app=none", Namespace: "ns", AllowEmpty: true}, &fake{cluster: cluster}).Diffs)
}
