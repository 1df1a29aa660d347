package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"runbook/modules"
	"runbook/runner/source"
)

// planned is a target that is nothing but a cluster. While it plans, it keeps
// what each Check would change for the next ones, as the engine does.
type planned struct {
	cluster   *Client
	predicted map[string]modules.Effect // nil: an apply
}

func (p *planned) Query(context.Context, modules.Run) (modules.Output, error) {
	return modules.Output{}, errors.New("there is no machine")
}

func (p *planned) ReadFile(context.Context, string) (modules.File, error) {
	return modules.File{}, errors.New("there is no machine")
}

func (p *planned) Fetch(context.Context, modules.Request) (modules.Response, error) {
	return modules.Response{}, errors.New("there is no machine")
}

func (p *planned) Cluster(context.Context) (modules.Cluster, error) { return p.cluster, nil }

func (p *planned) Run() modules.RunName { return modules.RunName{} }

func (p *planned) Predicted(thing modules.Thing, name string) (modules.Effect, bool) {
	e, ok := p.predicted[string(thing)+" "+name]
	return e, ok
}

// task is a kubectl task of a playbook, as YAML has its arguments.
type task struct{ name, args string }

func (p *planned) check(t *testing.T, ctx context.Context, of task) (modules.Change, error) {
	t.Helper()
	def, _ := modules.Lookup("kubectl")
	m := def.New()
	file := &source.File{Name: of.name, Data: []byte(of.args)}
	var n yaml.Node
	require.NoError(t, yaml.Unmarshal(file.Data, &n))
	require.NoError(t, file.Decode(n.Content[0], m).Err())
	change, err := m.Check(ctx, p)
	if p.predicted != nil {
		for _, e := range change.Effects {
			e.By = of.name
			p.predicted[string(e.Thing)+" "+e.Name] = e
		}
	}
	return change, err
}

// steps are what the engine would compare between a plan and its apply.
func steps(t *testing.T, c modules.Change) []string {
	t.Helper()
	var lines []string
	for _, s := range c.Steps {
		line := s.String()
		if api, ok := s.(modules.APIStep); ok && !api.Event {
			body, err := json.Marshal([]any{api.Body, api.JSONPatch})
			require.NoError(t, err)
			line += " " + string(body)
		}
		lines = append(lines, line)
	}
	return lines
}

// chain is tasks of which each needs those before it.
var chain = []task{
	{"a namespace", `apply: {apiVersion: v1, kind: Namespace, metadata: {name: planned}}`},
	{"objects in it", `apply:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: planned}, data: {a: "1"}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: planned}
  spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: i, env: [{name: A, value: a}]}]}}}`},
	{"one more field", `{patch: cm/c, namespace: planned, merge: {data: {b: "2"}}}`},
	{"one more variable", `{patch: deploy/web, namespace: planned, strategic: {spec: {template: {spec: {containers: [{name: main, env: [{name: B, value: b}]}]}}}}}`},
	{"another than the server's default", `{patch: deploy/web, namespace: planned, strategic: {spec: {replicas: 2, template: {spec: {containers: [{name: main, imagePullPolicy: Never}]}}}}}`},
	{"a restart", `{restart: deployments.apps/web, namespace: planned}`},
	{"a kind", `apply:
  apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata: {name: things.example.com}
  spec:
    group: example.com
    scope: Namespaced
    names: {kind: Thing, plural: things, singular: thing, shortNames: [thg]}
    versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}]`},
	{"an object of it", `apply: {apiVersion: example.com/v1, kind: Thing, metadata: {name: t, namespace: planned}, spec: {a: 1}}`},
	{"another field of it", `{patch: thg/t, namespace: planned, merge: {spec: {b: 2}}}`},
	{"a namespace, and what is in it", `{namespace: planned2, apply: [{apiVersion: v1, kind: Namespace, metadata: {name: planned2}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: "1"}}]}`},
	{"an old one, patched", `{patch: configmap/old, namespace: default, merge: {data: {b: "2"}}}`},
	{"an old one, patched by operations", `{patch: configmap/older, namespace: default, json: [{op: add, path: /data/b, value: "2"}]}`},
	{"an old one, patched again", `{patch: configmap/old, merge: {data: {c: "3", a: null}}}`},
	{"an old one, applied", `apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: old, namespace: default}, data: {d: "4", b: "2"}}`},
	{"an old one, with other images", `{set_image: deploy/old, namespace: default, images: {main: j, first: j}}`},
	{"an old one, gone", `delete: configmap/doomed`},
	{"an old one, anew", `apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: doomed}, data: {new: "yes"}}`},
}

