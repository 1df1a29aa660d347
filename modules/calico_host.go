package modules

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// calicoServices make sets, or rules that use them, where they run.
const calicoServices = "firewalld ufw fail2ban crowdsec crowdsec-firewall-bouncer netfilter-persistent k3s k3s-agent k0scontroller k0sworker kube-router"

// calicoHostScript is everything that the host has to say, in one round trip:
// what its own ipset sees, the facts around it, and what the ipset in the file
// system of the oldest calico-node on this network sees. A process of another
// network has other sets. The name of a process ends after 15 characters.
const calicoHostScript = `(
ipset=ipset enter=
command -v ipset >/dev/null 2>&1 || { echo @missing; exit 0; }
` + ipsetReport + `)
echo "%facts"
echo "@kernel"; uname -r
echo "@now"; date -u '+%Y-%m-%d %H:%M:%S'
echo "@hostname"; uname -n
echo "@addresses"; ip -o addr show 2>/dev/null || hostname -I 2>/dev/null
echo "@packages"
if command -v dpkg-query >/dev/null 2>&1; then
	dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' ipset 'libipset*' 2>/dev/null
elif command -v rpm >/dev/null 2>&1; then
	rpm -q --qf '%{NAME} %{VERSION}-%{RELEASE} installed\n' ipset ipset-libs 2>/dev/null
fi
echo "@revisions"
for module in ip_set_hash_ip ip_set_hash_ipport ip_set_hash_netnet ip_set_hash_net; do
	modinfo -k "$(uname -r)" -F description "$module" 2>/dev/null
done
echo "@modules"; sed -n 's/^\(ip_set[a-z0-9_]*\|xt_set\) .*/\1/p' /proc/modules 2>/dev/null
echo "@cni"; ls /etc/cni/net.d 2>/dev/null
echo "@links"; ls /sys/class/net 2>/dev/null
echo "@services"
if [ -d /run/systemd/system ]; then
	for service in ` + calicoServices + `; do
		[ "$(systemctl is-active "$service" 2>/dev/null)" = active ] && echo "$service"
	done
fi
echo "@settings"
grep -rhs disable-network-policy /etc/rancher/k3s /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service | grep -vq false && echo k3s-without-netpol
echo "@processes"
network=$(readlink /proc/self/ns/net)
oldest= born=
for p in /proc/[0-9]*; do
	{ read -r name <"$p/comm"; } 2>/dev/null || continue
	case $name in
	calico-node | kube-router | kube-proxy | k3s | k3s-server | k3s-agent | k0s | firewalld | fail2ban-server | crowdsec-firewa*) ;;
	*) continue ;;
	esac
	[ "$(readlink "$p/ns/net" 2>/dev/null)" = "$network" ] || continue
	option=
	tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qx -e '--run-firewall=false' -e '--disable-network-policy' && option=" without-netpol"
	echo "$name ${p#/proc/}$option"
	[ "$name" = calico-node ] || continue
	{ read -r stat <"$p/stat"; } 2>/dev/null || continue
	set -- ${stat##*\)}
	if [ -z "$born" ] || [ "${20}" -lt "$born" ]; then oldest=${p#/proc/} born=${20}; fi
done
[ -n "$oldest" ] || exit 0
echo "%reader"
echo "@pid"; echo "$oldest"
ipset=ipset enter="nsenter -t $oldest -m --"
` + ipsetReport

// calicoHost is what one host says.
type calicoHost struct {
	ipset            ipsetWorld // as the host's own binary sees them
	reader           ipsetWorld // as the one inside calico-node sees them
	readerPID        string     // empty: no calico-node runs here
	readerError      string     // why its ipset could not be asked
	setsError        string     // why the host's could not
	kernel, name     string
	now              time.Time
	addresses        []string
	pkg, libs        string // versions; empty where not installed
	revisions        map[string]any
	modules          []string
	cni, links       []string
	services         []string
	processes        map[string]bool // by name: whether one of them makes network policies
	withoutNetpolK3s bool
}

const calicoHostWithin = time.Minute

func lookAtCalicoHost(ctx context.Context, t Target) (calicoHost, error) {
	out, err := t.Query(ctx, calicoHostQuery())
	if err != nil {
		return calicoHost{}, err
	}
	h := parseCalicoHost(out.Stdout)
	if strings.Contains(h.setsError, "not permitted") {
		return h, fmt.Errorf("the IP sets of this host cannot be listed: %s; only root can, so add become: true", h.setsError)
	}
	if h.kernel == "" {
		return h, fmt.Errorf("this host did not say which kernel it has (exit code %d: %s)", out.Code, lastLine(out.Stderr))
	}
	return h, nil
}

