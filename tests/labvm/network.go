//go:build linux

package labvm

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// machines is how many there are: vm1 to vm3, at .11 to .13.
const machines = 3

// Host is one virtual machine.
type Host struct {
	Name    string
	Address string
	PodNet  string // the addresses of its pods

	id   string // of its board
	mac  string
	link string // its end of the cable, on the bridge's side
}

// network is the addresses of one lab.
type network struct {
	subnet  netip.Prefix
	bridge  string // another subnet, another name
	gateway string // this machine, on the bridge
	hosts   []Host
}

// plan lays the machines out in a /16.
func plan(subnet string) (network, error) {
	p, err := netip.ParsePrefix(subnet)
	if err != nil || !p.Addr().Is4() || p.Bits() != 16 || p.Masked() != p {
		return network{}, fmt.Errorf("network %q: an IPv4 network like %s is wanted", subnet, DefaultSubnet)
	}
	at := p.Addr().As4()
	address := func(last int) string { return netip.AddrFrom4([4]byte{at[0], at[1], 0, byte(last)}).String() }
	n := network{subnet: p, gateway: address(1), bridge: fmt.Sprintf("labvm%02x%02x", at[0], at[1])}
	for i := 1; i <= machines; i++ {
		n.hosts = append(n.hosts, Host{
			Name: fmt.Sprintf("vm%d", i), Address: address(10 + i), PodNet: fmt.Sprintf("10.244.%d.0/24", i),
			id:   fmt.Sprintf("1ab00000-0000-4000-8000-0000%02x%02x00%02x", at[0], at[1], i),
			mac:  fmt.Sprintf("52:54:00:%02x:%02x:%02x", at[0], at[1], i),
			link: fmt.Sprintf("%s-%d", n.bridge, i),
		})
	}
	return n, nil
}

// networkUp makes the switch that all machines are on, with this machine as the
// gateway, and the cables. Nothing is forwarded from it: the machines see each
// other and this machine, and no other network sees the machines.
func (l *Lab) networkUp(ctx context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, "link add %[1]s type bridge\naddr add %[2]s/%[3]d dev %[1]s\nlink set %[1]s up\n", l.net.bridge, l.net.gateway, l.net.subnet.Bits())
	for _, h := range l.net.hosts {
		fmt.Fprintf(&b, "tuntap add %[1]s mode tap\nlink set %[1]s master %[2]s up\n", h.link, l.net.bridge)
	}
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %s", err, out)
	}
	return os.WriteFile("/proc/sys/net/ipv4/conf/"+l.net.bridge+"/forwarding", []byte("0"), 0o644)
}

// remove removes the cables and the switch, as far as they are there.
func (n network) remove(ctx context.Context) error {
	var names []string
	for _, h := range n.hosts {
		names = append(names, h.link)
	}
	for _, name := range append(names, n.bridge) {
		if _, err := os.Stat("/sys/class/net/" + name); err != nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, "ip", "link", "delete", name).CombinedOutput(); err != nil {
			return fmt.Errorf("remove the interface %s: %w: %s", name, err, out)
		}
	}
	return nil
}