// TestPlanOfAChain plans tasks that need one another, and then carries them out
// on a real API server: what was planned is what is done, and then all is done.
func TestPlanOfAChain(t *testing.T) {
	binary := os.Getenv("RUNBOOK_APISERVER")
	if binary == "" {
		require.Empty(t, os.Getenv("CI"), "RUNBOOK_APISERVER names no kube-apiserver; make unit has one")
		return
	}
	c := realAPI(t, binary)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for _, name := range []string{"old", "older", "doomed"} {
		create(t, ctx, c, configMap(name, map[string]any{"data": map[string]any{"a": "1"}}))
	}
	take(t, ctx, c, modules.APIStep{Verb: modules.Create, Ref: modules.Ref{Kind: "deploy", Name: "old"}, Body: deployment("old", map[string]any{
		"initContainers": []any{map[string]any{"name": "first", "image": "i"}},
		"containers":     []any{map[string]any{"name": "main", "image": "i"}, map[string]any{"name": "side", "image": "i"}},
	})})

	plan := &planned{cluster: c, predicted: map[string]modules.Effect{}}
	foreseen := map[string]modules.Change{}
	for _, task := range chain {
		change, err := plan.check(t, ctx, task)
		require.NoError(t, err, task.name)
		require.NotEmpty(t, change.Steps, task.name)
		foreseen[task.name] = change
	}
	confirmForeseen(t, ctx, plan)
	once := []string{"a restart", "an old one, patched by operations", "an old one, gone"}
	for _, task := range chain {
		if slices.Contains(once, task.name) {
			continue
		}
		change, err := plan.check(t, ctx, task)
		require.NoError(t, err, task.name)
		assert.Empty(t, change.Diffs, "a second time: %s", task.name)
	}

	apply := &planned{cluster: c}
	for _, task := range chain {
		change, err := apply.check(t, ctx, task)
		require.NoError(t, err, task.name)
		assert.Equal(t, steps(t, foreseen[task.name]), steps(t, change), task.name)
		assert.Equal(t, foreseen[task.name].Diffs, change.Diffs, task.name)
		for _, s := range change.Steps {
			take(t, ctx, c, s)
		}
		for task.name == "a kind" {
			left, err := apply.check(t, ctx, task)
			require.NoError(t, err)
			assert.Empty(t, left.Steps)
			if len(left.Diffs) == 0 {
				break
			}
			require.NoError(t, sleep(ctx, 100*time.Millisecond))
		}
	}
	object, err := c.Get(ctx, modules.Ref{Kind: "cm", Name: "old"})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"b": "2", "c": "3", "d": "4"}, object["data"])
}

// deployment is one in the namespace default with these containers.
func deployment(name string, pod map[string]any) modules.Object {
	labels := map[string]any{"app": name}
	return modules.Object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "default"},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": pod},
		},
	}
}

// confirmForeseen is what the plan can say of objects that are yet to come.
func confirmForeseen(t *testing.T, ctx context.Context, plan *planned) {
	for _, args := range []string{
		`{wait: deploy/web, namespace: planned}`, `{wait: pods, namespace: planned, selector: app=web}`, `{wait: thing/t, namespace: planned, for: condition=Ready}`,
		`{patch: configmap/c, namespace: planned, json: [{op: remove, path: /data/a}]}`, `{logs: pods, namespace: planned2, selector: app=web}`,
	} {
		_, err := plan.check(t, ctx, task{"", args})
		var unforeseen modules.Unforeseen
		assert.ErrorAs(t, err, &unforeseen, args)
	}
	for args, data := range map[string]map[string]any{
		`{get: cm/c, namespace: planned}`:  {"a": "1", "b": "2"},
		`{get: configmaps, name: doomed}`:  {"new": "yes"},
		`{get: ConfigMap/old}`:             {"b": "2", "c": "3", "d": "4"},
		`{get: cm/older}`:                  {"a": "1", "b": "2"},
		`{get: cm/c, namespace: planned2}`: {"a": "1"},
	} {
		change, err := plan.check(t, ctx, task{"", args})
		require.NoError(t, err, args)
		items, ok := change.Vars["items"].([]any)
		require.True(t, ok && len(items) == 1, "%s: %v", args, change.Vars)
		assert.Equal(t, data, items[0].(map[string]any)["data"], args)
	}
	none, err := plan.check(t, ctx, task{"", `{get: cm/nobody, namespace: planned}`})
	require.NoError(t, err)
	assert.Equal(t, false, none.Vars["found"])
	_, err = plan.check(t, ctx, task{"", `{patch: cm/c, namespace: default, merge: {datta: {}}}`})
	assert.ErrorContains(t, err, fmt.Sprintf("there is no %s", "cm/c in namespace default"))
	for why, args := range map[string]string{
		"in an object that the plan changes":      `{patch: cm/old, merge: {datta: {}}}`,
		"in an object that the plan makes":        `{patch: cm/c, namespace: planned, merge: {datta: {}}}`,
		"in a namespace that the plan makes":      `apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: d, namespace: planned}, datta: {}}`,
		"in a namespace that the same task makes": `apply: [{apiVersion: v1, kind: Namespace, metadata: {name: n}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: d, namespace: n}, datta: {}}]`,
	} {
		_, err = plan.check(t, ctx, task{"", args})
		var field *modules.FieldError
		assert.ErrorAs(t, err, &field, "a field that the server does not know, %s", why)
	}
}
