package modules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rollout is how far a workload's pods are what its template says.
type rollout struct {
	desired, updated, ready, available int64
	old                                int64  // pods of an older template that are still there
	behind                             bool   // the controller has not seen the last change yet
	stuck                              string // why the controller has given up, if it has
}

// rollsOut tells whether a kind has a rollout.
func rollsOut(o Object) bool {
	return slices.Contains([]string{"DaemonSet", "Deployment", "StatefulSet"}, dig[string](o, "kind"))
}

// rolloutOf reads the status of a workload.
func rolloutOf(o Object) (rollout, error) {
	status := func(field string) int64 { return dig[int64](o, "status", field) }
	r := rollout{behind: status("observedGeneration") < dig[int64](o, "metadata", "generation")}
	if dig[string](o, "spec", "updateStrategy", "type") == "OnDelete" {
		return r, fmt.Errorf("%s replaces its pods only when they are deleted (updateStrategy OnDelete), so it has no rollout", objectTitle(o))
	}
	switch dig[string](o, "kind") {
	case "DaemonSet":
		r.desired, r.updated = status("desiredNumberScheduled"), status("updatedNumberScheduled")
		r.ready, r.available = status("numberReady"), status("numberAvailable")
	case "Deployment":
		r.desired, r.updated = wantedReplicas(o), status("updatedReplicas")
		r.ready, r.available = status("readyReplicas"), status("availableReplicas")
		r.old = status("replicas") - r.updated
		if progressing, why := conditionOf(o, "Progressing"); progressing == "False" {
			r.stuck = why
		}
	case "StatefulSet":
		r.desired = wantedReplicas(o)
		r.updated = status("updatedReplicas") + dig[int64](o, "spec", "updateStrategy", "rollingUpdate", "partition")
		r.updated = min(r.updated, r.desired)
		r.ready, r.available = status("readyReplicas"), status("availableReplicas")
	default:
		return r, fmt.Errorf("%s has no rollout; daemonsets, deployments and statefulsets have one", objectTitle(o))
	}
	return r, nil
}

// wantedReplicas is how many pods a workload wants; the API's default is one.
func wantedReplicas(o Object) int64 {
	if n, ok := dig[map[string]any](o, "spec")["replicas"].(int64); ok {
		return n
	}
	return 1
}

// lack is what is missing until the rollout is complete; nil where nothing is.
// A daemonset that wants no pod at all has lost its nodes: it is not complete.
func (r rollout) lack(o Object) []Diff {
	nowhere := r.desired == 0 && dig[string](o, "kind") == "DaemonSet"
	if !r.behind && !nowhere && r.old <= 0 && r.updated >= r.desired && r.ready >= r.desired && r.available >= r.desired {
		return nil
	}
	d := Diff{What: objectTitle(o), Want: fmt.Sprintf("all %d updated, ready and available", r.desired)}
	d.Have = fmt.Sprintf("%d updated, %d ready, %d available", r.updated, r.ready, r.available)
	switch {
	case nowhere:
		d.Have, d.Want = "wanted on no node", "at least one node"
	case r.behind:
		d.Have += ", the last change is not seen by its controller yet"
	case r.old > 0:
		d.Have += fmt.Sprintf(", %d old pods are left", r.old)
	}
	if r.stuck != "" {
		d.Have += ", " + r.stuck
	}
	return []Diff{d}
}

// podsOf selects the pods of a workload.
func podsOf(o Object) Ref {
	var terms []string
	labels := dig[map[string]any](o, "spec", "selector", "matchLabels")
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		terms = append(terms, fmt.Sprintf("%s=%v", key, labels[key]))
	}
	for _, e := range objectsAt(o, "spec", "selector", "matchExpressions") {
		key, values := dig[string](e, "key"), []string{}
		for _, v := range dig[[]any](e, "values") {
			values = append(values, fmt.Sprint(v))
		}
		switch operator := dig[string](e, "operator"); operator {
		case "In", "NotIn":
			terms = append(terms, fmt.Sprintf("%s %s (%s)", key, strings.ToLower(operator), strings.Join(values, ",")))
		case "Exists":
			terms = append(terms, key)
		case "DoesNotExist":
			terms = append(terms, "!"+key)
		}
	}
	return Ref{Kind: "pods", APIVersion: "v1", Namespace: dig[string](o, "metadata", "namespace"), Selector: strings.Join(terms, ",")}
}
