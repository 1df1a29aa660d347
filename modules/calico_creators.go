package modules

import (
	"fmt"
	"slices"
	"strings"
)

// calicoCreator is who makes sets on this host, or makes those of others anew.
type calicoCreator struct {
	name, evidence string
	running        bool
	bumps          bool // it rewrites sets of others, and goes on doing so
	hostIpset      bool // it works with the host's ipset, not with one of its own
}

// creators goes by the processes and services of this host, and by the names of
// its sets: those of a creator that is gone stay until they are destroyed.
func (f calicoFacts) creators() []calicoCreator {
	list := f.policyMakers()
	proxied := f.setsNamed(func(name string) bool { return strings.HasPrefix(name, "KUBE-") && !netpolSet(name) })
	if f.cluster.kubeProxy == "ipvs" && len(proxied) > 0 {
		list = append(list, calicoCreator{name: "kube-proxy", running: true, evidence: "kube-proxy is in IPVS mode, and has " + someSets(proxied)})
	}
	for _, c := range []struct{ name, process, service string }{
		{"firewalld", "firewalld", "firewalld"},
		{"fail2ban", "fail2ban-server", "fail2ban"},
		{"crowdsec", "crowdsec-firewa", "crowdsec-firewall-bouncer"},
		{"netfilter-persistent", "", "netfilter-persistent"},
	} {
		if why := f.runs([]string{c.process}, []string{c.service}); why != "" {
			list = append(list, calicoCreator{name: c.name, running: true, hostIpset: true, evidence: why})
		}
	}
	return list
}

// policyMakers are kube-router and those who have it built in. Such a one saves
// all sets of the host and restores them under its own revisions.
func (f calicoFacts) policyMakers() []calicoCreator {
	var list []calicoCreator
	sets := f.setsNamed(netpolSet)
	seen := ""
	if len(sets) > 0 {
		seen = "; its sets: " + someSets(sets)
	}
	hostIpset := f.host.ipset.version != "absent"
	if why := f.runs([]string{"kube-router"}, []string{"kube-router"}); why != "" {
		bumps := f.makesPolicies("kube-router")
		if !bumps {
			why += " with --run-firewall=false"
		}
		list = append(list, calicoCreator{name: "kube-router", running: true, bumps: bumps, evidence: why + seen})
	}
	if why := f.runs([]string{"k3s", "k3s-server", "k3s-agent"}, []string{"k3s", "k3s-agent"}); why != "" {
		off := f.cluster.withoutNetpol || f.host.withoutNetpolK3s || !f.makesPolicies("k3s", "k3s-server", "k3s-agent")
		if off {
			why += " with disable-network-policy"
		}
		list = append(list, calicoCreator{name: "k3s", running: true, bumps: !off, hostIpset: hostIpset, evidence: why + seen})
	}
	if why := f.runs([]string{"k0s"}, []string{"k0sworker", "k0scontroller"}); why != "" {
		list = append(list, calicoCreator{name: "k0s", running: true, bumps: len(sets) > 0, hostIpset: hostIpset, evidence: why + seen})
	}
	if len(list) == 0 && len(sets) > 0 {
		list = []calicoCreator{{name: "kube-router", evidence: "no process of it runs on this host, but its sets are here: " + someSets(sets)}}
	}
	return list
}

// netpolSet tells sets that kube-router's network policies have.
func netpolSet(name string) bool {
	return slices.ContainsFunc([]string{"KUBE-SRC-", "KUBE-DST-", "kube-router-"}, func(p string) bool {
		return strings.HasPrefix(name, p) || strings.HasPrefix(name, "inet6:"+p)
	})
}

// makesPolicies says whether one of these processes was not told to leave
// network policies alone. Where only a service is known, it was not.
func (f calicoFacts) makesPolicies(processes ...string) bool {
	seen := false
	for _, name := range processes {
		makes, runs := f.host.processes[name]
		if makes {
			return true
		}
		seen = seen || runs
	}
	return !seen
}

// runs says what of these runs on the host, or nothing.
func (f calicoFacts) runs(processes, services []string) string {
	for _, name := range processes {
		if _, ok := f.host.processes[name]; ok {
			return fmt.Sprintf("the process %s runs on this host", name)
		}
	}
	for _, name := range services {
		if slices.Contains(f.host.services, name) {
			return fmt.Sprintf("the service %s is active", name)
		}
	}
	return ""
}

// setsNamed are the sets of the host, by whichever binary could name them.
func (f calicoFacts) setsNamed(is func(string) bool) []string {
	var names []string
	for _, set := range append(slices.Clone(f.host.ipset.sets), f.host.reader.sets...) {
		if is(set.name) {
			names = append(names, set.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// someSets names a few, and how many more there are.
func someSets(names []string) string {
	const few = 3
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// bumper names who rewrites sets now; empty where nobody is seen to.
func bumper(list []calicoCreator) string {
	for _, c := range list {
		if c.bumps {
			return c.name
		}
	}
	return ""
}

// wouldHarm says why another ipset on the host could bring the fault about: who
// makes sets with it would make them at revisions that calico-node cannot read.
func (f calicoFacts) wouldHarm() string {
	for _, c := range f.creators() {
		if !c.hostIpset {
			continue
		}
		for _, kind := range calicoKinds {
			reads, known := f.host.reader.reads[kind].(int)
			creates, makes := f.host.ipset.creates[kind].(int)
			switch {
			case f.kernelStopsAt(kind, reads) && known, makes && known && creates > reads:
				continue // nothing can get worse: the kernel has no more, or it is so already
			case !known:
				return fmt.Sprintf("%s makes sets with the host's ipset, and what the one in calico-node reads is not known", c.name)
			}
			return fmt.Sprintf("%s makes sets with the host's ipset, now at revision %d of %s at most, which calico-node reads (up to %d); a newer ipset may make them at one that it does not",
				c.name, creates, kind, reads)
		}
	}
	return ""
}

// calicoKinds are the types whose newest revisions old readers do not know.
var calicoKinds = []string{"hash:ip", "hash:ip,port", "hash:net,net"}

// kernelStopsAt says whether the kernel offers no revision above most.
func (f calicoFacts) kernelStopsAt(kind string, most int) bool {
	var low, high int
	said, _ := f.host.revisions[kind].(string)
	n, err := fmt.Sscanf(said, "%d-%d", &low, &high)
	return err == nil && n == 2 && high <= most
}
