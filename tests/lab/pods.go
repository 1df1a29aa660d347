//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"sort"
	"time"
)

// pod is what the lab wants to know of a pod.
type pod struct {
	Namespace, Name, Node, IP string
	Labels                    map[string]string
	Running, Ready            bool
	Started                   time.Time // when the last of its containers has; zero: one does not run
}

func (p pod) calico() bool  { return p.Labels["k8s-app"] == "calico-node" }
func (p pod) ingress() bool { return p.Labels["app.kubernetes.io/component"] == "controller" }
func (p pod) probe() bool   { return p.Labels["app"] == "lab-probe" }

// pods are all pods of the cluster, by namespace and name.
func (l *Lab) pods(ctx context.Context) ([]pod, error) {
	out, err := l.Kube(ctx, "get", "pods", "--all-namespaces", "--output=json")
	if err != nil {
		return nil, err
	}
	return parsePods(out)
}

func parsePods(list string) ([]pod, error) {
	var pods struct {
		Items []struct {
			Metadata struct {
				Namespace, Name   string
				Labels            map[string]string
				DeletionTimestamp *string
			}
			Spec   struct{ NodeName string }
			Status struct {
				Phase, PodIP string
				Conditions   []condition

				ContainerStatuses []struct {
					State struct{ Running struct{ StartedAt time.Time } }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(list), &pods); err != nil {
		return nil, err
	}
	var all []pod
	for _, i := range pods.Items {
		if i.Metadata.DeletionTimestamp != nil {
			continue
		}
		p := pod{
			Namespace: i.Metadata.Namespace, Name: i.Metadata.Name, Labels: i.Metadata.Labels,
			Node: i.Spec.NodeName, IP: i.Status.PodIP, Running: i.Status.Phase == "Running",
		}
		for _, c := range i.Status.Conditions {
			if c.Type == "Ready" {
				p.Ready = c.Status == "True"
			}
		}
		for i, c := range i.Status.ContainerStatuses {
			at := c.State.Running.StartedAt
			if i == 0 || at.IsZero() || !p.Started.IsZero() && at.After(p.Started) {
				p.Started = at
			}
		}
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return a.Namespace < b.Namespace || a.Namespace == b.Namespace && a.Name < b.Name
	})
	return all, nil
}
