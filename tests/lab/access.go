//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"runbook/tests/lab/state"
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

// Kubectl is the path of a kubectl of the cluster's own version.
func (l *Lab) Kubectl() string { return filepath.Join(l.Parts.Kube, "kubectl") }

// CA is the path of the authority that signed the cluster's and the sites'
// certificates.
func (l *Lab) CA() string { return l.Path("ca.crt") }

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
	var hosts []state.Host
	for _, h := range l.net.hosts {
		key, err := os.ReadFile(l.Path("hosts", h.Name, "host_key.pub"))
		if err != nil {
			return err
		}
		group := "workers"
		if h.Role == ControlPlane {
			group = "control_plane"
		}
		hosts = append(hosts, state.Host{Name: h.Name, Address: h.Address, Group: group, PublicKey: key})
	}
	return l.WriteInventory(hosts)
}
