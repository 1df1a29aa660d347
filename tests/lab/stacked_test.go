//go:build linux

package lab

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/parts"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestStackedLab brings a stacked lab up once. Its parts use different hosts, so
// that none waits for what another has left; the last one makes them all anew.
func TestStackedLab(t *testing.T) {
	ctx := needLab(t)
	cfg := testConfig(testLog{t})
	cfg.Stacked = true
	require.NoError(t, Down(ctx, cfg))
	l, err := Up(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Down(context.Background())) })

	opened, err := Open(Config{State: testState})
	require.NoError(t, err)
	require.True(t, opened.Stacked, "the lab is found again as what it is")
	for _, part := range []struct {
		name string
		test func(*testing.T, context.Context, *Lab)
	}{
		{"a host reboots", hostReboots},
		{"a kernel is upgraded", kernelIsUpgraded},
		{"a kernel that does not come up", kernelFallsBack},
		{"a boot can go wrong", bootGoesWrong},
		{"a kubelet can keep the old boot id", bootIDIsKept},
		{"power can be cut", powerIsCut},
		{"the shop is probed from outside", shopIsProbed},
		{"a cordon is in the audit log", cordonIsAudited},
		{"etcd is watched", etcdIsWatched},
		{"hosts are made anew", hostsAreRenewed},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, ctx, l) }) {
			break
		}
	}
	require.NoError(t, l.Down(ctx))
	require.Empty(t, leftovers(t, l.net))
}

// cordoned is the one node that is.
func cordoned(t *testing.T, ctx context.Context, l *Lab) string {
	t.Helper()
	out, err := l.Kube(ctx, "get", "nodes", "--field-selector=spec.unschedulable=true", "--output=jsonpath={.items[*].metadata.name}")
	require.NoError(t, err)
	require.Len(t, strings.Fields(out), 1, out)
	return out
}

// nodeSays is one field of a node in the API.
func nodeSays(ctx context.Context, l *Lab, host, field string) (string, error) {
	return l.Kube(ctx, "get", "node", host, "--output=jsonpath={"+field+"}")
}

func etcdIsWatched(t *testing.T, ctx context.Context, l *Lab) {
	watch, err := l.WatchEtcd(ctx)
	require.NoError(t, err)
	require.NoError(t, l.Reboot(ctx, "node002"))
	require.NoError(t, l.awaitEtcd(ctx, l.Hosts()[1]))
	require.NoError(t, l.StopEtcd(ctx, "node003"))
	require.NoError(t, l.StartEtcd(ctx, "node003"))
	report := watch.Stop()
	require.Less(t, report.LongestLoss(), time.Second, "one member is not missed: %+v", report)
	require.Greater(t, report.Answers, 10)
	require.NotEmpty(t, report.Leaders)

	watch, err = l.WatchEtcd(ctx)
	require.NoError(t, err)
	for _, host := range []string{"node001", "node002"} {
		require.NoError(t, l.StopEtcd(ctx, host))
	}
	require.NoError(t, poll(ctx, etcdWithin, func(context.Context) error {
		watch.mu.Lock()
		defer watch.mu.Unlock()
		if watch.report.LongestLoss() == 0 {
			return errors.New("no loss is seen")
		}
		return nil
	}))
	require.NoError(t, l.Reboot(ctx, "node001"), "which starts it, too")
	require.NoError(t, l.StartEtcd(ctx, "node002"))
	for _, h := range l.net.withRole(ControlPlane) {
		require.NoError(t, l.awaitEtcd(ctx, h))
	}
	report = watch.Stop()
	require.Positive(t, report.LongestLoss(), "two members are missed")
	t.Logf("etcd was without a majority for %s", report.LongestLoss().Round(time.Millisecond))
	require.ErrorContains(t, l.StopEtcd(ctx, "node004"), "node004 runs no etcd")
}

