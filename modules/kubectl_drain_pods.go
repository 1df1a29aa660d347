package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// drainPods is what draining makes of a node's pods.
type drainPods struct {
	evict []Object
	leave []Object // of daemonsets, and of the node itself
	notes []string
	begun bool // some of them end already
}

// evictable sorts a node's pods as kubectl drain does, with the same options: what
// would be lost for good is lost only where that is asked for.
func (k *kubectl) evictable(node string, pods []Object) (drainPods, error) {
	var d drainPods
	var daemons, bare, local []string
	for _, pod := range pods {
		over := slices.Contains([]string{"Succeeded", "Failed"}, dig[string](pod, "status", "phase"))
		owner := controllerOf(pod)
		_, mirror := dig[map[string]any](pod, "metadata", "annotations")["kubernetes.io/config.mirror"]
		switch {
		case mirror:
			d.leave = append(d.leave, pod)
			continue
		case strings.HasPrefix(owner, "daemonset ") && !over:
			d.leave = append(d.leave, pod)
			if !k.IgnoreDaemonsets {
				daemons = append(daemons, podTitle(pod))
			}
			continue
		case over, beingDeleted(pod):
		case owner == "" && !k.Force:
			bare = append(bare, podTitle(pod))
			continue
		case hasEmptyDir(pod) && !k.DeleteEmptydirData:
			local = append(local, podTitle(pod))
			continue
		case owner == "":
			d.notes = append(d.notes, fmt.Sprintf("pod %s belongs to nobody: it is gone for good", podTitle(pod)))
		}
		d.begun = d.begun || beingDeleted(pod)
		d.evict = append(d.evict, pod)
	}
	var wrong []string
	for _, w := range []struct {
		pods    []string
		because string
	}{
		{daemons, "of daemonsets, which would make them again at once (ignore_daemonsets: true leaves them)"},
		{bare, "that belong to nobody, and would be gone for good (force: true evicts them all the same)"},
		{local, "with data in an emptyDir, which would be gone (delete_emptydir_data: true gives it up)"},
	} {
		if len(w.pods) > 0 {
			wrong = append(wrong, "there are pods "+w.because+": "+strings.Join(w.pods, ", "))
		}
	}
	if wrong != nil {
		return d, fmt.Errorf("node %s is not drained: %s", node, strings.Join(wrong, "; "))
	}
	return d, nil
}

func hasEmptyDir(pod Object) bool {
	return slices.ContainsFunc(objectsAt(pod, "spec", "volumes"), func(v Object) bool {
		_, is := v["emptyDir"]
		return is
	})
}

// networks are the daemonsets of network plugins, by their name: without their pods
// a node cannot start those that it is sent.
var networks = []string{"calico-node", "canal", "cilium", "kube-flannel-ds", "kube-flannel", "weave-net", "kube-router", "antrea-agent", "ovnkube-node", "kube-ovn-cni", "aws-node", "azure-cni", "kindnet"}

// networkLacks is what the network plugin lacks of being ready on every node. Once
// pods go it is not asked for any more: to stop halfway helps nobody.
func (k *kubectl) networkLacks(ctx context.Context, c outlook, d drainPods) ([]Diff, error) {
	if k.AllowUnreadyNetwork || len(d.evict) == 0 || d.begun || k.seen.drained() {
		return nil, nil
	}
	all, err := c.Cluster.List(ctx, Ref{Kind: "daemonsets", APIVersion: "apps/v1", Namespace: "*"})
	if err != nil {
		return nil, err
	}
	var lack []Diff
	found := false
	for _, ds := range all {
		if !slices.Contains(networks, nameOf(ds)) {
			continue
		}
		found = true
		state, err := rolloutOf(ds)
		if err != nil {
			return nil, err
		}
		if ready := dig[int64](ds, "status", "numberReady"); ready < state.desired {
			lack = append(lack, Diff{What: "network plugin " + objectTitle(ds), Have: fmt.Sprintf("%d of %d pods Ready", ready, state.desired),
				Want: "all, as other nodes cannot start evicted pods without it (allow_unready_network: true drains all the same)"})
		}
	}
	if !found {
		return nil, errors.New("no network plugin is found whose readiness could be looked at (" + strings.Join(networks, ", ") + "); allow_unready_network: true drains without")
	}
	if lack == nil {
		k.seen.drain()
	}
	return lack, nil
}
