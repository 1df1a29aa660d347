//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"

	"runbook/tests/lab/kubectl"
	"runbook/tests/lab/parts"
)

const (
	// Shop is the namespace of a stacked lab's workloads: the Deployment web behind
	// the Service web, of which two of three pods must always be there, and the
	// StatefulSet cache, of which one of two must.
	Shop     = "shop"
	ShopPort = 8080

	shopPods = 5
	barePod  = "lab/bare-pod"
)

// BarePod makes a pod on a node that nobody will make again when it has gone:
// no controller owns it. It returns when the pod is ready; Kube deletes it, and
// RenewHosts does.
func (l *Lab) BarePod(ctx context.Context, namespace, name, node string) error {
	if _, err := l.Host(node); err != nil {
		return err
	}
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"namespace": namespace, "name": name, "labels": map[string]string{barePod: ""}},
		"spec": map[string]any{
			"nodeName": node, "terminationGracePeriodSeconds": 0,
			"containers": []any{map[string]any{"name": "bare", "image": parts.PauseImage, "imagePullPolicy": "Never"}},
		},
	})
	if err != nil {
		return err
	}
	if err := l.Apply(ctx, string(object)); err != nil {
		return fmt.Errorf("make the pod %s/%s on %s: %w", namespace, name, node, err)
	}
	_, err = l.Kube(ctx, "wait", "--for=condition=ready", "--timeout="+kubectl.Within, "-n", namespace, "pod/"+name)
	return err
}

// Apply has an object in the cluster, written as YAML or JSON.
func (l *Lab) Apply(ctx context.Context, object string) error {
	return l.kubectl().Apply(ctx, []byte(object))
}
