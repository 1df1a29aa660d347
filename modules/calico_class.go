package modules

import (
	"fmt"
	"slices"
)

// judgeSets finds the class of a fault of IP sets.
func (f calicoFacts) judgeSets(v *calicoVerdict) {
	e := parseSetError(f.felix.lastError)
	if f.felix.lastError != "" {
		life := "since it started at " + f.felix.started
		if f.felix.before {
			life = "before it died and started anew at " + f.felix.started
		}
		v.say("Felix complained of its sets %d times %s: %s", f.felix.errors, life, f.felix.lastError)
	}
	own := ownSets(f.reader().unreadable())
	switch {
	case calicoOwn(e.set) || len(own) > 0:
		f.rewritten(v, e, own)
	case f.hostReads(v, e):
		v.class, v.remedies = "C", []string{remedyHost}
		for _, set := range f.reader().unreadable() {
			v.say("%s", f.describe(set))
		}
		v.remedy = "upgrade ipset and libipset13 on this host"
		v.wont = "it does not change Calico's image: calico-node works with the host's ipset"
	default:
		f.foreign(v, e)
	}
}

// rewritten is class B: somebody has made Calico's own sets anew.
func (f calicoFacts) rewritten(v *calicoVerdict, e setError, own []ipsetRevision) {
	v.class, v.remedies = "B", []string{remedyRepair}
	f.saySets(v, "", own, "")
	if calicoOwn(e.set) && !slices.Contains(setNames(own), e.set) {
		v.say("the set %q that Felix names can be read by now, or is gone", e.set)
	}
	who := bumper(f.creators())
	if who == "" {
		v.say("nobody is seen on this host who rewrites sets; whoever did it may be switched off by now")
		v.remedy = "make these sets again with the ipset of calico-node, live"
	} else {
		v.remedy = fmt.Sprintf("switch off what rewrites the sets (%s), then make them again with the ipset of calico-node, live", creatorOff(who))
		v.wont = fmt.Sprintf("it does not repair the sets while %s runs: they would be back in seconds; ", who)
	}
	for _, c := range f.creators() {
		v.say("%s: %s", c.name, c.evidence)
	}
	v.remedy += "; or move Calico to " + selfHealing + ", which do that themselves"
	v.wont += "it does not touch the sets of others, and does not upgrade the host's ipset, which Felix does not use"
	version, known := f.running()
	if e.set == "" && known && version.listsAll() && len(f.reader().unreadable()) > len(own) {
		v.say("%s reads all sets, and sets of others are at revisions that it cannot read too", version)
		f.byImage(v)
	}
}

// creatorOff is how a creator is told to stop.
func creatorOff(name string) string {
	switch name {
	case "k3s":
		return "k3s: --disable-network-policy on every server, one by one"
	case "k0s":
		return "k0s: its network policies, which kube-router makes"
	case "kube-router":
		return "kube-router: --run-firewall=false, or without it altogether"
	}
	return name
}

// hostReads tells class C: the ipset that complains is the host's.
func (f calicoFacts) hostReads(v *calicoVerdict, e setError) bool {
	host, inside := f.host.ipset, f.reader()
	switch {
	case e.reader != "" && e.reader == host.version:
		v.say("the ipset that complains is %s, as this host has", e.reader)
		if e.reader == inside.version {
			v.say("calico-node's own ipset is %s too: the two cannot be told apart by version, and the host's is tried first", inside.version)
		}
		return true
	case e.reader != "" && inside.version != "" && e.reader != inside.version && host.version != "absent":
		v.say("the ipset that complains is %s, which is neither calico-node's (%s) nor this host's any more (%s)", e.reader, inside.version, host.version)
		return true
	}
	return e.reader == "" && len(host.unreadable()) > 0 && len(inside.unreadable()) == 0
}

// foreign is class A: this version reads the sets of others too.
func (f calicoFacts) foreign(v *calicoVerdict, e setError) {
	v.class = "A"
	if e.reader != "" {
		v.say("the ipset that complains is %s, calico-node's own; this host has %s", e.reader, f.host.ipset.version)
	}
	f.saySets(v, "", f.reader().unreadable(), "")
	for _, c := range f.creators() {
		v.say("%s: %s", c.name, c.evidence)
	}
	v.wont = fmt.Sprintf("it does not upgrade the host's ipset, which Felix does not use; does not set ipsetsRefreshInterval, as Felix reads all sets when it starts; and goes to no version that does the same, such as %s",
		calicoVersion{3, 26, 5})
	f.byImage(v)
}

// byImage adds another image as a remedy, where that is one that lasts.
func (f calicoFacts) byImage(v *calicoVerdict) {
	version, known := f.running()
	also := ""
	if v.remedy != "" {
		also = v.remedy + "; then "
	}
	switch {
	case f.cluster.operator:
		v.remedy = also + "move the Tigera operator to a release that installs Calico " + newestCure.String() + " or later: what is set in the daemonset by hand, it puts back"
		v.wont += "; nor does it set an image that the operator puts back"
	case v.imageTo != "":
		v.remedies = append(v.remedies, remedyImage)
		v.remedy = fmt.Sprintf("%smove calico-node from %s to %s, of the same minor, which reads only its own sets", also, version, v.imageTo)
	case known && version.listsAll():
		v.remedy = fmt.Sprintf("%smove Calico from %s to %s or later: no release of %s reads only its own sets", also, version, newestCure, version.line())
	default:
		v.remedy = also + "move Calico to " + newestCure.String() + " or later"
	}
}

// finish adds what holds for every class.
func (f calicoFacts) finish(v *calicoVerdict) {
	switch v.class {
	case "none":
		v.remedy = "nothing to do"
		v.wont = "it changes nothing: a step without a fault is a risk without a gain"
	case "D":
		v.remedy = "see why this host does not reach the Kubernetes API: the API server, kube-proxy's rules, a firewall; Felix goes on by itself when it does"
		v.wont = "it touches neither ipset nor Calico: Felix has not come as far as its sets"
	}
	if len(f.cluster.elsewhere) > 0 {
		v.say("there is another %s in namespace %s; this is of the one in %s", calicoNode, wordList(f.cluster.elsewhere), f.cluster.namespace)
	}
	if f.host.setsError != "" {
		v.say("the host's ipset cannot list the sets: %s", f.host.setsError)
	}
	if f.host.readerError != "" {
		v.say("calico-node's ipset cannot list the sets: %s", f.host.readerError)
	}
	v.upgrade, v.upgradeY = f.hostUpgrade(v.class)
}

// hostUpgrade says what another ipset on the host would do.
func (f calicoFacts) hostUpgrade(class string) (does, why string) {
	if class == "C" {
		return "helps", fmt.Sprintf("calico-node works with the host's ipset %s, which cannot read every set", f.host.ipset.version)
	}
	if why := f.wouldHarm(); why != "" {
		return "harms", why
	}
	inside := f.reader().version
	switch {
	case class == "none":
		return "no effect", "calico-node does well with the ipset that it has"
	case inside == "":
		inside = "of its own"
	}
	return "no effect", fmt.Sprintf("calico-node has an ipset %s, and does not use the host's (%s)", inside, f.host.ipset.version)
}
