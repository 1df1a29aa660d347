package modules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// soundFacts are of a node of a manifest install on which nothing is wrong: the
// host's ipset is 7.17, the one in calico-node 7.11.
func soundFacts(version string) calicoFacts {
	var f calicoFacts
	f.host = parseCalicoHost(calicoHostSaid)
	f.host.processes, f.host.services = map[string]bool{"calico-node": true}, nil
	f.host.ipset.sets = []ipsetRevision{{"cali40this-host", "hash:ip", 5, true}}
	f.host.reader.sets = []ipsetRevision{{"cali40this-host", "hash:ip", 5, true}}
	f.cluster = calicoCluster{
		namespace: "kube-system", node: "node1", nodes: 8, version: version, kubeProxy: "iptables",
		daemonset: Object{"kind": "DaemonSet", "metadata": map[string]any{"name": "calico-node", "namespace": "kube-system"}},
		pod:       calicoPod("calico-node-x", "node1", version, true),
	}
	f.felix.ready, f.felix.code = true, 200
	f.felix.felixLife = felixLife{started: "2026-01-02 09:59:00.000", pid: "57", status: "in-sync", synced: true}
	return f
}

func calicoPod(name, node, version string, ready bool) Object {
	status := "False"
	if ready {
		status = "True"
	}
	return Object{
		"kind":     "Pod",
		"metadata": map[string]any{"name": name, "namespace": "kube-system", "uid": "u"},
		"spec": map[string]any{"nodeName": node, "containers": []any{
			map[string]any{"name": "calico-node", "image": "docker.io/calico/node:" + version},
		}},
		"status": map[string]any{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": status}}},
	}
}

// foreignSet puts a set of somebody else on the host that calico-node's ipset
// does not know.
func foreignSet(f *calicoFacts) {
	f.host.ipset.sets = append(f.host.ipset.sets, ipsetRevision{"KUBE-DST-X", "hash:ip", 6, true})
	f.host.reader.sets = append(f.host.reader.sets, ipsetRevision{"KUBE-DST-X", "hash:ip", 6, false})
}

// bumped makes the sets of both anew, one of Calico's own among them.
func bumped(f *calicoFacts) {
	f.host.ipset.sets[0].revision, f.host.reader.sets[0].revision, f.host.reader.sets[0].readable = 6, 6, false
}

// complains is Felix that dies of a line again and again.
func complains(f *calicoFacts, line string) {
	f.felix.ready, f.felix.code, f.felix.synced, f.felix.errors = false, 503, false, 10
	f.felix.lastError = "2026-01-02 09:59:01.000 [ERROR][57] " + line
	f.cluster.pod = calicoPod("calico-node-x", "node1", f.cluster.version, false)
}

// quiet is Felix that is not ready and says nothing of sets.
func quiet(f *calicoFacts, status string) {
	complains(f, "")
	f.felix.felixLife = felixLife{started: "2026-01-02 09:59:00.000", pid: "57", status: status}
}

var calicoVerdicts = map[string]struct {
	version  string
	facts    func(*calicoFacts)
	class    string
	remedies string
	upgrade  string // no effect where empty
	says     string // in the evidence, separated by |
	remedy   string
	wont     string
}{
	"sound": {
		version: "v3.27.5", class: "none", says: "Ready|in sync", remedy: "nothing to do",
	},
	"at risk is not at fault": {
		version: "v3.27.0", facts: foreignSet, class: "none",
		says: `at risk: set "KUBE-DST-X" is of type hash:ip revision 6, and the ipset 7.11 of calico-node reads at most revision 5; kube-router's network policies name sets so`,
	},
	"got over it": {
		version: "v3.27.5", class: "none", says: "has gone on since",
		facts: func(f *calicoFacts) {
			f.felix.errors, f.felix.recovered, f.felix.lastError = 1, true, saysRetry
		},
	},
	"another's set": {
		version: "v3.27.0", class: "A", remedies: "calico-image",
		facts:  func(f *calicoFacts) { foreignSet(f); complains(f, saysAll) },
		says:   `Bad return code from 'ipset list'|the ipset that complains is 7.11, calico-node's own; this host has 7.17|set "KUBE-DST-X" is of type hash:ip revision 6`,
		remedy: "from v3.27.0 to v3.27.5", wont: "does not upgrade the host's ipset",
	},
	"another's set, and no release of the minor that helps": {
		version: "v3.26.5", class: "A",
		facts:  func(f *calicoFacts) { foreignSet(f); complains(f, saysAll) },
		remedy: "from v3.26.5 to v3.27.5 or later: no release of v3.26",
	},
	"another's set, by the operator": {
		version: "v3.27.0", class: "A",
		facts:  func(f *calicoFacts) { foreignSet(f); complains(f, saysAll); f.cluster.operator = true },
		remedy: "operator to a release that installs Calico v3.27.5", wont: "the operator puts back",
	},
	"another's set, ready and complaining": {
		version: "v3.27.0", class: "A", remedies: "calico-image",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			complains(f, saysAll)
			f.felix.ready, f.felix.synced, f.cluster.pod = true, true, calicoPod("calico-node-x", "node1", "v3.27.0", true)
		},
	},
	"the pod has another image than the workload": {
		version: "v3.27.5", class: "A", remedies: "calico-image",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			complains(f, saysAll)
			f.cluster.pod = calicoPod("calico-node-x", "node1", "v3.27.0", false)
		},
	},
	"one's own set": {
		version: "v3.27.5", class: "B", remedies: "repair-sets",
		facts:  func(f *calicoFacts) { bumped(f); complains(f, saysOwn) },
		says:   `set "cali40this-host" is of type hash:ip revision 6, and the ipset 7.11 of calico-node reads at most revision 5|nobody is seen`,
		remedy: "make these sets again", wont: "does not touch the sets of others",
	},
	"one's own set, and who rewrites it": {
		version: "v3.27.5", class: "B", remedies: "repair-sets",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			bumped(f)
			complains(f, saysOwn)
			f.host.processes["kube-router"] = true
		},
		says: "kube-router: the process kube-router runs on this host; its sets: KUBE-DST-X", remedy: "switch off what rewrites the sets (kube-router", wont: "while kube-router runs",
	},
	"one's own set that can be read again": {
		version: "v3.27.5", class: "B", remedies: "repair-sets",
		facts: func(f *calicoFacts) { complains(f, saysOwn) }, says: `"cali40this-host" that Felix names can be read by now`,
	},
	"one's own set, by a version that does not name it": {
		version: "v3.27.0", class: "B", remedies: "repair-sets calico-image",
		facts: func(f *calicoFacts) { foreignSet(f); bumped(f); complains(f, saysAll) },
		says:  "v3.27.0 reads all sets", remedy: "then move calico-node from v3.27.0 to v3.27.5",
	},
	"only one's own set, by a version that does not name it": {
		version: "v3.27.0", class: "B", remedies: "repair-sets",
		facts: func(f *calicoFacts) { bumped(f); complains(f, saysAll) },
	},
	"the host's ipset": {
		version: "v3.27.0", class: "C", remedies: "host-ipset", upgrade: "helps",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			complains(f, strings.ReplaceAll(saysAll, "7.11", "7.6"))
			f.host.ipset.version, f.host.ipset.sets[1].readable = "7.6", false
		},
		says: "the ipset that complains is 7.6, as this host has", remedy: "upgrade ipset and libipset13",
	},
	"the host's ipset, as old as calico-node's": {
		version: "v3.27.0", class: "C", remedies: "host-ipset", upgrade: "helps",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			complains(f, saysAll)
			f.host.ipset.version, f.host.ipset.sets[1].readable = "7.11", false
		},
		says: "cannot be told apart by version",
	},
	"the host's ipset, upgraded a moment ago": {
		version: "v3.27.0", class: "C", remedies: "host-ipset", upgrade: "helps",
		facts: func(f *calicoFacts) {
			foreignSet(f)
			complains(f, strings.ReplaceAll(saysAll, "7.11", "7.6"))
		},
		says: "nor this host's any more (7.17)",
	},
	"Felix waits for the API": {
		version: "v3.27.0", class: "D", facts: func(f *calicoFacts) { foreignSet(f); quiet(f, "wait-for-ready") },
		says: "waits for its datastore|readiness answers 503", remedy: "does not reach the Kubernetes API", wont: "neither ipset nor Calico",
	},
	"the ClusterIP does not answer": {
		version: "v3.27.5", class: "D",
		facts: func(f *calicoFacts) {
			quiet(f, "resync")
			f.api = "the API's ClusterIP 10.96.0.1:443 does not answer this host: timeout"
		},
		says: "10.96.0.1:443",
	},
	"the API does not answer anybody": {
		version: "v3.27.0", class: "D",
		facts: func(f *calicoFacts) {
			*f = calicoFacts{host: f.host, felix: felixState{code: 503}}
			f.cluster.err = "connection refused"
		},
		says: "cannot be asked from here: connection refused|answers 503",
	},
	"rights": {
		version: "v3.27.5", class: "E",
		facts: func(f *calicoFacts) { quiet(f, "wait-for-ready"); f.felix.refused = saysDenied },
		says:  "nodes is forbidden", remedy: "ClusterRole",
	},
	"no pod": {
		version: "v3.27.5", class: "E", says: "there is no calico-node pod on this node",
		facts: func(f *calicoFacts) {
			f.cluster.pod, f.felix, f.host.reader, f.host.readerPID = nil, felixState{health: "connection refused"}, ipsetWorld{}, ""
		},
	},
	"an image that cannot be had": {
		version: "v3.27.4", class: "E", says: "waits: ImagePullBackOff|does not answer: connection refused",
		facts: func(f *calicoFacts) {
			quiet(f, "")
			f.felix = felixState{health: "connection refused"}
			f.cluster.trouble = "not ready, container calico-node waits: ImagePullBackOff"
		},
	},
	"BIRD": {
		version: "v3.27.5", class: "E", says: "Felix is ready, and the pod is not: BGP not established with 10.0.0.2", remedy: "port 179",
		facts: func(f *calicoFacts) {
			f.cluster.pod, f.cluster.trouble = calicoPod("calico-node-x", "node1", "v3.27.5", false), "BGP not established with 10.0.0.2"
		},
	},
	"the pod is Ready as the API has it, and Felix is not": {
		version: "v3.27.5", class: "E", says: "does not answer: connection refused",
		facts: func(f *calicoFacts) { f.felix.ready, f.felix.code, f.felix.health = false, 0, "connection refused" },
	},
	"a log that cannot be read, and sets that say it": {
		version: "v3.27.0", class: "A", remedies: "calico-image", says: "goes by the sets alone",
		facts: func(f *calicoFacts) { foreignSet(f); quiet(f, ""); f.felix.logError = "no route to the kubelet" },
	},
	"a log that cannot be read, and sets that do not matter": {
		version: "v3.27.5", class: "E", says: "cannot be read: no route to the kubelet",
		facts: func(f *calicoFacts) { foreignSet(f); quiet(f, ""); f.felix.logError = "no route to the kubelet" },
	},
	"no Calico": {
		version: "", class: "E", says: "there is no daemonset of pods with k8s-app=calico-node",
		facts: func(f *calicoFacts) { f.cluster = calicoCluster{selector: "k8s-app=calico-node", node: "node1"} },
	},
	"no node": {
		version: "v3.27.5", class: "E", says: "this host (node1, 127.0.0.1, 10.0.0.1, fe80::1) is none of the 8 nodes",
		facts: func(f *calicoFacts) { f.cluster.node, f.cluster.pod = "", nil },
	},
	"an upgrade that would do harm": {
		version: "v3.27.0", class: "none", upgrade: "harms",
		facts: func(f *calicoFacts) {
			f.host.services = []string{"firewalld"}
			f.host.ipset.creates["hash:ip"] = 5
		},
	},
	"an upgrade on a kernel that has no more": {
		version: "v3.27.0", class: "none",
		facts: func(f *calicoFacts) {
			f.host.services = []string{"firewalld"}
			f.host.ipset.creates["hash:ip"], f.host.revisions["hash:ip"] = 5, "0-5"
			f.host.reader.reads["hash:ip,port"], f.host.revisions["hash:ip,port"] = 6, "0-6"
			f.host.reader.reads["hash:net,net"], f.host.revisions["hash:net,net"] = 3, "0-3"
		},
	},
}

