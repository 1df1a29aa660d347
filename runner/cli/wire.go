package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"runbook/inventory"
	"runbook/modules"
	"runbook/runner"
	"runbook/runner/kube"
	"runbook/runner/local"
	"runbook/runner/shell"
	"runbook/runner/ssh"
)

// dial reaches a host by the edge that its connection names.
func dial(ctx context.Context, a runner.Address) (runner.Machine, error) {
	switch a.Connection {
	case "local":
		h, err := local.Open(ctx)
		if err != nil {
			return nil, err
		}
		return machineOf(h), nil
	case "ssh", "smart":
		h, err := ssh.Dial(ctx, ssh.Options{
			Host: a.Name, Addr: a.Host, Port: a.Port, User: a.User, Keys: keys(a.Key),
			Password: secret(a.Password), HostKeys: ssh.Policy(a.HostKeys), Args: a.Args,
		})
		if err != nil {
			return nil, err
		}
		return machineOf(h), nil
	}
	return nil, fmt.Errorf("ansible_connection is %q, want ssh or local", a.Connection)
}

func keys(path string) []string {
	if path == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	return []string{path}
}

// secret is a password that an edge asks for when it needs it; nil for none.
func secret(text string) func(context.Context) (string, error) {
	if text == "" {
		return nil
	}
	return func(context.Context) (string, error) { return text, nil }
}

// edge is what the hosts of both edges have, in the words of their shells.
type edge interface {
	runner.Shell
	runner.Files
	Lock(context.Context, shell.Holder) (shell.Grip, error)
	Unlock(context.Context) error
	Do(context.Context, string, modules.Run) (modules.Output, error)
	Collect(context.Context, string) (shell.Fate, modules.Output, error)
	Forget(context.Context, []string) error
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	Lost() bool
	Close() error
}

// machine is the engine's view of a host.
type machine struct {
	edge
	as func(context.Context, shell.Become) (runner.Machine, error)
}

func machineOf[H interface {
	edge
	As(context.Context, shell.Become) (H, error)
}](h H) runner.Machine {
	return machine{h, func(ctx context.Context, b shell.Become) (runner.Machine, error) {
		other, err := h.As(ctx, b)
		if err != nil {
			return nil, err
		}
		return machineOf(other), nil
	}}
}

func (m machine) Lock(ctx context.Context, by runner.Holder) (runner.Grip, error) {
	grip, err := m.edge.Lock(ctx, shell.Holder(by))
	var held *shell.Held
	if errors.As(err, &held) {
		h := runner.Holder(held.By)
		if h.Run == "" {
			h = runner.Holder{Run: "unknown", Who: "somebody whose note on the host cannot be read"}
		}
		err = &runner.Held{By: h}
	}
	return runner.Grip(grip), err
}

func (m machine) Do(ctx context.Context, id string, cmd modules.Run) (modules.Output, error) {
	out, err := m.edge.Do(ctx, id, cmd)
	if errors.Is(err, shell.ErrUnlocked) {
		err = fmt.Errorf("%w: %w", runner.ErrUnlocked, err)
	}
	return out, err
}

func (m machine) Collect(ctx context.Context, id string) (runner.Fate, modules.Output, error) {
	fate, out, err := m.edge.Collect(ctx, id)
	return runner.Fate(fate), out, err
}

func (m machine) As(ctx context.Context, b runner.Become) (runner.Machine, error) {
	return m.as(ctx, become(b))
}

func become(b runner.Become) shell.Become {
	return shell.Become{User: b.User, Method: b.Method, Flags: strings.Fields(b.Flags), Password: secret(b.Password)}
}

// controlPlane are the groups whose hosts hold a kubeconfig, by the names that
// inventories give them.
var controlPlane = []string{"control_plane", "kube_control_plane", "kube-master", "masters", "master", "controlplane"}

const adminConf = "/etc/kubernetes/admin.conf"

// clusterOf opens the cluster that kubectl would, or, where there is no
// kubeconfig here, the one whose control-plane hosts are in the inventory, through
// whichever of them can be reached.
func clusterOf(inv *inventory.Inventory) func(context.Context, runner.Reach) (runner.Cluster, error) {
	return func(ctx context.Context, reach runner.Reach) (runner.Cluster, error) {
		if _, found := kube.Find(); found {
			return open(ctx, kube.Options{})
		}
		var errs []string
		hosts := controlPlaneHosts(inv)
		for i, host := range hosts {
			file, err := readConf(ctx, reach, host)
			if err != nil {
				errs = append(errs, err.Error())
				continue
			}
			w := &way{reach: reach, hosts: hosts, at: i}
			return open(ctx, kube.Options{Config: file.Data, Origin: adminConf + " of " + host, Dial: w.dial})
		}
		if errs == nil {
			return nil, modules.ErrNoCluster
		}
		return nil, fmt.Errorf("%w: %s", modules.ErrNoCluster, strings.Join(errs, "; "))
	}
}

func open(ctx context.Context, o kube.Options) (runner.Cluster, error) {
	c, err := kube.Open(ctx, o)
	if err != nil {
		return nil, err // not c: a nil client in the interface would not be nil
	}
	return c, nil
}

func readConf(ctx context.Context, reach runner.Reach, host string) (modules.File, error) {
	machine, err := reach(ctx, host)
	if err != nil {
		return modules.File{}, fmt.Errorf("%s: %w", host, err)
	}
	file, err := machine.ReadFile(ctx, adminConf)
	if err == nil && !file.Exists {
		err = fmt.Errorf("there is no %s", adminConf)
	}
	if err != nil {
		return modules.File{}, fmt.Errorf("%s: %w", host, err)
	}
	return file, nil
}

func controlPlaneHosts(inv *inventory.Inventory) []string {
	groups := inv.Groups()
	for _, name := range controlPlane {
		if len(groups[name]) > 0 {
			return groups[name]
		}
	}
	return nil
}
