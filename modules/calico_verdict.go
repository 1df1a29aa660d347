package modules

import (
	"fmt"
	"strings"
)

// The classes of the fault, and what the remedies are called in the playbooks.
const (
	remedyImage  = "calico-image"
	remedyRepair = "repair-sets"
	remedyHost   = "host-ipset"

	selfHealing = "v3.30.6, v3.31.3, or v3.32.0 and later"
)

// calicoVerdict is what follows from the facts, for the host they are of.
//
//	none  nothing is wrong now
//	A     the ipset in calico-node cannot read a set of somebody else, and this version reads all
//	B     it cannot read one of Calico's own, which somebody has made anew
//	C     calico-node works with the host's ipset, and that is the old one
//	D     Felix does not get at its datastore, the Kubernetes API
//	E     anything else that keeps calico-node from being ready
type calicoVerdict struct {
	class             string
	evidence          []string
	remedies          []string
	remedy, wont      string
	imageTo           string
	upgrade, upgradeY string // what another ipset on the host would do, and why
}

func (v *calicoVerdict) say(format string, args ...any) {
	v.evidence = append(v.evidence, fmt.Sprintf(format, args...))
}

func (v calicoVerdict) vars() map[string]any {
	return map[string]any{
		"class": v.class, "evidence": texts(v.evidence), "remedies": texts(v.remedies), "remedy": v.remedy, "wont": v.wont,
		"image_to": v.imageTo, "host_upgrade": v.upgrade, "host_upgrade_why": v.upgradeY,
	}
}

func (f calicoFacts) verdict() calicoVerdict {
	var v calicoVerdict
	if version, ok := f.running(); ok {
		v.imageTo = version.cure()
	}
	switch {
	case f.cluster.err != "":
		v.class = "D"
		v.say("the Kubernetes API cannot be asked from here: %s", f.cluster.err)
		f.sayFelix(&v)
	case f.cluster.daemonset == nil:
		f.other(&v, fmt.Sprintf("there is no daemonset of pods with %s in this cluster%s", f.cluster.selector, inNamespace(f.cluster.namespace)),
			"see where calico-node is, and name its namespace and selector; or install Calico")
	case f.cluster.node == "":
		f.other(&v, fmt.Sprintf("this host (%s, %s) is none of the %d nodes of the cluster", f.host.name, someSets(f.host.addresses), f.cluster.nodes),
			"take the host out of the inventory, or let it join the cluster")
	case f.complains():
		f.judgeSets(&v)
	case f.wellNow():
		f.sayWell(&v)
	default:
		f.judgeQuiet(&v)
	}
	f.finish(&v)
	return v
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return ", namespace " + namespace
}

// judgeQuiet finds out why calico-node is not ready although it does not
// complain of its sets.
func (f calicoFacts) judgeQuiet(v *calicoVerdict) {
	switch {
	case f.cluster.pod == nil && f.api == "":
		f.other(v, "there is no calico-node pod on this node", "see the events of the daemonset, and the taints of the node")
	case f.api != "":
		v.class = "D"
		v.say("%s", f.api)
		f.sayFelix(v)
	case f.felix.refused != "":
		f.other(v, "the API refuses Felix something: "+f.felix.refused, "give calico-node the rights of its ClusterRole again, or another token")
	case f.felix.status == "wait-for-ready":
		v.class = "D"
		v.say("Felix waits for its datastore since %s (status wait-for-ready)", f.felix.started)
		f.sayFelix(v)
	case f.felix.logError != "" && len(f.setsThatMatter()) > 0:
		v.say("Felix's log cannot be read (%s), so this goes by the sets alone", f.felix.logError)
		f.judgeSets(v)
	case f.felix.ready && !podReady(f.cluster.pod):
		f.other(v, "Felix is ready, and the pod is not: "+f.cluster.trouble, "see what the pod says of BIRD: its peers, port 179 between the nodes, the routes")
	default:
		f.sayFelix(v)
		f.other(v, "calico-node is not ready, and does not complain of IP sets", "see the pod's events and log; what keeps it is named in the evidence")
	}
}

func (f calicoFacts) other(v *calicoVerdict, reason, remedy string) {
	v.class, v.remedy = "E", remedy
	v.say("%s", reason)
	v.wont = "it touches neither ipset nor Calico: no step on sets can help here"
}

// sayFelix is what pod, health and log say where something is wrong.
func (f calicoFacts) sayFelix(v *calicoVerdict) {
	if f.cluster.pod != nil && f.cluster.trouble != "" {
		v.say("pod %s: %s", nameOf(f.cluster.pod), f.cluster.trouble)
	}
	switch {
	case f.felix.code != 0:
		v.say("%s", strings.TrimSpace(fmt.Sprintf("Felix's readiness answers %d %s", f.felix.code, f.felix.health)))
	case f.felix.health != "":
		v.say("Felix's readiness does not answer: %s", f.felix.health)
	}
	if f.felix.status != "" {
		v.say("Felix started at %s (pid %s), its status is %s", f.felix.started, f.felix.pid, f.felix.status)
	}
	if f.felix.datastore != "" {
		v.say("its log: %s", f.felix.datastore)
	}
	if f.felix.logError != "" {
		v.say("its log cannot be read: %s", f.felix.logError)
	}
}

func (f calicoFacts) sayWell(v *calicoVerdict) {
	v.class = "none"
	v.say("the pod %s is Ready, and Felix's readiness answers %d", nameOf(f.cluster.pod), f.felix.code)
	if f.felix.synced {
		v.say("Felix is in sync since its start at %s", f.felix.started)
	}
	if f.felix.recovered {
		v.say("it complained of its sets %d times, and has gone on since: %s", f.felix.errors, f.felix.lastError)
	}
	f.saySets(v, "at risk: ", f.reader().unreadable(), "; Felix does well, so it works with another ipset, or does not read this set")
}

// saySets names each set with what is wrong with it, up to as many as people read.
func (f calicoFacts) saySets(v *calicoVerdict, before string, sets []ipsetRevision, after string) {
	const few = 6
	for i, set := range sets {
		if i == few {
			v.say("%s%d more sets that the ipset of calico-node cannot read", before, len(sets)-few)
			return
		}
		v.say("%s%s%s", before, f.describe(set), after)
	}
}

// describe is a set that the ipset of calico-node does not know, and who made it.
func (f calicoFacts) describe(set ipsetRevision) string {
	text := fmt.Sprintf("set %q is of type %s revision %d, and the ipset %s of calico-node ", set.name, set.kind, set.revision, f.reader().version)
	if most, known := f.reader().reads[set.kind]; known {
		text += fmt.Sprintf("reads at most revision %d", most)
	} else {
		text += "does not know the type"
	}
	if netpolSet(set.name) {
		text += "; kube-router's network policies name sets so"
	} else if strings.HasPrefix(set.name, "KUBE-") {
		text += "; kube-proxy names sets so"
	}
	return text
}

// setsThatMatter are those that this version reads and its ipset cannot.
func (f calicoFacts) setsThatMatter() []ipsetRevision {
	sets := f.reader().unreadable()
	if version, ok := f.running(); ok && !version.listsAll() {
		sets = ownSets(sets)
	}
	return sets
}
