package kube

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"runbook/modules"
)

func TestMain(m *testing.M) {
	// Client-go's heartbeat of a cancelled exec ends at its next ping.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"))
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	_, err := open(t, "http://"+freePort(t), "").discover(t.Context())
	require.Error(t, err)
	for _, part := range []string{"the Kubernetes API at http://127.0.0.1:", `kubeconfig of the test (context "lab")`, "connection refused"} {
		assert.ErrorContains(t, err, part)
	}
	f, _ := newFake(t, func(f *fakeAPI) {
		f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
			return true
		}
	})
	_, err = Open(t.Context(), Options{Config: kubeconfig(f.url, "wrong"), Origin: "x"})
	assert.ErrorContains(t, err, "does not accept the credentials of kubeconfig x")
	assert.NotContains(t, err.Error(), "wrong", "no credential in an error")

	f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "<html>")
		return true
	}
	_, err = Open(t.Context(), Options{Config: kubeconfig(f.url, "")})
	assert.ErrorContains(t, err, "does not answer as a Kubernetes API")

	f.hook = nil
	c, err := Open(t.Context(), Options{Config: kubeconfig(f.url, "")})
	require.NoError(t, err)
	c.Close()
}

// failing answers a request as often as n says with 503, and then as usual.
func failing(path string, n int32) (func(http.ResponseWriter, *http.Request) bool, *atomic.Int32) {
	var tries atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path || tries.Add(1) > n {
			return false
		}
		refuse(w, 503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down")
		return true
	}, &tries
}

func TestReadsBridgeARestart(t *testing.T) {
	const path = "/api/v1/namespaces/default/configmaps/x"
	hook, tries := failing(path, 2)
	f, c := newFake(t, func(f *fakeAPI) { f.hook = hook })
	f.put(configMap("x", nil))
	_, err := c.Get(t.Context(), modules.Ref{Kind: "cm", Name: "x"})
	require.NoError(t, err)
	assert.EqualValues(t, 3, tries.Load())

	f.hook, tries = failing(path, 100)
	_, err = c.Get(t.Context(), modules.Ref{Kind: "cm", Name: "x"})
	assert.ErrorContains(t, err, "shutting down")
	assert.EqualValues(t, 1+len(c.pace.retries), tries.Load(), "it gives up")

	// A write may have been done although no answer came: it is not sent twice.
	f.hook, tries = failing(path, 100)
	_, err = c.Take(t.Context(), modules.APIStep{Verb: modules.Patch, Ref: modules.Ref{Kind: "cm", Name: "x"}, Body: modules.Object{}})
	assert.ErrorContains(t, err, "shutting down")
	assert.EqualValues(t, 1, tries.Load())
}

func TestListsComeInPages(t *testing.T) {
	f, c := newFake(t, nil)
	for i := range 1234 {
		f.put(configMap(fmt.Sprintf("c%04d", i), nil))
	}
	found, err := c.List(t.Context(), modules.Ref{Kind: "cm"})
	require.NoError(t, err)
	assert.Len(t, found, 1234)
	assert.Equal(t, 3, f.count("GET /api/v1/namespaces/default/configmaps"))

	// The second page has expired: the list is taken whole.
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("continue") == "" {
			return false
		}
		refuse(w, 410, metav1.StatusReasonExpired, "the provided continue parameter is too old")
		return true
	}
	found, err = c.List(t.Context(), modules.Ref{Kind: "cm"})
	require.NoError(t, err)
	assert.Len(t, found, 1234)
}

func TestForbiddenKeepsTheServersWords(t *testing.T) {
	_, c := newFake(t, func(f *fakeAPI) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "pods") {
				return false
			}
			refuse(w, 403, metav1.StatusReasonForbidden, `pods is forbidden: User "x" cannot list resource "pods"`)
			return true
		}
	})
	_, err := c.List(t.Context(), modules.Ref{Kind: "pods", Namespace: "kube-system"})
	assert.EqualError(t, err, `list pods in namespace kube-system: pods is forbidden: User "x" cannot list resource "pods"`)
}

