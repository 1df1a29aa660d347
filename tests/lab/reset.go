//go:build linux

package lab

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// resetWithin bounds Reset, which takes five seconds.
const resetWithin = 5 * time.Minute

// forget takes away what calico-node gave a host that it has been in sync on,
// and what a creator of sets has left half done. A pod is gone from the API a
// moment before its processes are, and those would bring it all back, so they
// are waited for, ten seconds at most.
const forget = `
for i in $(seq 100); do pgrep -x 'calico-node|kube-router' >/dev/null || break; sleep 0.1; done
ip route flush proto bird
ipset list -name | sed -n '/^cali40/p; /^TMP-/p' | while read -r set; do ipset destroy "$set"; done
`

// Reset puts a fault back, with Calico installed by its manifest, from whatever
// was done to the lab since, without building anything anew. The hosts' other
// changes stay.
func (l *Lab) Reset(ctx context.Context, fault Fault) error {
	return l.ResetInstall(ctx, fault, Manifest)
}

// ResetInstall is Reset with a choice of how Calico came into the cluster.
func (l *Lab) ResetInstall(ctx context.Context, fault Fault, install Install) error {
	if _, err := ParseFault(string(fault)); err != nil {
		return err
	}
	if _, err := ParseInstall(string(install)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resetWithin)
	defer cancel()
	l.Fault, l.Install = fault, install
	return l.step("reset to "+string(fault), func() error {
		if err := l.calicoDown(ctx); err != nil {
			return err
		}
		// What a run that was killed has left in the cluster carries its label.
		if _, err := l.Kube(ctx, "delete", "daemonsets,jobs,pods", "--all-namespaces", "--selector=runbook/run", "--cascade=foreground"); err != nil {
			return err
		}
		if err := l.eachHost(ctx, func(ctx context.Context, h Host) error {
			if _, err := l.in(ctx, h, unhold+forget); err != nil {
				return err
			}
			return l.injectFault(ctx, h)
		}); err != nil {
			return err
		}
		if err := l.calicoUp(ctx); err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error { return l.calicoObjects(gctx) })
		g.Go(func() error { return l.waitPods(gctx) })
		if err := g.Wait(); err != nil {
			return err
		}
		return l.save()
	})
}
