//go:build linux

package lab

import (
	"context"
	"time"

	"runbook/tests/lab/parts"
	"runbook/tests/lab/state"
)

// What follows is for labs of another kind, whose nodes are not our hosts.

// ControlPlaneConfig says where a control plane without hosts lives.
type ControlPlaneConfig struct {
	Subnet    string        // a /16; the control plane listens on its first address, which this machine must have
	State     string        // certificates, data, logs, and the records of the processes in procs
	NodeGrace time.Duration // how long a node may be silent before it is NotReady
	Parts     parts.Parts   // of which Kube is used
}

// StartControlPlane starts etcd and a control plane on this machine, and returns
// the path of an administrator's kubeconfig when the API server is ready. Its
// processes live on; whoever called stops what is recorded in procs.
func StartControlPlane(ctx context.Context, c ControlPlaneConfig) (kubeconfig string, err error) {
	net, err := plan(c.Subnet)
	if err != nil {
		return "", err
	}
	l := &Lab{Dir: state.Dir(c.State), cfg: Config{Subnet: c.Subnet, State: c.State}, net: net, Parts: c.Parts, nodeGrace: c.NodeGrace}
	if err := l.Make(c.Subnet, "pki"); err != nil {
		return "", err
	}
	if err := l.makePKI(); err != nil {
		return "", err
	}
	return l.Kubeconfig(), l.controlPlaneUp(ctx)
}

// NewKey makes an ed25519 key in OpenSSH's formats.
func NewKey(comment string) (private, public []byte, err error) { return newKey(comment) }

// Poll looks until there is no error, and returns the last one when the limit is
// over.
func Poll(ctx context.Context, limit time.Duration, look func(context.Context) error) error {
	return poll(ctx, limit, look)
}

// WaitForPort returns when something accepts connections at addr.
func WaitForPort(ctx context.Context, addr string, limit time.Duration) error {
	return waitForPort(ctx, addr, limit)
}

// Occupied says which of this machine's routes collides with a /16, other than
// those through the interface called own. Empty: none.
func Occupied(ctx context.Context, subnet, own string) (string, error) {
	net, err := plan(subnet)
	if err != nil {
		return "", err
	}
	net.name = own
	return occupiedHere(ctx, net)
}

// InParallel does one thing for every item side by side and returns all errors,
// in the order of the items.
func InParallel[T any](items []T, do func(T) error) error { return inParallel(items, do) }
