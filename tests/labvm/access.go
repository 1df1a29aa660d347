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
	"syscall"
	"time"

	"runbook/modules"
	"runbook/tests/lab/proc"
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

// StateDir is where the running lab keeps what it needs. It goes with the lab.
func (l *Lab) StateDir() string { return l.cfg.State }

// Inventory is the path of an inventory of the machines, with what ssh needs to
// reach them.
func (l *Lab) Inventory() string { return l.path("inventory.ini") }

// KnownHosts is the path of the machines' real keys.
func (l *Lab) KnownHosts() string { return l.path("known_hosts") }

// Key is the path of the private key that root and ops accept on every machine.
func (l *Lab) Key() string { return l.path("id") }

// Kubeconfig is the path of an administrator's kubeconfig. A bare lab has none.
func (l *Lab) Kubeconfig() string { return l.path("kubeconfig") }

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
	cmd.SysProcAttr = endWithUs()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ssh %s: %w: %s", net.JoinHostPort(h.Address, "22"), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// endWithUs lets a command that is no daemon end when this program is killed.
func endWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// record is the process that a machine or a daemon of the lab is.
func (l *Lab) record(name string) (proc.Record, error) {
	all, err := proc.Load(l.path("procs"))
	if err != nil {
		return proc.Record{}, err
	}
	for _, r := range all {
		if r.Name == name && r.Alive() {
			return r, nil
		}
	}
	return proc.Record{}, fmt.Errorf("%s is not running: %s may say why", name, l.path("logs", name+".log"))
}

// writeInventory writes the inventory and known_hosts.
func (l *Lab) writeInventory() error {
	var known strings.Builder
	for _, h := range l.net.hosts {
		key, err := os.ReadFile(l.path("machines", h.Name, "host_key.pub"))
		if err != nil {
			return err
		}
		fmt.Fprintf(&known, "%s %s", h.Address, key)
	}
	if err := os.WriteFile(l.KnownHosts(), []byte(known.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(l.Inventory(), []byte(l.inventory()), 0o644)
}

// inventory has the incident's groups. The control plane is this machine, which
// is nobody's to upgrade.
func (l *Lab) inventory() string {
	var b strings.Builder
	b.WriteString("[control_plane]\n\n[workers]\n")
	for _, h := range l.net.hosts {
		fmt.Fprintf(&b, "%s ansible_host=%s\n", h.Name, h.Address)
	}
	fmt.Fprintf(&b, `
[nodes:children]
control_plane
workers

[nodes:vars]
ansible_user=root
ansible_ssh_private_key_file=%s
ansible_ssh_common_args='-o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes'
`, l.Key(), l.KnownHosts())
	return b.String()
}
