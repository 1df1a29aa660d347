package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// write answers POST and PATCH as the real server does: strict about fields,
// and for server-side apply about their owners.
func (f *fakeAPI) write(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sent map[string]any
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		refuse(w, 400, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	at, object := r.URL.Path, sent
	if r.Method == http.MethodPost {
		at = named(at, sent)
		if f.objects[at] != nil {
			refuse(w, 409, metav1.StatusReasonAlreadyExists, at+" already exists")
			return
		}
	} else {
		before := f.objects[at]
		applied := r.Header.Get("Content-Type") == "application/apply-patch+yaml"
		if before == nil && !applied {
			f.answer(w, r, nil)
			return
		}
		if causes := f.conflicts(at, before, sent, r); applied && len(causes) > 0 {
			refuse(w, 409, metav1.StatusReasonConflict, fmt.Sprintf("Apply failed with %d conflict", len(causes)), causes...)
			return
		}
		object = merge(runtime.DeepCopyJSON(before), sent)
	}
	if field := unknown(object); field != "" && r.URL.Query().Get("fieldValidation") == "Strict" {
		refuse(w, 422, metav1.StatusReasonInvalid, fmt.Sprintf("strict decoding error: unknown field %q", field))
		return
	}
	if r.URL.Query().Get("dryRun") != "All" {
		f.own(at, sent, r.URL.Query().Get("fieldManager"))
		f.store(at, object)
	}
	reply(w, 200, object)
}

func named(collection string, object map[string]any) string {
	meta := object["metadata"].(map[string]any)
	if prefix, ok := meta["generateName"].(string); ok && meta["name"] == nil {
		meta["name"] = prefix + "x7k2p"
	}
	return collection + "/" + meta["name"].(string)
}

func unknown(object map[string]any) string {
	known := []string{"apiVersion", "kind", "metadata", "data", "spec", "status"}
	for key := range object {
		if !slices.Contains(known, key) {
			return key
		}
	}
	return ""
}

// merge is a JSON merge patch.
func merge(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for key, value := range patch {
		inner, ok := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case ok:
			below, _ := into[key].(map[string]any)
			into[key] = merge(below, inner)
		default:
			into[key] = value
		}
	}
	return into
}

func data(object map[string]any) map[string]any {
	d, _ := object["data"].(map[string]any)
	return d
}

func (f *fakeAPI) conflicts(at string, before, sent map[string]any, r *http.Request) (causes []metav1.StatusCause) {
	if r.URL.Query().Get("force") == "true" {
		return nil
	}
	me := r.URL.Query().Get("fieldManager")
	for key, value := range data(sent) {
		owner := f.owners[at][key]
		if owner != "" && owner != me && data(before)[key] != value {
			causes = append(causes, metav1.StatusCause{
				Type:    metav1.CauseTypeFieldManagerConflict,
				Message: fmt.Sprintf("conflict with %q using v1", owner),
				Field:   ".data." + key,
			})
		}
	}
	return causes
}

func (f *fakeAPI) own(at string, sent map[string]any, manager string) {
	if f.owners[at] == nil {
		f.owners[at] = map[string]string{}
	}
	for key := range data(sent) {
		f.owners[at][key] = manager
	}
}

func (f *fakeAPI) remove(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object := f.objects[r.URL.Path]
	if object == nil {
		f.answer(w, r, nil)
		return
	}
	var options metav1.DeleteOptions
	_ = json.NewDecoder(r.Body).Decode(&options)
	uid := object["metadata"].(map[string]any)["uid"].(string)
	if p := options.Preconditions; p != nil && p.UID != nil && string(*p.UID) != uid {
		refuse(w, 409, metav1.StatusReasonConflict, fmt.Sprintf("the UID in the precondition (%s) does not match the UID in record (%s)", *p.UID, uid))
		return
	}
	delete(f.objects, r.URL.Path)
	f.note("DELETED", object)
	reply(w, 200, object)
}

// served is what the fake serves, in the words of /api/v1.
var served = []map[string]any{
	{"name": "configmaps", "singularName": "configmap", "kind": "ConfigMap", "namespaced": true, "shortNames": []string{"cm"}},
	{"name": "namespaces", "singularName": "namespace", "kind": "Namespace", "namespaced": false, "shortNames": []string{"ns"}},
	{"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": true, "shortNames": []string{"po"}},
	{"name": "pods/log", "singularName": "", "kind": "Pod", "namespaced": true},
}

var servedApps = []map[string]any{
	{"name": "daemonsets", "singularName": "daemonset", "kind": "DaemonSet", "namespaced": true, "shortNames": []string{"ds"}},
	{"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": true, "shortNames": []string{"deploy"}},
}

func (f *fakeAPI) discovery(w http.ResponseWriter, r *http.Request) bool {
	whole := !f.old && strings.Contains(r.Header.Get("Accept"), "as=APIGroupDiscoveryList")
	switch {
	case r.URL.Path == "/api" && whole:
		reply(w, 200, aggregate("", served))
	case r.URL.Path == "/apis" && whole:
		reply(w, 200, aggregate("apps", servedApps))
	case r.URL.Path == "/api":
		reply(w, 200, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/apis":
		reply(w, 200, map[string]any{"kind": "APIGroupList", "groups": []any{
			map[string]any{"name": "apps", "versions": []any{map[string]any{"version": "v1"}}},
			map[string]any{"name": "broken.example.com", "versions": []any{map[string]any{"version": "v1"}}},
		}})
	case r.URL.Path == "/api/v1":
		reply(w, 200, map[string]any{"kind": "APIResourceList", "resources": served})
	case r.URL.Path == "/apis/apps/v1":
		reply(w, 200, map[string]any{"kind": "APIResourceList", "resources": servedApps})
	case r.URL.Path == "/apis/broken.example.com/v1":
		refuse(w, 503, metav1.StatusReasonServiceUnavailable, "no endpoints available")
	default:
		return false
	}
	return true
}

func aggregate(group string, kinds []map[string]any) map[string]any {
	var resources []any
	for _, k := range kinds {
		if strings.Contains(k["name"].(string), "/") {
			continue
		}
		scope := "Cluster"
		if k["namespaced"] == true {
			scope = "Namespaced"
		}
		resources = append(resources, map[string]any{
			"resource": k["name"], "singularResource": k["singularName"], "shortNames": k["shortNames"], "scope": scope,
			"responseKind": map[string]any{"group": group, "version": "v1", "kind": k["kind"]},
		})
	}
	return map[string]any{"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": []any{
		map[string]any{"metadata": map[string]any{"name": group}, "versions": []any{map[string]any{"version": "v1", "resources": resources}}},
	}}
}
