package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"runbook/modules"
)

// TestConfirmed is what must hold against any API server. It runs against the
// fake and against the kube-apiserver that RUNBOOK_APISERVER names, which only
// CI must have.
func TestConfirmed(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		_, c := newFake(t, nil)
		confirm(t, c)
	})
	t.Run("old fake", func(t *testing.T) {
		_, c := newFake(t, func(f *fakeAPI) { f.old = true })
		confirm(t, c)
	})
	binary := os.Getenv("RUNBOOK_APISERVER")
	if binary == "" {
		require.Empty(t, os.Getenv("CI"), "RUNBOOK_APISERVER names no kube-apiserver; make unit has one")
		return
	}
	t.Run("real", func(t *testing.T) {
		c := realAPI(t, binary)
		confirm(t, c)
		maintain(t, c)
	})
}

func confirm(t *testing.T, c *Client) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	t.Run("kinds", func(t *testing.T) { confirmKinds(t, ctx, c) })
	t.Run("read and list", func(t *testing.T) { confirmRead(t, ctx, c) })
	t.Run("strict fields", func(t *testing.T) { confirmStrict(t, ctx, c) })
	t.Run("apply", func(t *testing.T) { confirmApply(t, ctx, c) })
	t.Run("delete", func(t *testing.T) { confirmDelete(t, ctx, c) })
	t.Run("run", func(t *testing.T) { confirmRun(t, ctx, c) })
	t.Run("watch", func(t *testing.T) { confirmWatch(t, ctx, c) })
}

func take(t *testing.T, ctx context.Context, c *Client, s modules.Step) string {
	t.Helper()
	out, err := c.Take(ctx, s)
	require.NoError(t, err)
	return out.Stdout
}

func create(t *testing.T, ctx context.Context, c *Client, object modules.Object) {
	t.Helper()
	name := object["metadata"].(map[string]any)["name"].(string)
	take(t, ctx, c, modules.APIStep{Verb: modules.Create, Ref: modules.Ref{Kind: "cm", Name: name}, Body: object})
}

func confirmKinds(t *testing.T, ctx context.Context, c *Client) {
	for word, want := range map[string]string{
		"po": "pods", "pod": "pods", "Pod": "pods", "PODS": "pods", "cm": "configmaps", "ds": "daemonsets",
		"deploy": "deployments", "Deployment.apps": "deployments", "deployments.v1.apps": "deployments", "ns": "namespaces",
	} {
		k, err := c.resolve(ctx, modules.Ref{Kind: word})
		require.NoError(t, err, word)
		assert.Equal(t, want, k.plural, word)
		assert.Equal(t, want != "namespaces", k.namespaced, word)
	}
	for ref, want := range map[modules.Ref]modules.Ref{
		{Kind: "deploy", Name: "x"}:                          {Kind: "Deployment.apps", APIVersion: "apps/v1", Namespace: "default", Name: "x"},
		{Kind: "Deployment.apps", Namespace: "n", Name: "x"}: {Kind: "Deployment.apps", APIVersion: "apps/v1", Namespace: "n", Name: "x"},
		{Kind: "pods", APIVersion: "v1", Namespace: "*"}:     {Kind: "Pod", APIVersion: "v1", Namespace: "*"},
		{Kind: "ns", Namespace: "n", Name: "x"}:              {Kind: "Namespace", APIVersion: "v1", Name: "x"},
	} {
		own, err := c.Resolve(ctx, ref)
		require.NoError(t, err)
		assert.Equal(t, want, own)
	}
	for _, unknown := range []modules.Ref{
		{Kind: "felixconfigs"}, {Kind: "pods.apps"}, {Kind: "pod", APIVersion: "v2"}, {Kind: ""}, {Kind: "pods/log"},
	} {
		_, err := c.resolve(ctx, unknown)
		assert.ErrorContains(t, err, fmt.Sprintf("serves no kind %q", unknown.Kind))
		var typed *modules.KindError
		assert.ErrorAs(t, err, &typed)
	}
	_, err := c.resolve(ctx, modules.Ref{Kind: "Deployment.extensions"})
	assert.ErrorContains(t, err, `it serves "deployment" of apps/v1`)
}

