package modules

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	sourceURL  = "https://x.example/m.yaml"
	sourceText = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\ndata: {k: v}\n"
	sourceLine = "kubectl -n ns apply --server-side --field-manager=runbook -f " + sourceURL + " # configmap/a"
)

// served is a target whose URL answers, before a cluster that lacks the object.
func served(status int, body string) *fake {
	return &fake{
		responses: map[string]Response{sourceURL: {Status: status, Body: body}},
		cluster:   &fakeCluster{objects: map[string]string{"configmap/a in namespace ns": ""}, previews: map[string]string{sourceLine: sourceText}},
	}
}

func fromURL() *kubectl { return &kubectl{URL: sourceURL, Digest: digestOf([]byte(sourceText))} }

func TestKubectlApplyFromURL(t *testing.T) {
	target, k := served(http.StatusOK, sourceText), fromURL()
	require.NoError(t, k.Validate())
	c := check(t, k, target)
	assert.Equal(t, []string{sourceLine}, stepLines(c))
	assert.Equal(t, "v", dig[string](c.Steps[0].(APIStep).Body, "data", "k"))

	// The look after the steps needs no answer a second time.
	target.responses[sourceURL] = Response{Status: http.StatusBadGateway}
	target.cluster.(*fakeCluster).objects["configmap/a in namespace ns"] = sourceText
	assert.Empty(t, check(t, k, target).Steps)
	assert.Equal(t, []string{sourceURL}, target.asked)
}

// What is not the manifest that was meant is not even looked at.
func TestKubectlRefusesAnotherManifest(t *testing.T) {
	other := strings.Replace(sourceText, "k: v", "k: evil", 1)
	whole := "# " + strings.Repeat("x", fetchedAtMost)
	large := fromURL()
	large.Digest = digestOf([]byte(whole))
	for name, c := range map[string]struct {
		k      *kubectl
		target *fake
		want   string
	}{
		"other content": {fromURL(), served(http.StatusOK, other), "wanted " + digestOf([]byte(sourceText)) + "; read it before"},
		"an error page": {fromURL(), served(http.StatusNotFound, sourceText), "answers 404 Not Found, wanted 200"},
		"too large":     {large, served(http.StatusOK, whole[:fetchedAtMost]), "larger than 1 MiB"},
		"no answer":     {fromURL(), &fake{errs: map[string]error{sourceURL: assert.AnError}, cluster: &fakeCluster{}}, "give it as src"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.k.Check(t.Context(), c.target)
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, sourceURL)
			assert.Empty(t, c.target.cluster.(*fakeCluster).previewed)
		})
	}
	page := "<html>\n"
	k := &kubectl{URL: sourceURL, Digest: digestOf([]byte(page))}
	_, err := k.Check(t.Context(), served(http.StatusOK, page))
	assert.ErrorContains(t, err, "is not an object", "the right digest of no manifest")
}

func TestKubectlManifestArguments(t *testing.T) {
	digest := digestOf(nil)
	for want, k := range map[string]*kubectl{
		"url takes digest":         {URL: sourceURL},
		"not an http or https URL": {URL: "file:///etc/passwd", Digest: digest},
		"a password does not":      {URL: "https://a:b@x.example/", Digest: digest},
		"64 hexadecimal digits":    {URL: sourceURL, Digest: "sha256:abc"},
		"src and url exclude":      {URL: sourceURL, Digest: digest, Src: Local{Path: "m.yaml"}},
		"apply and url exclude":    {URL: sourceURL, Digest: digest, Apply: "a: b"},
		"digest is for src":        {Apply: "a: b", Digest: digest},
		"no manifest given":        {Diff: true},
		"apply and diff exclude":   {Diff: true, Apply: "a: b"},
		"m.yaml is sha256:":        {Src: Local{Path: "m.yaml", Data: []byte(sourceText)}, Digest: digest},
		`get does not take "url"`:  {Get: "pods", URL: sourceURL},
	} {
		assert.ErrorContains(t, k.Validate(), want)
	}
	assert.NoError(t, (&kubectl{Src: Local{Path: "m.yaml", Data: []byte(sourceText)}, Digest: digestOf([]byte(sourceText))}).Validate())
}

// diff has what apply would do, and does nothing.
func TestKubectlDiff(t *testing.T) {
	k := fromURL()
	k.Diff = true
	target := served(http.StatusOK, sourceText)
	c := check(t, k, target)
	assert.Empty(t, c.Steps)
	assert.Empty(t, c.Diffs)
	assert.Empty(t, c.Effects)
	assert.Equal(t, true, c.Vars["differs"])
	assert.Equal(t, "configmap ns/a", c.Vars["differences"].([]any)[0].(map[string]any)["what"])
	assert.Equal(t, "a", nameOf(c.Vars["objects"].([]any)[0].(Object)))

	target.cluster.(*fakeCluster).objects["configmap/a in namespace ns"] = sourceText
	assert.Equal(t, false, check(t, k, target).Vars["differs"])
}
