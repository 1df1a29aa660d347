//go:build linux

package labvm

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"runbook/modules"
	"runbook/tests/lab/proc"
	"runbook/tests/lab/state"
)

// Hosts are the machines, in the order of their names.
func (l *Lab) Hosts() []Host { return append([]Host(nil), l.net.hosts...) }

// Host is the machine of that name.
func (l *Lab) Host(name string) (Host, error) {
	for _, h := range l.net.hosts {
		if h.Name == name {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("host %q: the lab has %s to %s", name, l.net.hosts[0].Name, l.net.hosts[len(l.net.hosts)-1].Name)
}

// Kubectl is the path of a kubectl of the cluster's own version.
func (l *Lab) Kubectl() string { return filepath.Join(l.Shared.Kube, "kubectl") }

// Console is all that the machine has written to its serial console since the
// lab came up: GRUB, kernels, systemd.
func (l *Lab) Console(host string) (string, error) {
	h, err := l.Host(host)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(l.consolePath(h))
	return string(data), err
}

// SSH runs a shell script on a machine as root and returns what it printed.
func (l *Lab) SSH(ctx context.Context, host, script string) (string, error) {
	h, err := l.Host(host)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "ssh", "-n", "-i", l.Key(), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile="+l.KnownHosts(), "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
		"root@"+h.Address, "sh -ec "+modules.Quote(script))
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = proc.EndWithUs()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ssh %s: %w: %s", net.JoinHostPort(h.Address, "22"), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// writeInventory writes the inventory and known_hosts. All are workers: the
// control plane is this machine, which is nobody's to upgrade.
func (l *Lab) writeInventory() error {
	var hosts []state.Host
	for _, h := range l.net.hosts {
		key, err := os.ReadFile(l.Path("machines", h.Name, "host_key.pub"))
		if err != nil {
			return err
		}
		hosts = append(hosts, state.Host{Name: h.Name, Address: h.Address, Group: "workers", PublicKey: key})
	}
	return l.WriteInventory(hosts)
}