func confirmRead(t *testing.T, ctx context.Context, c *Client) {
	label := func(value string) map[string]any {
		return map[string]any{"labels": map[string]any{"case": value}, "namespace": "default"}
	}
	for _, name := range []string{"read-b", "read-a", "read-c"} {
		object := configMap(name, map[string]any{"metadata": label("read"), "data": map[string]any{"k": "v"}})
		object["metadata"].(map[string]any)["name"] = name
		create(t, ctx, c, object)
	}
	one, err := c.Get(ctx, modules.Ref{Kind: "configmap", Name: "read-a"})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"k": "v"}, one["data"])

	none, err := c.Get(ctx, modules.Ref{Kind: "configmap", Name: "nobody"})
	require.NoError(t, err)
	assert.Nil(t, none)

	for _, namespace := range []string{"", "default", "*"} {
		found, err := c.List(ctx, modules.Ref{Kind: "cm", Namespace: namespace, Selector: "case=read"})
		require.NoError(t, err)
		assert.Equal(t, []string{"read-a", "read-b", "read-c"}, names(found), "namespace %q", namespace)
	}
	empty, err := c.List(ctx, modules.Ref{Kind: "cm", Selector: "case=nothing"})
	require.NoError(t, err)
	assert.Empty(t, empty)

	_, err = c.Get(ctx, modules.Ref{Kind: "cm", Name: "../secrets/x"})
	assert.ErrorContains(t, err, "invalid resource name")
	_, err = c.Get(ctx, modules.Ref{Kind: "cm", Name: "read-a", Namespace: "*"})
	assert.ErrorContains(t, err, "is in one namespace")
}

func names(objects []modules.Object) []string {
	var list []string
	for _, o := range objects {
		list = append(list, o["metadata"].(map[string]any)["name"].(string))
	}
	return list
}

// A typing mistake in a field must never be pruned in silence.
func confirmStrict(t *testing.T, ctx context.Context, c *Client) {
	create(t, ctx, c, configMap("strict", nil))
	ref := modules.Ref{Kind: "cm", Name: "strict"}
	wrong := modules.Object{"datta": map[string]any{"k": "v"}}
	for _, s := range []modules.APIStep{
		{Verb: modules.Patch, Ref: ref, Body: wrong},
		{Verb: modules.Patch, Ref: ref, Body: wrong, PatchType: "strategic"},
		{Verb: modules.Create, Ref: modules.Ref{Kind: "cm", Name: "strict2"}, Body: configMap("strict2", wrong)},
		{Verb: modules.Apply, Ref: ref, Body: configMap("strict", wrong)},
	} {
		t.Run(string(s.Verb)+s.PatchType, func(t *testing.T) {
			var field *modules.FieldError
			_, err := c.Preview(ctx, s)
			require.ErrorAs(t, err, &field)
			assert.Contains(t, field.Message, "datta")
			_, err = c.Take(ctx, s)
			require.ErrorAs(t, err, &field)
			assert.Contains(t, field.Message, "datta")
		})
	}
	_, err := c.Take(ctx, modules.APIStep{Verb: modules.Patch, Ref: modules.Ref{Kind: "cm", Name: "nobody"}, Body: modules.Object{}})
	assert.ErrorContains(t, err, "not found")
	assert.ErrorContains(t, err, "patch configmap/nobody in namespace default")
}

