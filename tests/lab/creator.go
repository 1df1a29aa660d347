//go:build linux

package lab

import (
	"context"
	"fmt"
	"time"
)

const (
	// creator is the DaemonSet, and the process on every host, that writes all sets
	// of the host anew, about every second, with an ipset of its own, 7.17.
	creator = "kube-router"
	// creatorWithin is how long it may take to come or to go.
	creatorWithin = time.Minute
)

// SwitchCreator starts the creator of class B on every host, or takes it away;
// it returns when it runs everywhere, or when its processes are gone. The sets
// stay as it has left them.
func (l *Lab) SwitchCreator(ctx context.Context, on bool) error {
	if on {
		if err := l.apply(ctx, "kube-router.yaml"); err != nil {
			return err
		}
		_, err := l.Kube(ctx, "rollout", "status", "-n", "kube-system", "daemonset/"+creator, "--timeout="+creatorWithin.String())
		return err
	}
	if _, err := l.Kube(ctx, "delete", "daemonset", "-n", "kube-system", creator, "--ignore-not-found", "--cascade=foreground", "--timeout="+creatorWithin.String()); err != nil {
		return err
	}
	return l.eachHost(ctx, func(ctx context.Context, h Host) error {
		return poll(ctx, creatorWithin, func(ctx context.Context) error {
			out, err := l.in(ctx, h, "pgrep -x "+creator+" || true")
			if err == nil && out != "" {
				err = fmt.Errorf("%s: %s still runs: process %s", h.Name, creator, out)
			}
			return err
		})
	})
}