func calicoHostQuery() Run {
	return Run{Shell: calicoHostScript, Env: ipsetEnv(), Limit: calicoHostWithin, Show: "ipset list, here and inside calico-node; packages, modules, services"}
}

func parseCalicoHost(text string) calicoHost {
	own, rest, _ := strings.Cut(text, "%facts\n")
	facts, inside, running := strings.Cut(rest, "%reader\n")
	said := atSections(facts)
	h := calicoHost{
		kernel: strings.TrimSpace(said["kernel"]), name: strings.TrimSpace(said["hostname"]), addresses: parseAddresses(said["addresses"]),
		revisions: map[string]any{}, modules: strings.Fields(said["modules"]), cni: strings.Fields(said["cni"]),
		services: strings.Fields(said["services"]), processes: map[string]bool{}, withoutNetpolK3s: strings.TrimSpace(said["settings"]) != "",
	}
	h.now, _ = time.Parse(time.DateTime, strings.TrimSpace(said["now"]))
	h.ipset, h.setsError = parseCalicoSets(own)
	if running {
		h.reader, h.readerError = parseCalicoSets(inside)
		h.readerPID = strings.TrimSpace(atSections(inside)["pid"])
	}
	for line := range strings.Lines(said["packages"]) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "installed" && f[0] == "ipset" {
			h.pkg = f[1]
		} else if len(f) == 3 && f[2] == "installed" {
			h.libs = f[1]
		}
	}
	for line := range strings.Lines(said["revisions"]) {
		if m := kernelRevisions.FindStringSubmatch(line); m != nil {
			h.revisions[m[1]] = m[2]
		}
	}
	for line := range strings.Lines(said["processes"]) {
		f := strings.Fields(line)
		if len(f) >= 2 {
			h.processes[f[0]] = h.processes[f[0]] || len(f) == 2
		}
	}
	h.links = slices.DeleteFunc(strings.Fields(said["links"]), func(l string) bool { return !slices.Contains(calicoLinks, l) })
	return h
}

var (
	kernelRevisions = regexp.MustCompile(`^(\S+) type of IP sets, revisions? (\S+)`)
	hostAddress     = regexp.MustCompile(`\binet6? ([0-9a-fA-F.:]+)`)
)

// calicoLinks are those of Calico, and what other networks leave behind.
var calicoLinks = []string{
	"tunl0", "vxlan.calico", "wireguard.cali", "flannel.1", "cni0", "kube-ipvs0", "kube-bridge", "cilium_host", "weave", "kube-dummy-if", "docker0",
}

// parseAddresses reads `ip -o addr`, or the plain list that hostname gives.
func parseAddresses(text string) []string {
	var list []string
	for _, m := range hostAddress.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	if list == nil {
		list = strings.Fields(text)
	}
	return list
}

func parseCalicoSets(text string) (w ipsetWorld, trouble string) {
	sections := atSections(text)
	if _, missing := sections["missing"]; missing {
		return ipsetWorld{version: "absent"}, ""
	}
	w = parseIpsetWorld(sections)
	if said, failed := sections["failed"]; failed {
		trouble = lastLine(said)
	}
	return w, trouble
}

// unreadable are the sets that this binary does not know the revision of.
func (w ipsetWorld) unreadable() []ipsetRevision {
	return slices.DeleteFunc(slices.Clone(w.sets), func(s ipsetRevision) bool { return s.readable })
}

// calicoOwn tells Calico's own sets.
func calicoOwn(name string) bool { return (&ipset{Scope: "calico"}).inScope(name) }

func ownSets(sets []ipsetRevision) []ipsetRevision {
	return slices.DeleteFunc(slices.Clone(sets), func(s ipsetRevision) bool { return !calicoOwn(s.name) })
}

func setNames(sets []ipsetRevision) []string {
	var names []string
	for _, s := range sets {
		names = append(names, s.name)
	}
	return names
}

func (h calicoHost) vars() map[string]any {
	vars := h.ipset.vars(h.ipset.unreadable())
	maps.Copy(vars, map[string]any{
		"kernel": h.kernel, "package": h.pkg, "libipset": h.libs, "kernel_revisions": h.revisions, "modules": texts(h.modules),
		"cni": texts(h.cni), "links": texts(h.links), "services": texts(h.services), "hostname": h.name, "error": h.setsError,
	})
	return vars
}

func (h calicoHost) readerVars() map[string]any {
	all := h.reader.unreadable()
	vars := h.reader.vars(all)
	return map[string]any{
		"ipset": vars["ipset"], "reads": vars["reads"], "unreadable": vars["unreadable"],
		"own_unreadable": texts(setNames(ownSets(all))), "error": h.readerError,
	}
}
