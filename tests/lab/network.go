//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

const (
	podNetwork     = "10.244.0.0/16" // inside the hosts only
	serviceNetwork = "10.96.0.0/16"  // inside the hosts only
	apiServiceIP   = "10.96.0.1"
	dnsServiceIP   = "10.96.0.10"

	clientName  = "client"
	clientOctet = 200

	// DefaultSubnet is the network of the incident.
	DefaultSubnet = "10.0.0.0/16"
)

// Role is what a host is for.
type Role string

// The roles of the incident's hosts.
const (
	ControlPlane Role = "control-plane"
	Ingress      Role = "ingress" // a worker that the ingress controller runs on
	Worker       Role = "worker"
)

// layout is the incident's eight hosts: the last number of the address, and the
// role. The order gives the names, node001 to node008.
var layout = []struct {
	octet byte
	role  Role
}{
	{100, ControlPlane}, {101, ControlPlane}, {102, ControlPlane},
	{110, Ingress}, {111, Ingress}, {112, Worker}, {113, Worker}, {114, Worker},
}

// Host is one machine of the lab.
type Host struct {
	Name    string
	Address string
	Role    Role
	PodNet  string // the addresses of its pods

	link string // its end of the cable, on the bridge's side
	mac  string // of its own end
}

// network is the addresses of one lab.
type network struct {
	subnet  netip.Prefix
	name    string // of the bridge, and the start of every other name; another subnet, another name
	gateway string // this machine, on the bridge
	hosts   []Host
	client  Host // no node: what looks at a stacked lab's services from outside
}

// plan lays the hosts out in a /16.
func plan(subnet string) (network, error) {
	p, err := netip.ParsePrefix(subnet)
	if err != nil || !p.Addr().Is4() || p.Bits() != 16 || p.Masked() != p {
		return network{}, fmt.Errorf("lab network %q: an IPv4 network like %s is wanted", subnet, DefaultSubnet)
	}
	for _, used := range []string{podNetwork, serviceNetwork} {
		if p.Overlaps(netip.MustParsePrefix(used)) {
			return network{}, fmt.Errorf("lab network %q: %s is used inside the cluster; choose another", subnet, used)
		}
	}
	at := p.Addr().As4()
	address := func(last byte) string { return netip.AddrFrom4([4]byte{at[0], at[1], at[2], last}).String() }
	n := network{subnet: p, gateway: address(1), name: fmt.Sprintf("lab%02x%02x", at[0], at[1])}
	host := func(number int, name string, octet byte) Host {
		return Host{Name: name, Address: address(octet), link: fmt.Sprintf("%s-%d", n.name, number), mac: mac(address(octet))}
	}
	for i, at := range layout {
		h := host(i+1, fmt.Sprintf("node%03d", i+1), at.octet)
		h.Role, h.PodNet = at.role, fmt.Sprintf("10.244.%d.0/24", i+1)
		n.hosts = append(n.hosts, h)
	}
	n.client = host(len(layout)+1, clientName, clientOctet)
	return n, nil
}

// mac is the hardware address that goes with an address: a host keeps both when
// it boots again, as a machine does, so that nobody has to forget the old one.
func mac(address string) string {
	b := netip.MustParseAddr(address).As4()
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}

// cgroup is the control group that all hosts of the lab are below.
func (n network) cgroup() string { return "runbook-" + n.name }

func (n network) withRole(r Role) []Host {
	var out []Host
	for _, h := range n.hosts {
		if h.Role == r {
			out = append(out, h)
		}
	}
	return out
}

// occupied says which of this machine's routes, as `ip -json route` prints them,
// the network would collide with. The default route collides with nothing, and
// what goes through the lab's own bridge is an earlier lab.
func occupied(routes []byte, n network) (string, error) {
	var list []struct{ Dst, Dev string }
	if err := json.Unmarshal(routes, &list); err != nil {
		return "", fmt.Errorf("read this machine's routes: %w", err)
	}
	for _, r := range list {
		if r.Dst == "default" || r.Dev == n.name {
			continue
		}
		dst, err := netip.ParsePrefix(r.Dst)
		if err != nil {
			addr, err := netip.ParseAddr(r.Dst)
			if err != nil {
				return "", fmt.Errorf("read this machine's routes: destination %q", r.Dst)
			}
			dst = netip.PrefixFrom(addr, addr.BitLen())
		}
		if dst.Overlaps(n.subnet) {
			return fmt.Sprintf("%s dev %s", r.Dst, r.Dev), nil
		}
	}
	return "", nil
}