func shopIsProbed(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.waitPods(ctx))
	pods, err := l.pods(ctx)
	require.NoError(t, err)
	web := slices.IndexFunc(pods, func(p pod) bool { return p.Namespace == Shop && p.Labels["app"] == "web" })
	require.GreaterOrEqual(t, web, 0)
	probe, err := l.ProbeService(ctx, Shop, "web", ShopPort, "/health")
	require.NoError(t, err)
	_, err = l.Kube(ctx, "drain", pods[web].Node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
	require.NoError(t, err)
	_, err = l.Kube(ctx, "rollout", "status", "-n", Shop, "deployment/web", "--timeout=60s")
	require.NoError(t, err)
	result, err := probe.Stop()
	require.NoError(t, err)
	require.Greater(t, result.Sent, 30, "a pod that goes answers for five seconds more")
	require.Empty(t, result.Failures, "and nobody misses it")

	probe, err = l.ProbeService(ctx, Shop, "web", ShopPort, "/health")
	require.NoError(t, err)
	scale := func(replicas string) {
		t.Helper()
		_, err := l.Kube(ctx, "scale", "-n", Shop, "deployment/web", "--replicas="+replicas)
		require.NoError(t, err)
	}
	scale("0")
	_, err = l.Kube(ctx, "delete", "pods", "-n", Shop, "-l", "app=web", "--grace-period=0", "--force")
	require.NoError(t, err)
	ip, err := l.Kube(ctx, "get", "service", "-n", Shop, "web", "--output=jsonpath={.spec.clusterIP}")
	require.NoError(t, err)
	require.NoError(t, poll(ctx, settleWithin, func(ctx context.Context) error {
		if _, err := l.in(ctx, l.net.client, "curl -sf -m 1 http://"+ip+":8080/"); err == nil {
			return errors.New("the shop still answers")
		}
		return nil
	}))
	scale("3")
	_, err = l.Kube(ctx, "rollout", "status", "-n", Shop, "deployment/web", "--timeout=60s")
	require.NoError(t, err)
	result, err = probe.Stop()
	require.NoError(t, err)
	require.NotEmpty(t, result.Failures, "all pods of the shop at once are")
	t.Logf("%d of %d failed, first: %s", len(result.Failures), result.Sent, result.Failures[0].Err)

	_, err = l.ProbeService(ctx, Shop, "none", ShopPort, "/")
	require.ErrorContains(t, err, "not found")
}

func cordonIsAudited(t *testing.T, ctx context.Context, l *Lab) {
	node := cordoned(t, ctx, l)
	_, err := l.Kube(ctx, "annotate", "node", node, "lab/mine=yes")
	require.NoError(t, err)
	events, err := l.Audit(ctx)
	require.NoError(t, err)
	cordon := slices.IndexFunc(events, func(e AuditEvent) bool {
		return e.Verb == "patch" && e.Resource == "nodes" && e.Subresource == "" && e.Name == node && strings.Contains(string(e.Request), `"unschedulable":true`)
	})
	eviction := slices.IndexFunc(events, func(e AuditEvent) bool {
		return e.Verb == "create" && e.Resource == "pods" && e.Subresource == "eviction" && e.Namespace == Shop
	})
	mine := slices.IndexFunc(events, func(e AuditEvent) bool { return strings.Contains(string(e.Request), "lab/mine") })
	require.GreaterOrEqual(t, cordon, 0)
	require.Greater(t, eviction, cordon)
	require.Greater(t, mine, eviction)
	require.Equal(t, 200, events[cordon].Code)
	require.Contains(t, events[cordon].UserAgent, "kubectl")
	require.Equal(t, "kubernetes-admin", events[cordon].User)
	require.False(t, events[eviction].Received.Before(events[cordon].Answered))
	require.True(t, slices.ContainsFunc(events, func(e AuditEvent) bool { return e.Resource == "nodes" && e.Subresource == "status" }), "what kubelets say of their nodes is there")
	require.False(t, slices.ContainsFunc(events, func(e AuditEvent) bool { return e.Namespace == "kube-node-lease" }), "heartbeats are left out")
}

func hostsAreRenewed(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, poll(ctx, apiWithin, func(ctx context.Context) error {
		_, err := l.Kube(ctx, "get", "--raw", "/readyz")
		return err
	}), "etcd was away a moment ago")
	node := cordoned(t, ctx, l)
	dirty := []string{"node005", "node007"} // one has the bare pod, one the other kernel
	if !slices.Contains(dirty, node) {
		dirty = append(dirty, node)
	}
	require.NoError(t, l.BarePod(ctx, Shop, "bare", "node005"))
	require.NoError(t, l.RenewHosts(ctx, dirty...))
	for _, host := range dirty {
		release, err := l.KernelRelease(ctx, host)
		require.NoError(t, err)
		require.Equal(t, parts.KernelOld, release)
		out, err := l.in(ctx, mustHost(t, l, host), "dpkg-query -f '${Version}' -W "+parts.KernelMeta+"; ls /boot/vmlinuz-* /etc/default/grub.d")
		require.NoError(t, err)
		require.Contains(t, out, parts.OldVersion)
		require.NotContains(t, out, parts.KernelNew)
		require.NotContains(t, out, "upgrade.cfg")
	}
	for field, what := range map[string]string{".spec.unschedulable": "uncordoned", ".metadata.annotations.lab/mine": "without annotations of others"} {
		is, err := nodeSays(ctx, l, node, field)
		require.NoError(t, err)
		require.Empty(t, is, what)
	}
	_, err := l.Kube(ctx, "get", "pod", "-n", Shop, "bare")
	require.ErrorContains(t, err, "not found")
	require.ErrorContains(t, l.RenewHosts(ctx, "node009"), `host "node009"`)
}

func mustHost(t *testing.T, l *Lab, name string) Host {
	t.Helper()
	h, err := l.Host(name)
	require.NoError(t, err)
	return h
}