func confirmApply(t *testing.T, ctx context.Context, c *Client) {
	other := &unstructured.Unstructured{Object: configMap("apply", map[string]any{"data": map[string]any{"a": "theirs"}})}
	p, err := c.place(ctx, modules.Ref{Kind: "cm"})
	require.NoError(t, err)
	_, err = p.objects.Create(ctx, other, metav1.CreateOptions{FieldManager: "kubectl"})
	require.NoError(t, err)

	ref := modules.Ref{Kind: "ConfigMap", APIVersion: "v1", Name: "apply"}
	mine := modules.APIStep{Verb: modules.Apply, Ref: ref, Body: configMap("apply", map[string]any{"data": map[string]any{"a": "mine", "b": "new"}})}
	_, err = c.Take(ctx, mine)
	assert.ErrorContains(t, err, `others own .data.a ("kubectl" using v1)`)

	mine.Force = true
	preview, err := c.Preview(ctx, mine)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": "mine", "b": "new"}, preview["data"])
	before, err := c.Get(ctx, ref)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": "theirs"}, before["data"], "a preview changes nothing")

	assert.Equal(t, "configmap/apply applied\n", take(t, ctx, c, mine))
	after, err := c.Get(ctx, ref)
	require.NoError(t, err)
	assert.Equal(t, preview["data"], after["data"], "the preview told the truth")

	mine.Force = false
	take(t, ctx, c, mine)
	again, err := c.Get(ctx, ref)
	require.NoError(t, err)
	assert.Equal(t, after["data"], again["data"])

	// What an earlier patch of ours has set is ours to apply.
	take(t, ctx, c, modules.APIStep{Verb: modules.Patch, Ref: ref, Body: modules.Object{"data": map[string]any{"b": "patched"}}})
	assert.Equal(t, "configmap/apply applied\n", take(t, ctx, c, mine))
}

func confirmDelete(t *testing.T, ctx context.Context, c *Client) {
	ref := modules.Ref{Kind: "cm", Name: "delete"}
	uid := func() string {
		o, err := c.Get(ctx, ref)
		require.NoError(t, err)
		return o["metadata"].(map[string]any)["uid"].(string)
	}
	create(t, ctx, c, configMap("delete", nil))
	first := uid()
	step := modules.APIStep{Verb: modules.Delete, Ref: ref, UID: first}
	assert.Equal(t, "configmap/delete deleted\n", take(t, ctx, c, step))
	assert.Equal(t, "configmap/delete was gone already\n", take(t, ctx, c, step))

	create(t, ctx, c, configMap("delete", nil))
	assert.Equal(t, "configmap/delete was replaced already\n", take(t, ctx, c, step))
	assert.NotEqual(t, first, uid(), "the replacement lives")

	_, err := c.Take(ctx, modules.APIStep{Verb: modules.Delete, Ref: ref})
	assert.ErrorContains(t, err, "does not say the UID")
	preview, err := c.Preview(ctx, step)
	assert.NoError(t, err)
	assert.Nil(t, preview)
}

func confirmWatch(t *testing.T, ctx context.Context, c *Client) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ticks, err := c.Watch(ctx, []modules.Ref{{Kind: "cm", Name: "watched"}})
	require.NoError(t, err)
	wait(t, ctx, ticks)
	create(t, ctx, c, configMap("watched", nil))
	wait(t, ctx, ticks)
	take(t, ctx, c, modules.APIStep{Verb: modules.Patch, Ref: modules.Ref{Kind: "cm", Name: "watched"},
		Body: modules.Object{"data": map[string]any{"n": "1"}}})
	wait(t, ctx, ticks)

	stop()
	for range ticks { // ends when the channel is closed
	}
	_, err = c.Watch(t.Context(), []modules.Ref{{Kind: "nonsense"}})
	assert.ErrorContains(t, err, "serves no kind")
}

// wait takes one tick.
func wait(t *testing.T, ctx context.Context, ticks <-chan struct{}) {
	t.Helper()
	select {
	case _, open := <-ticks:
		require.True(t, open || errors.Is(ctx.Err(), context.Canceled), "the channel is closed")
	case <-ctx.Done():
		require.FailNow(t, "no tick")
	}
}
