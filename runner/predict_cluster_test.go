package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

// smallCluster is config maps and namespaces in memory. Like a real server it
// can check nothing in a namespace that is not there.
type smallCluster struct {
	mu      sync.Mutex
	objects map[string]modules.Object // by KIND/NAMESPACE/NAME
}

var smallKinds = map[string]string{"configmap": "ConfigMap", "cm": "ConfigMap", "namespace": "Namespace", "ns": "Namespace", "pods": "Pod"}

func (c *smallCluster) Resolve(_ context.Context, ref modules.Ref) (modules.Ref, error) {
	kind, ok := smallKinds[strings.ToLower(ref.Kind)]
	if !ok {
		return ref, &modules.KindError{Message: "no kind " + ref.Kind}
	}
	ref.Kind = kind
	switch {
	case kind == "Namespace":
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = "default"
	}
	return ref, nil
}

func (c *smallCluster) key(ref modules.Ref) (string, error) {
	own, err := c.Resolve(context.Background(), ref)
	return own.Kind + "/" + own.Namespace + "/" + own.Name, err
}

func (c *smallCluster) Get(_ context.Context, ref modules.Ref) (modules.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, err := c.key(ref)
	return c.objects[key], err
}

func (c *smallCluster) List(context.Context, modules.Ref) ([]modules.Object, error) { return nil, nil }

func (c *smallCluster) Preview(_ context.Context, s modules.APIStep) (modules.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own, err := c.Resolve(context.Background(), s.Ref)
	if err != nil {
		return nil, err
	}
	if _, ok := c.objects["Namespace//"+own.Namespace]; !ok && own.Namespace != "" && own.Namespace != "default" {
		return nil, fmt.Errorf("namespaces %q not found", own.Namespace)
	}
	now := c.objects[own.Kind+"/"+own.Namespace+"/"+own.Name]
	if s.Verb == modules.Patch && now == nil {
		return nil, errors.New("not found")
	}
	return laid(now, s.Body), nil
}

// laid sets fields, and leaves those of others alone.
func laid(on, fields modules.Object) modules.Object {
	out := modules.Object{}
	maps.Copy(out, on)
	for key, value := range fields {
		if inner, ok := value.(map[string]any); ok {
			below, _ := out[key].(map[string]any)
			value = laid(below, inner)
		}
		out[key] = value
	}
	return out
}