func TestCalicoVerdict(t *testing.T) {
	for name, c := range calicoVerdicts {
		t.Run(name, func(t *testing.T) {
			f := soundFacts(c.version)
			if c.facts != nil {
				c.facts(&f)
			}
			v := f.verdict()
			evidence := strings.Join(v.evidence, "\n")
			assert.Equal(t, c.class, v.class, evidence)
			assert.Equal(t, c.remedies, strings.Join(v.remedies, " "))
			for _, part := range strings.Split(c.says, "|") {
				assert.Contains(t, evidence, part)
			}
			assert.Contains(t, v.remedy, c.remedy)
			assert.Contains(t, v.wont, c.wont)
			if c.upgrade == "" {
				c.upgrade = "no effect"
			}
			assert.Equal(t, c.upgrade, v.upgrade, v.upgradeY)
			for _, said := range []string{evidence, v.remedy, v.wont, v.upgradeY} {
				require.NotEmpty(t, said)
				assert.NotContains(t, said, "%!")
			}
		})
	}
}

// Hundreds of sets are not hundreds of lines.
func TestCalicoManySets(t *testing.T) {
	f := soundFacts("v3.27.0")
	for range 300 {
		foreignSet(&f)
	}
	complains(&f, saysAll)
	v := f.verdict()
	assert.Less(t, len(v.evidence), 12)
	assert.Contains(t, v.evidence, "294 more sets that the ipset of calico-node cannot read")
	assert.Len(t, f.host.readerVars()["unreadable"], 300)
}

