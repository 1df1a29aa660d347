package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"runbook/modules"
)

const (
	runLabel = "runbook/run"    // on every pod that a step has made, with the step's own value
	runGrace = 30 * time.Second // what a pod outlives its limit by, if nobody is left to remove it
)

// Run makes a pod of its own name, waits until it has ended, and collects its log
// and exit code. The pod stays until Clear, so that its result can be collected
// again; one that did not come to its end is removed, also when ctx ends first.
func (c *Client) Run(ctx context.Context, s modules.PodRun, mark string) (out modules.Output, err error) {
	limit := s.Limit
	if limit <= 0 {
		limit = commandLimit
	}
	pod, err := mortal(s.Pod, mark, limit)
	if err != nil {
		return out, err
	}
	namespace := c.namespaceOf(pod.GetNamespace())
	pod.SetNamespace(namespace)
	defer func() {
		if err != nil {
			_ = c.Clear(ctx, namespace, mark) // err says what is wrong; the pod ends by itself
		}
	}()
	what := runs(pod)
	listening, heard := listen(ctx)
	err = within(listening, callLimit, func(ctx context.Context) (err error) {
		pod, err = c.pods(namespace).Create(ctx, pod, metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: strict})
		return err
	})
	out.Stderr = heard.all()
	if err != nil {
		return out, c.explain(what, err)
	}
	ended, err := c.result(ctx, pod, limit)
	ended.Stderr = out.Stderr
	return ended, err
}

// Collect is the result of the pod that a Run has made, which may still be at it.
func (c *Client) Collect(ctx context.Context, namespace, mark string) (out modules.Output, ran bool, err error) {
	pods, err := c.marked(ctx, c.namespaceOf(namespace), mark)
	if err != nil || len(pods) == 0 {
		return out, false, err
	}
	out, err = c.result(ctx, &pods[0], commandLimit)
	return out, true, err
}

func runs(pod *unstructured.Unstructured) string {
	return fmt.Sprintf("run pod %s in namespace %s", strings.TrimSuffix(pod.GetGenerateName(), "-"), pod.GetNamespace())
}

// result waits until the pod has ended, and gives its log and its exit code.
func (c *Client) result(ctx context.Context, pod *unstructured.Unstructured, limit time.Duration) (out modules.Output, err error) {
	what := runs(pod)
	log := modules.LogRequest{Namespace: pod.GetNamespace(), Pod: pod.GetName()}
	if pod, err = c.ended(ctx, pod, limit); err != nil {
		// What it has said so far may tell why it does not end.
		out.Stdout, _ = c.Logs(ctx, log)
		return out, fmt.Errorf("%s: %w", what, err)
	}
	if log.Container, out.Code, err = outcome(pod); err != nil {
		return out, fmt.Errorf("%s: %w", what, err)
	}
	out.Stdout, err = c.Logs(ctx, log)
	return out, err
}

// mortal is the pod with a name that collides with none, a mark to find it by,
// and an end even if nobody is left to remove it.
func mortal(object modules.Object, mark string, limit time.Duration) (*unstructured.Unstructured, error) {
	pod := &unstructured.Unstructured{Object: plain(object).(modules.Object)}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	if name := pod.GetName(); name != "" {
		pod.SetName("")
		pod.SetGenerateName(name + "-")
	}
	labels := pod.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runLabel] = mark
	pod.SetLabels(labels)
	if policy, _, _ := unstructured.NestedString(pod.Object, "spec", "restartPolicy"); policy != "" && policy != "Never" {
		return nil, fmt.Errorf("run pod %s: restartPolicy %q would keep it from ending; leave it out", pod.GetGenerateName(), policy)
	}
	spec, ok := pod.Object["spec"].(modules.Object)
	if !ok {
		return nil, fmt.Errorf("run pod %s: it has no spec", pod.GetGenerateName())
	}
	spec["restartPolicy"] = "Never"
	spec["activeDeadlineSeconds"] = int64((limit + runGrace) / time.Second)
	return pod, nil
}