func (c *smallCluster) Take(ctx context.Context, step modules.Step) (modules.Output, error) {
	s := step.(modules.APIStep)
	if s.Verb == modules.Delete {
		return modules.Output{}, errors.New("nothing is deleted here")
	}
	made, err := c.Preview(ctx, s)
	if err != nil {
		return modules.Output{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key, err := c.key(s.Ref)
	c.objects[key] = made
	return modules.Output{}, err
}

func (c *smallCluster) Run(context.Context, modules.PodRun, string) (modules.Output, error) {
	return modules.Output{}, errors.New("no pods here")
}

func (c *smallCluster) Collect(context.Context, string, string) (modules.Output, bool, error) {
	return modules.Output{}, false, nil
}

func (c *smallCluster) Clear(context.Context, string, string) error { return nil }

func (c *smallCluster) Watch(context.Context, []modules.Ref) (<-chan struct{}, error) {
	return nil, errors.New("look again and again")
}

func (c *smallCluster) Logs(context.Context, modules.LogRequest) (string, error) { return "", nil }

func (c *smallCluster) Query(context.Context, modules.PodCommand) (modules.Output, error) {
	return modules.Output{}, nil
}

func withCluster(c *smallCluster) func(*Runner, *fleet) {
	return func(r *Runner, _ *fleet) {
		r.Cluster = func(context.Context, Reach) (Cluster, error) { return c, nil }
	}
}

const clusterChain = `
- hosts: h1
  gather_facts: false
  tasks:
  - name: namespace
    kubectl: {apply: {apiVersion: v1, kind: Namespace, metadata: {name: new}}}
- hosts: h2
  gather_facts: false
  tasks:
  - name: object
    kubectl: {apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: new}, data: {a: "1"}}}
  - name: patch
    kubectl: {patch: cm/c, namespace: new, merge: {data: {a: "1", b: "2"}}}
  - name: as it is
    kubectl: {patch: configmap/c, namespace: new, merge: {data: {b: "2"}}}
  - name: read
    kubectl: {get: configmap/c, namespace: new}
    register: read
  - name: says
    assert:
      that: read.found and read['items'][0].data.b == '2'
`

// What one host's task makes in the cluster, the next one's is planned on.
func TestAPlanSeesTheClusterOfItsEarlierTasks(t *testing.T) {
	want := []string{"namespace h1 change", "object h2 change", "patch h2 change", "as it is h2 ok", "read h2 ok", "says h2 ok"}
	cluster := &smallCluster{objects: map[string]modules.Object{}}
	plan := carry(t, clusterChain, planning, withCluster(cluster))
	require.NoError(t, plan.err)
	assert.Equal(t, want, plan.lines())
	assert.Empty(t, cluster.objects, "a plan changes nothing")

	apply := carry(t, clusterChain, withCluster(cluster))
	require.NoError(t, apply.err)
	for i := range want {
		want[i] = strings.Replace(want[i], "change", "changed", 1)
	}
	assert.Equal(t, want, apply.lines())
	assert.Equal(t, map[string]any{"a": "1", "b": "2"}, cluster.objects["ConfigMap/new/c"]["data"])

	again := carry(t, clusterChain, planning, withCluster(cluster))
	require.NoError(t, again.err)
	for _, line := range again.lines() {
		assert.Regexp(t, " ok$", line)
	}
}

func TestAPlanDoesNotGuessAtPodsToCome(t *testing.T) {
	cluster := &smallCluster{objects: map[string]modules.Object{}}
	plan := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - name: namespace
    kubectl: {apply: {apiVersion: v1, kind: Namespace, metadata: {name: new}}}
  - name: pods
    kubectl: {wait: pods, namespace: new, selector: app=x}
    register: pods
  - name: after
    command: "true"
    when: pods.count > 0
`, planning, withCluster(cluster))
	require.NoError(t, plan.err)
	assert.Equal(t, []string{"namespace h1 change", "pods h1 known after apply", "after h1 known after apply"}, plan.lines())
	assert.Contains(t, plan.messages()["pods h1"], `after the task "namespace"`)
}

func TestWhatCannotBeForeseenIsUnknown(t *testing.T) {
	vars := map[string]any{"found": true, "items": modules.Unforeseen{Reason: "why"}, "list": []any{map[string]any{"uid": modules.Unforeseen{Reason: "who"}}}}
	v := registered(vars).(*jinja.Dict)
	for key, want := range map[string]jinja.Value{"found": jinja.FromGo(true), "items": jinja.Unknown{Reason: "why"}} {
		got, ok := v.Get(key)
		require.True(t, ok, key)
		assert.Equal(t, want, got)
	}
	list, _ := v.Get("list")
	deep, _ := list.(*jinja.List).Items[0].(*jinja.Dict).Get("uid")
	assert.Equal(t, jinja.Unknown{Reason: "who"}, deep)
	assert.IsType(t, modules.Unforeseen{}, vars["items"], "it is left alone")
}

func TestPredictionsOfTheClusterAreShared(t *testing.T) {
	var p predictions
	p.add("h1", "make", leaving(modules.Effect{Thing: modules.AnObject, Name: "Namespace//x"}, modules.Effect{Thing: modules.AUser, Name: "u"}))
	for host, alsoUser := range map[string]bool{"h1": true, "h2": false} {
		e, ok := p.of(host)(modules.AnObject, "Namespace//x")
		assert.True(t, ok)
		assert.Equal(t, "make", e.By)
		_, ok = p.of(host)(modules.AUser, "u")
		assert.Equal(t, alsoUser, ok)
	}
}