func TestCalicoCreators(t *testing.T) {
	for name, c := range map[string]struct {
		facts func(*calicoFacts)
		want  string // NAME RUNNING BUMPS HOST'S IPSET
	}{
		"nobody":                       {facts: func(*calicoFacts) {}},
		"sets of one that is gone":     {facts: foreignSet, want: "kube-router false false false"},
		"kube-router":                  {facts: func(f *calicoFacts) { f.host.processes["kube-router"] = true }, want: "kube-router true true false"},
		"kube-router without netpol":   {facts: func(f *calicoFacts) { f.host.processes["kube-router"] = false }, want: "kube-router true false false"},
		"k3s":                          {facts: func(f *calicoFacts) { f.host.processes["k3s-server"] = true }, want: "k3s true true true"},
		"k3s by its service":           {facts: func(f *calicoFacts) { f.host.services = []string{"k3s-agent"} }, want: "k3s true true true"},
		"k3s told not to":              {facts: func(f *calicoFacts) { f.host.processes["k3s-server"] = false }, want: "k3s true false true"},
		"k3s with a server told":       {facts: func(f *calicoFacts) { f.host.processes["k3s-agent"] = true; f.cluster.withoutNetpol = true }, want: "k3s true false true"},
		"k3s with its own ipset":       {facts: func(f *calicoFacts) { f.host.processes["k3s"] = true; f.host.ipset.version = "absent" }, want: "k3s true true false"},
		"k0s":                          {facts: func(f *calicoFacts) { f.host.processes["k0s"] = true }, want: "k0s true false true"},
		"k0s with network policies":    {facts: func(f *calicoFacts) { foreignSet(f); f.host.processes["k0s"] = true }, want: "k0s true true true"},
		"fail2ban":                     {facts: func(f *calicoFacts) { f.host.processes["fail2ban-server"] = true }, want: "fail2ban true false true"},
		"sets that a boot brings back": {facts: func(f *calicoFacts) { f.host.services = []string{"netfilter-persistent"} }, want: "netfilter-persistent true false true"},
		"IPVS": {facts: func(f *calicoFacts) {
			f.cluster.kubeProxy = "ipvs"
			f.host.ipset.sets = append(f.host.ipset.sets, ipsetRevision{"KUBE-LOOP-BACK", "hash:ip,port,ip", 5, true})
		}, want: "kube-proxy true false false"},
	} {
		t.Run(name, func(t *testing.T) {
			f := soundFacts("v3.27.0")
			c.facts(&f)
			var got []string
			for _, creator := range f.creators() {
				got = append(got, fmt.Sprint(creator.name, " ", creator.running, " ", creator.bumps, " ", creator.hostIpset))
				assert.NotEmpty(t, creator.evidence)
			}
			assert.Equal(t, c.want, strings.Join(got, ", "))
		})
	}
}
