//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"runbook/tests/lab/machine"
)

// renewWithin bounds RenewHosts, which takes 10 to 30 seconds.
const renewWithin = 5 * time.Minute

// ownAnnotations are those that a node has from the cluster itself.
var ownAnnotations = []string{"node.alpha.kubernetes.io/ttl", "volumes.kubernetes.io/controller-managed-attach-detach"}

// RenewHosts makes hosts of a stacked lab what they were when it came up, all of
// them if none is named: everything that was installed or written is gone, the
// first kernel runs, nothing is different about the next boot. Their nodes are
// schedulable and have no annotations but the cluster's own; the shop is whole;
// locks in kube-system and pods without an owner are gone. What etcd holds
// stays. It returns when every pod runs in the new life of its host.
func (l *Lab) RenewHosts(ctx context.Context, hosts ...string) error {
	if !l.Stacked {
		return errors.New("only hosts of a stacked lab can be renewed")
	}
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	renewed := l.net.hosts
	if len(hosts) > 0 {
		renewed = nil
	}
	for _, name := range hosts {
		h, err := l.Host(name)
		if err != nil {
			return err
		}
		renewed = append(renewed, h)
	}
	return l.step("renew "+strings.Join(hosts, " "), func() error {
		began := time.Now()
		if err := inParallel(renewed, func(h Host) error { return l.renew(ctx, h) }); err != nil {
			return err
		}
		// The API may have lost its etcd a moment ago, and fail once or twice.
		if err := poll(ctx, apiWithin, func(ctx context.Context) error { return l.renewCluster(ctx, renewed) }); err != nil {
			return err
		}
		return l.awaitRenewed(ctx, renewed, began)
	})
}

// renew boots a host with the layer that it began with.
func (l *Lab) renew(ctx context.Context, h Host) error {
	if _, err := l.ask(ctx, h, machine.Request{Power: machine.Off, ForgetNext: true}); err != nil {
		return err
	}
	if err := l.freshLayer(h); err != nil {
		return err
	}
	if err := l.PowerOn(ctx, h.Name); err != nil {
		return err
	}
	if l.hasEtcd(h) {
		if err := l.awaitEtcd(ctx, h); err != nil {
			return err
		}
	}
	return l.injectFault(ctx, h)
}

// renewCluster takes away what an upgrade has left in the cluster.
func (l *Lab) renewCluster(ctx context.Context, renewed []Host) error {
	for _, h := range renewed {
		if err := l.renewNode(ctx, h); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"delete", "pods", "--all-namespaces", "--selector=" + barePod, "--grace-period=0", "--force"},
		{"delete", "daemonsets,jobs,pods", "--all-namespaces", "--selector=runbook/run", "--cascade=foreground"},
		{"delete", "pods", "--all-namespaces", "--field-selector=status.phase=Failed"},
		{"delete", "leases", "-n", "kube-system", "--selector=apiserver.kubernetes.io/identity!=kube-apiserver"},
	} {
		if _, err := l.Kube(ctx, args...); err != nil {
			return err
		}
	}
	return l.apply(ctx, "shop.yaml")
}

// renewNode uncordons a node and takes away the annotations that somebody has
// given it.
func (l *Lab) renewNode(ctx context.Context, h Host) error {
	out, err := l.Kube(ctx, "get", "node", h.Name, "--output=json")
	if err != nil {
		return err
	}
	patch, err := renewPatch(out)
	if err != nil {
		return err
	}
	_, err = l.Kube(ctx, "patch", "node", h.Name, "--type=merge", "--patch="+patch)
	return err
}

func renewPatch(node string) (string, error) {
	var n struct {
		Metadata struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal([]byte(node), &n); err != nil {
		return "", err
	}
	gone := map[string]any{}
	for name := range n.Metadata.Annotations {
		if !slices.Contains(ownAnnotations, name) {
			gone[name] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": gone},
		"spec":     map[string]any{"unschedulable": nil},
	})
	return string(patch), err
}

// Settle waits until the API knows the boots of these hosts, and until all pods
// run, on these hosts since this time.
func (l *Lab) Settle(ctx context.Context, since time.Time, booted ...string) error {
	var hosts []Host
	for _, name := range booted {
		h, err := l.Host(name)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	return l.awaitRenewed(ctx, hosts, since)
}

// awaitRenewed waits until the API knows the boots of these hosts, and then
// until all pods run, on these hosts since this time. What a pod was before its
// host went down is in the API until the kubelet is back.
func (l *Lab) awaitRenewed(ctx context.Context, renewed []Host, since time.Time) error {
	for _, h := range renewed {
		state, err := l.ask(ctx, h, machine.Request{})
		if err != nil {
			return err
		}
		if err := l.awaitNode(ctx, h.Name, state); err != nil {
			return err
		}
	}
	return poll(ctx, settleWithin, func(ctx context.Context) error {
		pods, err := l.pods(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if on := func(h Host) bool { return h.Name == p.Node }; slices.ContainsFunc(renewed, on) && p.Started.Before(since.Truncate(time.Second)) {
				return fmt.Errorf("%s/%s on %s has not started since the boot", p.Namespace, p.Name, p.Node)
			}
		}
		return settled(pods, l.Fault, len(l.net.hosts), l.Stacked)
	})
}

// awaitNode waits until the API knows a node as its machine does, and Ready. A
// machine without a boot loader does not know its kernel.
func (l *Lab) awaitNode(ctx context.Context, name string, state machine.State) error {
	return poll(ctx, settleWithin, func(ctx context.Context) error {
		out, err := l.Kube(ctx, "get", "node", name, "--output=jsonpath={.status.nodeInfo.bootID} {.status.conditions[?(@.type=='Ready')].status} {.status.nodeInfo.kernelVersion}")
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("%s True %s", state.BootID, state.Kernel); !strings.HasPrefix(out, want) {
			return fmt.Errorf("%s: the API says %q of it (boot id, Ready, kernel), %q is wanted", name, out, want)
		}
		return nil
	})
}