// ended waits until the pod has ended.
func (c *Client) ended(ctx context.Context, pod *unstructured.Unstructured, limit time.Duration) (*unstructured.Unstructured, error) {
	limited, stop := context.WithTimeout(ctx, limit)
	defer stop()
	ref := modules.Ref{Kind: "pods", Namespace: pod.GetNamespace(), Name: pod.GetName()}
	changes, err := c.Watch(limited, []modules.Ref{ref})
	if err != nil {
		return nil, err
	}
	for {
		object, err := c.Get(limited, ref)
		switch {
		case limited.Err() != nil:
		case err != nil:
			return nil, err
		case object == nil || object["metadata"].(modules.Object)["uid"] != string(pod.GetUID()):
			return nil, errors.New("somebody has deleted it")
		default:
			pod = &unstructured.Unstructured{Object: object}
		}
		if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
			return pod, nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("it has not ended after %s: %s", limit, standing(pod))
		case <-changes:
		}
	}
}

// outcome is the first container of the pod that has ended, and its exit code.
func outcome(pod *unstructured.Unstructured) (container string, code int, err error) {
	statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
	for _, s := range statuses {
		status, _ := s.(map[string]any)
		name, _ := status["name"].(string)
		if exit, ok, _ := unstructured.NestedInt64(status, "state", "terminated", "exitCode"); ok {
			return name, int(exit), nil
		}
	}
	reason, _, _ := unstructured.NestedString(pod.Object, "status", "reason")
	message, _, _ := unstructured.NestedString(pod.Object, "status", "message")
	return "", 0, fmt.Errorf("it ended without an exit code: %s", strings.TrimSpace(reason+" "+message))
}

// standing says in a few words why a pod has not ended.
func standing(pod *unstructured.Unstructured) string {
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	words := []string{"phase " + phase}
	if node, _, _ := unstructured.NestedString(pod.Object, "spec", "nodeName"); node != "" {
		words = append(words, "node "+node)
	}
	statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
	for _, s := range statuses {
		status, _ := s.(map[string]any)
		if reason, _, _ := unstructured.NestedString(status, "state", "waiting", "reason"); reason != "" {
			message, _, _ := unstructured.NestedString(status, "state", "waiting", "message")
			words = append(words, strings.TrimSpace(reason+" "+message))
		}
	}
	conditions, _, _ := unstructured.NestedSlice(pod.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if message, _ := condition["message"].(string); message != "" && condition["status"] == "False" {
			words = append(words, message)
		}
	}
	return strings.Join(words, ", ")
}

// marked are the pods that carry the mark.
func (c *Client) marked(ctx context.Context, namespace, mark string) ([]unstructured.Unstructured, error) {
	var pods []unstructured.Unstructured
	err := c.reading(ctx, func(ctx context.Context) error {
		list, err := c.pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: runLabel + "=" + mark})
		if err == nil {
			pods = list.Items
		}
		return err
	})
	return pods, c.explain(fmt.Sprintf("list the pods labelled %s=%s in namespace %s", runLabel, mark, namespace), err)
}

// Clear removes the pods that carry the mark. It works on a context of its own,
// because a reason to come here is that the run is being stopped.
func (c *Client) Clear(ctx context.Context, namespace, mark string) error {
	namespace = c.namespaceOf(namespace)
	return within(context.WithoutCancel(ctx), cleanupLimit, func(ctx context.Context) error {
		what := fmt.Sprintf("remove the pods labelled %s=%s in namespace %s", runLabel, mark, namespace)
		left, err := c.marked(ctx, namespace, mark)
		if err != nil {
			return err
		}
		for _, pod := range left {
			uid, now := pod.GetUID(), int64(0)
			err := c.pods(namespace).Delete(ctx, pod.GetName(), metav1.DeleteOptions{
				GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid},
			})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return c.explain(what, err)
			}
		}
		return nil
	})
}

func (c *Client) pods(namespace string) dynamic.ResourceInterface {
	return c.api.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace)
}
