package modules

import (
	"context"
	"fmt"
	"strings"
)

// podFacts is a pod in the words of playbooks.
func podFacts(pod Object) map[string]any {
	containers := []any{}
	for _, s := range objectsAt(pod, "status", "containerStatuses") {
		containers = append(containers, map[string]any{
			"name": dig[string](s, "name"), "image": dig[string](s, "image"), "image_id": dig[string](s, "imageID"),
			"ready": dig[bool](s, "ready"), "restarts": dig[int64](s, "restartCount"),
			"started": dig[string](s, "state", "running", "startedAt"),
		})
	}
	return map[string]any{
		"name": nameOf(pod), "namespace": dig[string](pod, "metadata", "namespace"), "uid": uidOf(pod),
		"node": dig[string](pod, "spec", "nodeName"), "ip": dig[string](pod, "status", "podIP"),
		"phase": dig[string](pod, "status", "phase"), "ready": podReady(pod), "terminating": beingDeleted(pod),
		"started": dig[string](pod, "status", "startTime"), "restarts": podRestarts(pod), "containers": containers,
	}
}

func podReady(pod Object) bool {
	status, _ := conditionOf(pod, "Ready")
	return status == "True" && !beingDeleted(pod)
}

func podRestarts(pod Object) int64 {
	var n int64
	for _, s := range objectsAt(pod, "status", "containerStatuses") {
		n += dig[int64](s, "restartCount")
	}
	return n
}

// conditionOf is the status of a condition and why it is so; empty where the
// object has no such condition.
func conditionOf(o Object, kind string) (status, why string) {
	for _, c := range objectsAt(o, "status", "conditions") {
		if strings.EqualFold(dig[string](c, "type"), kind) {
			words := []string{dig[string](c, "reason"), dig[string](c, "message")}
			return dig[string](c, "status"), strings.TrimSpace(strings.Join(words, " "))
		}
	}
	return "", ""
}

// podWords names a pod with its node.
func podWords(pod Object) string {
	words := "pod " + nameOf(pod)
	if node := dig[string](pod, "spec", "nodeName"); node != "" {
		words += " on " + node
	}
	return words
}

// podTrouble says why a pod is not Ready, with all that the pod itself tells.
func podTrouble(pod Object, warned string) string {
	if beingDeleted(pod) {
		return "terminating since " + dig[string](pod, "metadata", "deletionTimestamp")
	}
	words := []string{"not ready"}
	if phase := dig[string](pod, "status", "phase"); phase != "Running" {
		words = append(words, "phase "+phase)
	}
	for _, kind := range []string{"PodScheduled", "Ready"} {
		if status, why := conditionOf(pod, kind); status != "True" && why != "" {
			words = append(words, why)
			break
		}
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, s := range objectsAt(pod, "status", list) {
			if trouble := containerTrouble(s); trouble != "" {
				words = append(words, trouble)
			}
		}
	}
	if n := podRestarts(pod); n > 0 {
		words = append(words, fmt.Sprintf("%d restarts", n))
	}
	if warned != "" {
		words = append(words, "last warning: "+warned)
	}
	return strings.Join(words, ", ")
}

func containerTrouble(status Object) string {
	name := "container " + dig[string](status, "name") + " "
	if reason := dig[string](status, "state", "waiting", "reason"); reason != "" {
		return strings.TrimSpace(name + "waits: " + reason + " " + dig[string](status, "state", "waiting", "message"))
	}
	ended := dig[map[string]any](status, "state", "terminated")
	if code := dig[int64](ended, "exitCode"); code != 0 {
		return strings.TrimSpace(fmt.Sprintf("%sended with exit code %d: %s %s", name, code, dig[string](ended, "reason"), dig[string](ended, "message")))
	}
	return ""
}

// unreadyPods lists the pods that are not Ready, each with its reason.
func unreadyPods(ctx context.Context, c outlook, pods []Object) []Diff {
	var diffs []Diff
	var warned map[string]string
	for _, pod := range pods {
		if podReady(pod) {
			continue
		}
		if warned == nil {
			warned = podWarnings(ctx, c, pods)
		}
		diffs = append(diffs, Diff{What: podWords(pod), Have: podTrouble(pod, warned[uidOf(pod)]), Want: "Ready"})
	}
	return diffs
}

// podWarnings is the last warning event of each pod, by UID. It is only there to
// explain: without the right to read events the wait goes on without it.
func podWarnings(ctx context.Context, c outlook, pods []Object) map[string]string {
	last, when := map[string]string{}, map[string]string{}
	events, err := c.List(ctx, Ref{
		Kind: "events", APIVersion: "v1", Namespace: sharedNamespace(pods), Fields: "involvedObject.kind=Pod,type=Warning",
	})
	if err != nil {
		return last
	}
	for _, e := range events {
		uid, at := dig[string](e, "involvedObject", "uid"), dig[string](e, "lastTimestamp")
		if at >= when[uid] {
			when[uid], last[uid] = at, strings.TrimSpace(dig[string](e, "reason")+" "+dig[string](e, "message"))
		}
	}
	return last
}

// sharedNamespace is the one of all pods, or "*".
func sharedNamespace(pods []Object) string {
	namespace := dig[string](pods[0], "metadata", "namespace")
	for _, pod := range pods {
		if dig[string](pod, "metadata", "namespace") != namespace {
			return "*"
		}
	}
	return namespace
}
