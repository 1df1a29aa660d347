package modules

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newHTTPCheck(url string) *httpCheck {
	def, _ := Lookup("http_check")
	h := def.New().(*httpCheck)
	h.URL = url
	return h
}

type lostHost struct{ error }

func (lostHost) Unreachable() bool { return true }

// at is where nobody answers but the fake.
const at = "https://web.example/health"

var httpCases = map[string]struct {
	change   func(*httpCheck)
	response Response
	err      error
	have     string // of the diff
	want     string
	fails    string
}{
	"as asked":           {response: Response{Status: 200}},
	"another code":       {response: Response{Status: 503}, have: "503 Service Unavailable", want: "200"},
	"a code of no name":  {response: Response{Status: 299}, have: "299", want: "200"},
	"one of the codes":   {change: func(h *httpCheck) { h.Status = []int{200, 204} }, response: Response{Status: 204}},
	"none of the codes":  {change: func(h *httpCheck) { h.Status = []int{200, 204} }, response: Response{Status: 301}, have: "301 Moved Permanently", want: "200 or 204"},
	"the body is right":  {change: func(h *httpCheck) { h.Contains = "ok" }, response: Response{Status: 200, Body: "all ok"}},
	"the body is wrong":  {change: func(h *httpCheck) { h.Contains = "ok" }, response: Response{Status: 200, Body: "no"}, have: `200 OK, body lacks "ok"`, want: `200, body with "ok"`},
	"nobody listens":     {err: errors.New("connect: connection refused"), have: "connect: connection refused", want: "200"},
	"the host is lost":   {change: func(h *httpCheck) { h.From = "host" }, err: lostHost{errors.New("no route")}, fails: "no route"},
	"not a URL":          {change: func(h *httpCheck) { h.URL = "web.example" }, fails: `url: "web.example" is not`},
	"a password":         {change: func(h *httpCheck) { h.URL = "https://a:b@web.example/" }, fails: "password"},
	"from nowhere":       {change: func(h *httpCheck) { h.From = "moon" }, fails: "found moon"},
	"from all pods":      {change: func(h *httpCheck) { h.From = map[string]any{"pod": map[string]any{}} }, fails: "needs a selector"},
	"an unknown word":    {change: func(h *httpCheck) { h.From = map[string]any{"pod": map[string]any{"selektor": "x"}} }, fails: `no argument "selektor"`},
	"no code":            {change: func(h *httpCheck) { h.Status = nil }, fails: "status: at least one"},
	"never":              {change: func(h *httpCheck) { h.Consecutive = 0 }, fails: "consecutive"},
	"a header too many":  {change: func(h *httpCheck) { h.Headers = map[string]string{"A": "b\r\nC: d"} }, fails: "headers"},
	"a strange method":   {change: func(h *httpCheck) { h.Method = "get it" }, fails: "method"},
	"fresh":              {change: beFresh, response: Response{Status: 200, Header: map[string]string{"Age": "0", "X-Cache": "MISS from proxy"}}},
	"as old as it may":   {response: Response{Status: 200, Header: map[string]string{"Age": "60", "X-Cache": "HIT"}}},
	"out of a cache":     {change: beFresh, response: Response{Status: 200, Header: map[string]string{"Age": "60"}}, have: "200 OK out of a cache (Age: 60)", want: "200, from the origin"},
	"a cache says so":    {change: beFresh, response: Response{Status: 200, Header: map[string]string{"X-Cache": "Hit from cloudfront"}}, have: "200 OK out of a cache (X-Cache: Hit from cloudfront)", want: "200, from the origin"},
	"a cache of a cache": {change: beFresh, response: Response{Status: 200, Header: map[string]string{"X-Cache": "MISS, TCP_HIT"}}, have: "200 OK out of a cache (X-Cache: MISS, TCP_HIT)", want: "200, from the origin"},
	"by the standard":    {change: beFresh, response: Response{Status: 200, Header: map[string]string{"Cache-Status": "edge; hit"}}, have: "200 OK out of a cache (Cache-Status: edge; hit)", want: "200, from the origin"},
	"it only looks so":   {change: beFresh, response: Response{Status: 200, Header: map[string]string{"X-Cache": "shitake"}}},
	"a strange age":      {change: beFresh, response: Response{Status: 200, Header: map[string]string{"Age": "old"}}, have: "200 OK out of a cache (Age: old)", want: "200, from the origin"},
	"fresh in a pod":     {change: func(h *httpCheck) { beFresh(h); h.From = map[string]any{"pod": map[string]any{"selector": "a=b"}} }, fails: "fresh: the headers"},
	"a negative timeout": {change: func(h *httpCheck) { h.Timeout = -1 }, fails: "timeout"},
}