// Some servers repeat the whole object when they refuse a field of it.
func TestRefusedFieldWithoutTheObject(t *testing.T) {
	_, c := newFake(t, func(f *fakeAPI) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			refuse(w, 422, metav1.StatusReasonInvalid, ` "" is invalid: patch: Invalid value: "{\"data\":\"canary\"}": strict decoding error: unknown field "spec.intervall"`)
			return true
		}
	})
	_, err := c.Preview(t.Context(), modules.APIStep{Verb: modules.Patch, Ref: modules.Ref{Kind: "cm", Name: "x"}})
	var field *modules.FieldError
	require.ErrorAs(t, err, &field)
	assert.Equal(t, `patch configmap/x in namespace default: strict decoding error: unknown field "spec.intervall"`, field.Message)
}

// 410 comes as an event inside the stream of a 200. Nothing that changed in
// between may be missed: the client lists again, and ticks.
func TestWatchStartsAnewAfterGone(t *testing.T) {
	gone := make(chan struct{})
	var once atomic.Bool
	f, c := newFake(t, func(f *fakeAPI) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("watch") != "true" || !once.CompareAndSwap(false, true) {
				return false
			}
			<-gone
			fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`)
			return true
		}
	})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ticks, err := c.Watch(ctx, []modules.Ref{{Kind: "cm", Name: "x"}})
	require.NoError(t, err)
	wait(t, ctx, ticks)
	f.put(configMap("x", nil)) // nobody hears this
	close(gone)
	wait(t, ctx, ticks)
	f.put(configMap("x", map[string]any{"data": map[string]any{"a": "b"}}))
	wait(t, ctx, ticks)
	stop()
	for range ticks {
	}
}

// A stream that ends at once, again and again, must neither lose changes nor
// stop; a watch that is forbidden becomes a poll.
func TestWatchInAdversity(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"streams end at once": func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "")
			return true
		},
		"forbidden": func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 403, metav1.StatusReasonForbidden, "no")
			return true
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprintln(w, "{]")
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			var watches atomic.Int32
			enough := make(chan struct{})
			_, c := newFake(t, func(f *fakeAPI) {
				f.hook = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Query().Get("watch") != "true" {
						return false
					}
					n := watches.Add(1)
					if n == 5 {
						close(enough)
					}
					return n <= 5 && answer(w, r)
				}
			})
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			ticks, err := c.Watch(ctx, []modules.Ref{{Kind: "cm"}})
			require.NoError(t, err)
			wait(t, ctx, ticks)
			<-enough
			create(t, ctx, c, configMap("new", nil))
			wait(t, ctx, ticks)
			stop()
			for range ticks {
			}
		})
	}
}

func TestLogs(t *testing.T) {
	var asked string
	long := false
	_, c := newFake(t, func(f *fakeAPI) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/log") {
				return false
			}
			asked = r.URL.Path + "?" + r.URL.RawQuery
			fmt.Fprint(w, "one\x1b[31m\ntwo\n")
			if long {
				fmt.Fprint(w, strings.Repeat("x", maxText))
			}
			return true
		}
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	text, err := c.Logs(t.Context(), modules.LogRequest{Namespace: "ns", Pod: "p", Container: "c", Since: at, Previous: true})
	require.NoError(t, err)
	assert.Equal(t, "one\x1b[31m\ntwo\n", text, "what a target says is data")
	assert.Equal(t, "/api/v1/namespaces/ns/pods/p/log?container=c&previous=true&sinceTime=2026-01-02T02%3A04%3A05Z", asked)

	long = true
	_, err = c.Logs(t.Context(), modules.LogRequest{Pod: "p"})
	assert.ErrorContains(t, err, "longer than 16 MiB", "half a log would hide its other half")
}

func TestEveryConnectionIsDialled(t *testing.T) {
	f, _ := newFake(t, nil)
	var dialled atomic.Int32
	c, err := newClient(Options{Config: kubeconfig("http://api.invalid:6443", ""), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled.Add(1)
		assert.Equal(t, "api.invalid:6443", addr)
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(f.url, "http://"))
	}})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.List(t.Context(), modules.Ref{Kind: "cm"})
	require.NoError(t, err)
	before := dialled.Load()
	assert.Positive(t, before)

	_, err = c.Query(t.Context(), modules.PodCommand{Pod: "p", Argv: []string{"true"}})
	assert.ErrorContains(t, err, "exec in pod default/p")
	assert.Greater(t, dialled.Load(), before, "exec has a connection of its own")
}
