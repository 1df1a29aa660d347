//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Hosts are the hosts of the lab, in the order of their names.
func (l *Lab) Hosts() []Host { return append([]Host(nil), l.net.hosts...) }

// Host is the host of that name.
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

// Inventory is the path of an inventory of the hosts, with what ssh needs to
// reach them.
func (l *Lab) Inventory() string { return l.path("inventory.ini") }

// KnownHosts is the path of the hosts' real keys.
func (l *Lab) KnownHosts() string { return l.path("known_hosts") }

// Key is the path of the private key that root and ops accept on every host.
func (l *Lab) Key() string { return l.path("id") }

// Kubeconfig is the path of an administrator's kubeconfig.
func (l *Lab) Kubeconfig() string { return l.path("kubeconfig") }

// Kubectl is the path of a kubectl of the cluster's own version.
func (l *Lab) Kubectl() string { return filepath.Join(l.Parts.Kube, "kubectl") }

// CA is the path of the authority that signed the cluster's and the sites'
// certificates.
func (l *Lab) CA() string { return l.path("ca.crt") }

// URLs are the two sites. They are reached by address, so that nothing has to
// resolve their names; Resolve gives the names.
func (l *Lab) URLs() []string {
	ingress := l.net.withRole(Ingress)
	return []string{"https://" + ingress[0].Address + "/", "https://" + ingress[1].Address + "/health"}
}

// Resolve maps the sites' names to addresses, as `curl --resolve` or a line in
// /etc/hosts wants them. The hosts of the lab know them already.
func (l *Lab) Resolve() map[string]string {
	names := map[string]string{}
	for i, h := range l.net.withRole(Ingress) {
		names[siteNames[i]] = h.Address
	}
	return names
}

// writeInventory writes the inventory and known_hosts.
func (l *Lab) writeInventory() error {
	var known strings.Builder
	for _, h := range l.net.hosts {
		key, err := os.ReadFile(l.path("hosts", h.Name, "host_key.pub"))
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

func (l *Lab) inventory() string {
	var b strings.Builder
	group := func(name string, want func(Host) bool) {
		fmt.Fprintf(&b, "[%s]\n", name)
		for _, h := range l.net.hosts {
			if want(h) {
				fmt.Fprintf(&b, "%s ansible_host=%s\n", h.Name, h.Address)
			}
		}
		b.WriteString("\n")
	}
	group("control_plane", func(h Host) bool { return h.Role == ControlPlane })
	group("workers", func(h Host) bool { return h.Role != ControlPlane })
	fmt.Fprintf(&b, `[nodes:children]
control_plane
workers

[nodes:vars]
ansible_user=root
ansible_ssh_private_key_file=%s
ansible_ssh_common_args='-o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes'
`, l.Key(), l.KnownHosts())
	return b.String()
}