func beFresh(h *httpCheck) { h.Fresh = true }

func TestHTTPCheck(t *testing.T) {
	for name, c := range httpCases {
		t.Run(name, func(t *testing.T) {
			h := newHTTPCheck(at)
			if c.change != nil {
				c.change(h)
			}
			target := &fake{responses: map[string]Response{at: c.response}}
			if c.err != nil {
				target.errs = map[string]error{at: c.err}
			}
			err := h.Validate()
			var change Change
			if err == nil {
				change, err = h.Check(t.Context(), target)
			}
			if c.fails != "" {
				assert.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			assert.Empty(t, change.Steps)
			assert.Equal(t, Wait{Timeout: 5 * time.Minute, Interval: 2 * time.Second, Consecutive: 1}, change.Wait)
			if c.have == "" {
				assert.Empty(t, change.Diffs)
				return
			}
			assert.Equal(t, []Diff{{What: at + " from controller", Have: c.have, Want: c.want}}, change.Diffs)
		})
	}
}

func TestHTTPCheckEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newHTTPCheck(at).Check(ctx, &fake{errs: map[string]error{at: context.Canceled}})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestHTTPCheckTellsOfTLSAndCaches(t *testing.T) {
	change := check(t, newHTTPCheck(at), &fake{responses: map[string]Response{at: {Status: 200, TLS: "not verified", Header: map[string]string{"Age": "7"}}}})
	assert.Equal(t, []any{map[string]any{"from": "controller", "status": 200, "ok": true, "error": "", "tls": "not verified", "cache": "Age: 7"}}, change.Vars["results"])
}

// podCluster has these pods; a command in a container runs here, with a PATH
// that has one client only.
type podCluster struct {
	Cluster
	pods []Object
	path string
	fail error
}

func (c podCluster) List(_ context.Context, ref Ref) ([]Object, error) {
	if ref.Kind != "pods" || ref.Selector != "app=web" || ref.Namespace != "shop" {
		return nil, errors.New("unexpected list")
	}
	return c.pods, nil
}

func (c podCluster) Resolve(_ context.Context, ref Ref) (Ref, error) {
	ref.Kind = map[string]string{"pods": "Pod", "namespace": "Namespace"}[ref.Kind]
	return ref, nil
}

func (c podCluster) Get(_ context.Context, ref Ref) (Object, error) {
	if ref.Kind != "namespace" || ref.Name != "shop" {
		return nil, errors.New("unexpected get")
	}
	return nil, nil
}

func (c podCluster) Query(ctx context.Context, in PodCommand) (Output, error) {
	if c.fail != nil {
		return Output{}, c.fail
	}
	command := exec.CommandContext(ctx, in.Argv[0], in.Argv[1:]...)
	command.Env = []string{"PATH=" + c.path}
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader([]byte(in.Stdin)), &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Output{}, err
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: command.ProcessState.ExitCode()}, nil
}

func webPod(name, phase string) Object {
	return Object{"metadata": map[string]any{"namespace": "shop", "name": name}, "status": map[string]any{"phase": phase}}
}

// clients are folders with one HTTP client each, as containers have them.
func clients(t *testing.T) map[string]string {
	t.Helper()
	folders := map[string]string{"nothing": t.TempDir()}
	for name, link := range map[string]string{"curl": "curl", "wget": "wget", "busybox": "wget"} {
		program, err := exec.LookPath(name)
		if err != nil {
			require.Empty(t, os.Getenv("CI"), "%s must be installed", name)
			t.Logf("%s is not installed: not checked with it", name)
			continue
		}
		folders[name] = t.TempDir()
		require.NoError(t, os.Symlink(program, filepath.Join(folders[name], link)))
	}
	for _, tool := range []string{"cat", "timeout", "true"} {
		program, err := exec.LookPath(tool)
		require.NoError(t, err)
		for _, folder := range folders {
			require.NoError(t, os.Symlink(program, filepath.Join(folder, tool)))
		}
	}
	return folders
}

