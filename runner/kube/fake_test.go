package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"runbook/modules"
)

// fakeAPI is an API server that speaks just enough: discovery, and config maps,
// pods and namespaces in memory. TestConfirmed holds it to the real one.
type fakeAPI struct {
	url      string
	old      bool                                              // no aggregated discovery
	hook     func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	onCreate func(object map[string]any)                       // plays the controllers

	mu      sync.Mutex
	version int
	objects map[string]map[string]any    // by path
	owners  map[string]map[string]string // path -> key of data -> field manager
	changed chan struct{}                // closed and made anew at every change
	history []string                     // "ADDED /api/v1/..." by version-1
	asked   []string                     // "GET /api", in order
}

// newFake serves a fake API and opens a Client of it that does not wait long.
func newFake(t *testing.T, set func(*fakeAPI)) (*fakeAPI, *Client) {
	t.Helper()
	f := &fakeAPI{objects: map[string]map[string]any{}, owners: map[string]map[string]string{}, changed: make(chan struct{})}
	if set != nil {
		set(f)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f, open(t, server.URL, "")
}

func open(t *testing.T, server, token string) *Client {
	t.Helper()
	c, err := newClient(Options{Config: kubeconfig(server, token), Origin: "of the test"})
	require.NoError(t, err)
	c.pace = pace{retries: []time.Duration{1, 1, 1}, rewatch: 1, poll: 1}
	t.Cleanup(c.Close)
	return c
}

func kubeconfig(server, token string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"lab",
		"clusters":[{"name":"lab","cluster":{"server":%q,"insecure-skip-tls-verify":%t}}],
		"users":[{"name":"admin","user":{"token":%q}}],
		"contexts":[{"name":"lab","context":{"cluster":"lab","user":"admin"}}]}`, server, strings.HasPrefix(server, "https"), token)
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if f.hook != nil && f.hook(w, r) {
		return
	}
	if f.discovery(w, r) {
		return
	}
	switch parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") == "true":
		f.watch(w, r)
	case r.Method == http.MethodGet && len(parts)%2 == 1:
		f.list(w, r)
	case r.Method == http.MethodGet:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answer(w, r, f.objects[r.URL.Path])
	case r.Method == http.MethodDelete:
		f.remove(w, r)
	default:
		f.write(w, r)
	}
}

// count is how often a request was made.
func (f *fakeAPI) count(request string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if a == request {
			n++
		}
	}
	return n
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string, causes ...metav1.StatusCause) {
	reply(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(code),
		Reason: reason, Message: message, Details: &metav1.StatusDetails{Causes: causes},
	})
}

func (f *fakeAPI) answer(w http.ResponseWriter, r *http.Request, object map[string]any) {
	if object == nil {
		refuse(w, 404, metav1.StatusReasonNotFound, fmt.Sprintf("%s not found", r.URL.Path))
		return
	}
	reply(w, 200, object)
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var items []any
	for _, path := range slices.Sorted(maps.Keys(f.objects)) {
		if selects(r, path, f.objects[path]) {
			items = append(items, f.objects[path])
		}
	}
	meta := map[string]any{"resourceVersion": strconv.Itoa(f.version)}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	items = items[from:]
	if limit > 0 && limit < len(items) {
		items = items[:limit]
		meta["continue"] = strconv.Itoa(from + limit)
	}
	reply(w, 200, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": meta, "items": items})
}

// selects tells whether the collection and the selectors of a request have the object.
func selects(r *http.Request, path string, object map[string]any) bool {
	meta := object["metadata"].(map[string]any)
	collection, name := path[:strings.LastIndex(path, "/")], meta["name"].(string)
	all := strings.Replace(collection, fmt.Sprintf("/namespaces/%v", meta["namespace"]), "", 1)
	if r.URL.Path != collection && r.URL.Path != all {
		return false
	}
	if field := r.URL.Query().Get("fieldSelector"); field != "" && field != "metadata.name="+name {
		return false
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	set := labels.Set{}
	if found, ok := meta["labels"].(map[string]any); ok {
		for key, value := range found {
			set[key] = value.(string)
		}
	}
	return err == nil && selector.Matches(set)
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	next, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		f.mu.Lock()
		changed, history := f.changed, f.history
		f.mu.Unlock()
		for ; next < len(history); next++ {
			var event struct{ Object map[string]any }
			_ = json.Unmarshal([]byte(history[next]), &event)
			if selects(r, path(event.Object), event.Object) {
				fmt.Fprintln(w, history[next])
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// path is where an object of the fake is.
func path(object map[string]any) string {
	meta := object["metadata"].(map[string]any)
	plural := strings.ToLower(object["kind"].(string)) + "s"
	if meta["namespace"] == nil {
		return fmt.Sprintf("/api/v1/%s/%v", plural, meta["name"])
	}
	return fmt.Sprintf("/api/v1/namespaces/%v/%s/%v", meta["namespace"], plural, meta["name"])
}

// note records a change; the caller holds the lock.
func (f *fakeAPI) note(kind string, object map[string]any) {
	f.version++
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
	event, _ := json.Marshal(map[string]any{"type": kind, "object": object})
	f.history = append(f.history, string(event))
	close(f.changed)
	f.changed = make(chan struct{})
}

// put stores an object as if somebody else had written it.
func (f *fakeAPI) put(object map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(path(object), object)
}

func (f *fakeAPI) store(at string, object map[string]any) {
	kind := "MODIFIED"
	meta := object["metadata"].(map[string]any)
	if f.objects[at] == nil {
		kind = "ADDED"
		meta["uid"] = fmt.Sprintf("uid-%d", f.version+1)
		if f.onCreate != nil {
			f.onCreate(object)
		}
	}
	f.note(kind, object)
	f.objects[at] = object
}

func configMap(name string, set map[string]any) modules.Object {
	object := modules.Object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "default"},
	}
	maps.Copy(object, set)
	return object
}
