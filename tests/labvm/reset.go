//go:build linux

package labvm

import (
	"context"
	"fmt"

	"runbook/tests/lab"
)

// Reset gives the named machines, or all, fresh disks: the old kernel, nothing
// installed, nothing set; and new boots. The cluster forgets the nodes, with
// what was written on them, and the lab settles as Up lets it. It takes as long
// as the boots do.
func (l *Lab) Reset(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	hosts := l.Hosts()
	if len(names) > 0 {
		hosts = nil
		for _, name := range names {
			h, err := l.Host(name)
			if err != nil {
				return err
			}
			hosts = append(hosts, h)
		}
	}
	return l.step(fmt.Sprintf("reset of %d", len(hosts)), func() error {
		if err := lab.InParallel(hosts, func(h Host) error { return l.forget(ctx, h) }); err != nil {
			return err
		}
		if err := lab.InParallel(hosts, func(h Host) error { return l.boot(ctx, h) }); err != nil || l.cfg.Bare {
			return err
		}
		return l.clusterUp(ctx)
	})
}

// forget cuts a machine's power and lets the cluster forget the node. Its pods
// go at once: nothing of them is left that could end in order.
func (l *Lab) forget(ctx context.Context, h Host) error {
	if r, err := l.Process(h.Name); err == nil {
		if err := r.Stop(ctx, 0); err != nil {
			return err
		}
	}
	if l.cfg.Bare {
		return nil
	}
	if _, err := l.Kube(ctx, "delete", "pods", "--all-namespaces", "--field-selector=spec.nodeName="+h.Name, "--grace-period=0", "--force"); err != nil {
		return err
	}
	_, err := l.Kube(ctx, "delete", "node", h.Name, "--ignore-not-found")
	return err
}