func TestHTTPCheckFromPods(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("all ok\n")) })
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "HTTP/1.1 200 OK", http.StatusServiceUnavailable)
	})
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/key", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != `se"cret` {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	closed := httptest.NewServer(mux)
	closed.Close()

	for client, path := range clients(t) {
		for _, c := range []struct {
			url, contains, have string
			follow              bool
		}{
			{url: server.URL + "/ok", contains: "all ok"},
			{url: server.URL + "/ok", contains: "nothing", have: `200 OK, body lacks "nothing"`},
			{url: server.URL + "/down", have: "503 Service Unavailable"},
			{url: server.URL + "/moved", have: "302 Found"},
			{url: server.URL + "/moved", follow: true, contains: "all ok"},
			{url: closed.URL, have: "connect"},
		} {
			t.Run(client+" "+c.have, func(t *testing.T) {
				h := newHTTPCheck(c.url)
				h.Contains, h.FollowRedirects = c.contains, c.follow
				h.From = map[string]any{"pod": map[string]any{"namespace": "shop", "selector": "app=web"}}
				change, err := h.Check(t.Context(), &fake{cluster: podCluster{pods: []Object{webPod("a", "Running")}, path: path}})
				if client == "nothing" {
					assert.ErrorContains(t, err, "pod shop/a: the container has neither curl nor wget")
					return
				}
				require.NoError(t, err)
				if c.have == "" {
					assert.Empty(t, change.Diffs)
					return
				}
				require.Len(t, change.Diffs, 1)
				assert.Equal(t, c.url+" from pod shop/a", change.Diffs[0].What)
				assert.Contains(t, strings.ToLower(change.Diffs[0].Have), strings.ToLower(c.have))
			})
		}
	}
	t.Run("headers", func(t *testing.T) {
		h := newHTTPCheck(server.URL + "/key")
		h.Headers = map[string]string{"X-Key": `se"cret`}
		h.From = map[string]any{"pod": map[string]any{"namespace": "shop", "selector": "app=web"}}
		folders := clients(t)
		assert.Empty(t, check(t, h, &fake{cluster: podCluster{pods: []Object{webPod("a", "Running")}, path: folders["curl"]}}).Diffs)
		assert.NotContains(t, h.podWords(), `se"cret`)
		_, err := h.Check(t.Context(), &fake{cluster: podCluster{pods: []Object{webPod("a", "Running")}, path: folders["busybox"]}})
		assert.ErrorContains(t, err, "shows headers")
	})
}

func TestHTTPCheckWhichPods(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	path := clients(t)["curl"]
	gone := webPod("b", "Running")
	gone["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-01T00:00:00Z"
	for name, c := range map[string]struct {
		pods   []Object
		status int
		all    bool
		fail   error
		have   []string
		fails  string
	}{
		"none":                    {fails: `the selector "app=web" finds no pod`},
		"none that counts":        {pods: []Object{gone, webPod("c", "Succeeded")}, fails: "finds no pod"},
		"all right":               {pods: []Object{webPod("a", "Running"), gone}, status: 404, all: true},
		"one does not run":        {pods: []Object{webPod("a", "Running"), webPod("b", "Pending")}, status: 404, all: true, have: []string{"the pod is Pending"}},
		"one is enough":           {pods: []Object{webPod("a", "Running"), webPod("b", "Pending")}, status: 404},
		"none is not enough":      {pods: []Object{webPod("a", "Running"), webPod("b", "Pending")}, status: 200, have: []string{"404 Not Found", "the pod is Pending"}},
		"a command cannot be run": {pods: []Object{webPod("a", "Running")}, fail: errors.New("no container"), all: true, have: []string{"no command can be run in it: no container"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHTTPCheck(server.URL)
			h.Status = []int{c.status}
			h.From = map[string]any{"pod": map[string]any{"namespace": "shop", "selector": "app=web", "all": c.all}}
			change, err := h.Check(t.Context(), &fake{cluster: podCluster{pods: c.pods, path: path, fail: c.fail}})
			if c.fails != "" {
				assert.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			var have []string
			for _, d := range change.Diffs {
				have = append(have, d.Have)
			}
			assert.Equal(t, c.have, have)
		})
	}
}

// Which pods will answer is not known before the plan is carried out.
func TestHTTPCheckOfPodsToCome(t *testing.T) {
	pod := webPod("a", "Running")
	pod["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web", "controller": true}}
	for name, c := range map[string]struct {
		pods      []Object
		predicted string
		reason    string
	}{
		"of a workload that changes": {[]Object{pod}, "DaemonSet.apps/shop/web", `the pods of daemonset shop/web, which the task "x" changes`},
		"of a namespace to come":     {nil, "Namespace//shop", `what pods with app=web in namespace shop there will be, after the task "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHTTPCheck("http://localhost:1")
			h.From = map[string]any{"pod": map[string]any{"namespace": "shop", "selector": "app=web"}}
			target := &fake{cluster: podCluster{pods: c.pods}, predicted: []Effect{{Thing: AnObject, Name: c.predicted, State: Object{}, By: "x"}}}
			_, err := h.Check(t.Context(), target)
			assert.Equal(t, Unforeseen{Reason: c.reason}, err)
		})
	}
}
