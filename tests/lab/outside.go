//go:build linux

package lab

import "context"

// StateDir is where the running lab keeps what it needs, and what goes with it
// when it is taken down.
func (l *Lab) StateDir() string { return l.path() }

// Kube calls kubectl as the cluster's administrator and returns what it printed.
func (l *Lab) Kube(ctx context.Context, args ...string) (string, error) {
	return l.kubectl(ctx, args...)
}
