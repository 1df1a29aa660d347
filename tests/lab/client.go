//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"

	"runbook/tests/lab/hostspec"
)

// clientProxy is the configuration of the client's kube-proxy. It goes by the
// name of a node, because it wants to read one; nothing else comes of that.
const clientProxy = proxyConfig + "bindAddress: %s\n"

// clientUp starts what looks at a stacked lab from outside: a namespace on the
// bridge that is no node, with a kube-proxy of its own and a route to the pods
// of every node. So a Service's address works there for as long as the Service
// does, whatever becomes of any one node.
func (l *Lab) clientUp(context.Context) error {
	if !l.Stacked {
		return nil
	}
	h := l.net.client
	kubeconfig, err := os.ReadFile(l.Kubeconfig())
	if err != nil {
		return err
	}
	if err := l.writeFiles(h, []file{
		{"etc/hostname", 0o644, []byte(h.Name + "\n")},
		{"etc/lab/proxy.yaml", 0o644, fmt.Appendf(nil, clientProxy, l.net.hosts[0].Name, h.Address)},
		{nodeKubeconfig[1:], 0o600, kubeconfig},
	}); err != nil {
		return err
	}
	if err := l.freshLayer(h); err != nil {
		return err
	}
	dir := func(name string) string { return l.Path("hosts", h.Name, name) }
	for _, name := range []string{"root", "work"} {
		if err := os.MkdirAll(dir(name), 0o755); err != nil {
			return err
		}
	}
	setup := [][]string{
		{"mkdir", "-p", "/run/lab"},
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", fmt.Sprintf("%s/%d", h.Address, l.net.subnet.Bits()), "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", "default", "via", l.net.gateway},
	}
	for _, node := range l.net.hosts {
		setup = append(setup, []string{"ip", "route", "add", node.PodNet, "via", node.Address})
	}
	// It never boots anything but this machine's own kernel.
	return l.startMachineWith(h, false, hostspec.Host{
		Name: h.Name, Root: dir("root"), Lower: l.tree(), Upper: dir("upper"), Work: dir("work"),
		Mounts: append(systemMounts(), hostspec.Mount{Source: l.Parts.Kube, At: "/opt/lab", ReadOnly: true}),
		Setup:  setup,
		Services: []hostspec.Service{
			{Name: "kube-proxy", After: []string{kubeletMay}, Args: []string{"/opt/lab/kube-proxy", "--config=/etc/lab/proxy.yaml"}},
		},
	})
}
