package modules

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	everyCalicoPod  = "pods with k8s-app=calico-node in all namespaces"
	calicoNodeRef   = "daemonset/calico-node in namespace kube-system"
	operatorNodeRef = "daemonset/calico-node in namespace calico-system"
	kubeProxyRef    = "configmap/kube-proxy in namespace kube-system"
	proxyModeURL    = "http://127.0.0.1:10249/proxyMode"
)

func calicoPodYAML(namespace, node string, ready bool) string {
	return strings.NewReplacer("namespace: ns", "namespace: "+namespace+
		", ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: calico-node, controller: true}]", "name: main", "name: calico-node",
		"image: img", "image: docker.io/calico/node:v3.27.0").Replace(pod("calico-"+node, node, ready, ""))
}

func calicoDaemonset(namespace, owners string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: %s, uid: abc, generation: 1, ownerReferences: [%s]}
spec:
  template:
    spec:
      initContainers: [{name: install-cni, image: "docker.io/calico/cni:v3.27.0"}]
      containers: [{name: calico-node, image: "docker.io/calico/node:v3.27.0"}]
status: {desiredNumberScheduled: 2}
`, namespace, owners)
}

const calicoNodes = `---
apiVersion: v1
kind: Node
metadata: {name: other}
status: {addresses: [{type: InternalIP, address: 10.0.0.9}, {type: Hostname, address: node1}]}
---
apiVersion: v1
kind: Node
metadata: {name: worker-1, annotations: {kubeadm.alpha.kubernetes.io/cri-socket: "unix:///run/containerd/containerd.sock"}}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}], nodeInfo: {kubeletVersion: v1.29.0}}
`

// calicoWorld is a host and a manifest install on which nothing is wrong.
func calicoWorld() (*fake, *fakeCluster) {
	c := &fakeCluster{
		lists: map[string]string{
			everyCalicoPod: calicoPodYAML("kube-system", "worker-1", true) + calicoPodYAML("kube-system", "other", true), "nodes": calicoNodes,
		},
		objects: map[string]string{
			calicoNodeRef: calicoDaemonset("kube-system", ""),
			kubeProxyRef:  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy}\ndata: {config.conf: \"ipvs:\\n  mode: x\\nmode: ipvs\\n\"}",
			"deployment/calico-kube-controllers in namespace kube-system": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: calico-kube-controllers}\n" +
				"spec: {template: {spec: {containers: [{name: calico-kube-controllers, image: \"docker.io/calico/kube-controllers:v3.27.0\"}]}}}",
		},
		logs: map[string]string{"calico-worker-1/calico-node": felixSays("57 09:59:00 "+saysStart, "57 09:59:01 "+saysSync, "57 09:59:02 "+saysDone)},
	}
	return &fake{
		commands:  map[string]Output{calicoHostQuery().String(): {Stdout: calicoHostSaid}},
		responses: map[string]Response{felixReadiness: {Status: 204}},
		cluster:   c,
	}, c
}

func TestCalicoCheck(t *testing.T) {
	host, _ := calicoWorld()
	change := check(t, newCalico(), host)
	assert.Empty(t, change.Diffs)
	for key, want := range map[string]any{
		"namespace": "kube-system", "selector": "k8s-app=calico-node", "workload": "daemonset/calico-node", "install": "manifest", "version": "v3.27.0", "running": "v3.27.0",
		"images":            map[string]any{"install-cni": "docker.io/calico/cni:v3.27.0", "calico-node": "docker.io/calico/node:v3.27.0"},
		"controllers":       "deployment/calico-kube-controllers",
		"controller_images": map[string]any{"calico-kube-controllers": "docker.io/calico/kube-controllers:v3.27.0"},
		"desired":           int64(2), "nodes": 2, "kube_proxy": "ipvs", "distribution": "kubeadm", "node": "worker-1", "api_error": "",
		"class": "none", "image_to": "v3.27.5", "remedies": []any{}, "host_upgrade": "harms", "judged": map[string]any{},
	} {
		assert.Equal(t, want, change.Vars[key], key)
	}
	assert.Equal(t, "calico-worker-1", change.Vars["pod"].(map[string]any)["name"])
	felix := change.Vars["felix"].(map[string]any)
	assert.Equal(t, true, felix["ready"])
	assert.Equal(t, true, felix["synced"])
	assert.Equal(t, "in-sync", felix["status"])
	assert.Equal(t, "2026-01-01T00:00:05Z", felix["container_started"])
	assert.Contains(t, fmt.Sprint(change.Vars["evidence"]), "at risk")
}

func TestCalicoOfTheOperator(t *testing.T) {
	host, c := calicoWorld()
	c.lists[everyCalicoPod] = calicoPodYAML("calico-system", "worker-1", true)
	c.objects[operatorNodeRef] = calicoDaemonset("calico-system", "{kind: Installation, name: default}")
	c.objects["deployment/calico-kube-controllers in namespace calico-system"] = ""
	vars := check(t, newCalico(), host).Vars
	assert.Equal(t, "operator", vars["install"])
	assert.Equal(t, "calico-system", vars["namespace"])
	assert.Equal(t, "", vars["controllers"])
	assert.Equal(t, map[string]any{}, vars["controller_images"])
}

func TestCalicoThatIsNotThere(t *testing.T) {
	host, c := calicoWorld()
	c.lists[everyCalicoPod], c.objects[calicoNodeRef], c.objects[operatorNodeRef] = "", "", ""
	vars := check(t, newCalico(), withoutAPI(host, c)).Vars
	assert.Equal(t, "none", vars["install"])
	assert.Equal(t, "", vars["workload"])
	assert.Equal(t, map[string]any{}, vars["pod"])
	assert.Equal(t, "E", vars["class"])
}

// withoutAPI adds the service of the API, which is asked for where something is
// wrong; it does answer.
func withoutAPI(host *fake, c *fakeCluster) *fake {
	c.objects["service/kubernetes in namespace default"] = "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 443}]}"
	host.responses["tcp://10.96.0.1:443"] = Response{}
	return host
}

func TestCalicoInOneNamespace(t *testing.T) {
	host, c := calicoWorld()
	c.lists = map[string]string{"nodes": calicoNodes, "pods with k8s-app=calico-node in namespace net": ""}
	c.objects["daemonset/calico-node in namespace net"] = calicoDaemonset("net", "")
	c.objects["deployment/calico-kube-controllers in namespace net"] = ""
	m := newCalico()
	m.Namespace = "net"
	vars := check(t, m, withoutAPI(host, c)).Vars
	assert.Equal(t, "net", vars["namespace"])
	assert.Equal(t, "E", vars["class"])
	assert.Contains(t, fmt.Sprint(vars["evidence"]), "no calico-node pod on this node")
}

// deafCluster is an API that does not answer.
type deafCluster struct{ fakeCluster }

func TestCalicoWithoutAnAPI(t *testing.T) {
	host, _ := calicoWorld()
	host.responses[felixReadiness] = Response{Status: 503}
	host.cluster = &deafCluster{} // knows no answer at all
	vars := check(t, newCalico(), host).Vars
	assert.Equal(t, "D", vars["class"])
	assert.Contains(t, vars["api_error"], "unexpected question")
	assert.Equal(t, "7.17", vars["host"].(map[string]any)["ipset"])
	assert.Equal(t, 503, vars["felix"].(map[string]any)["code"])

	host.cluster = nil
	_, err := newCalico().Check(t.Context(), host)
	assert.ErrorIs(t, err, ErrNoCluster, "whoever has no kubeconfig at all must be told")
}

// The ClusterIP is tried from the host, and only where something is wrong.
func TestCalicoClusterIP(t *testing.T) {
	host, c := calicoWorld()
	host = withoutAPI(host, c)
	c.lists[everyCalicoPod] = calicoPodYAML("kube-system", "worker-1", false)
	c.lists["events with involvedObject.kind=Pod,type=Warning in namespace kube-system"] = ""
	c.logs["calico-worker-1/calico-node"] = felixSays("57 09:59:00 "+saysStart, "57 09:59:01 "+saysResync)
	host.responses[felixReadiness] = Response{Status: 503, Body: "InternalDataplaneMainLoop: non-ready\n"}
	host.errs = map[string]error{"tcp://10.96.0.1:443": errors.New("no answer within 4s")}
	vars := check(t, newCalico(), host).Vars
	assert.Equal(t, "D", vars["class"])
	assert.Contains(t, fmt.Sprint(vars["evidence"]), "ClusterIP 10.96.0.1:443 does not answer this host: no answer within 4s")

	host.errs = nil
	assert.Equal(t, "E", check(t, newCalico(), host).Vars["class"])
}

func TestCalicoCannotTell(t *testing.T) {
	host, _ := calicoWorld()
	host.errs = map[string]error{felixReadiness: lostHost{errors.New("the host is gone")}}
	_, err := newCalico().Check(t.Context(), host)
	assert.ErrorContains(t, err, "the host is gone")

	host.commands[calicoHostQuery().String()] = Output{
		Stdout: "@version\n@kernel\n6.8\n@failed\nipset v7.17: Kernel error received: Operation not permitted\n%facts\n@kernel\n6.8\n",
	}
	_, err = newCalico().Check(t.Context(), host)
	assert.ErrorContains(t, err, "become: true")

	host.commands[calicoHostQuery().String()] = Output{Code: 127, Stderr: "sh: not found\n"}
	_, err = newCalico().Check(t.Context(), host)
	assert.ErrorContains(t, err, "exit code 127: sh: not found")
}

func TestCalicoKubeProxy(t *testing.T) {
	for name, c := range map[string]struct {
		config, asked string
		links, want   string
	}{
		"by default":        {config: "mode: \"\"", want: "iptables"},
		"no mode":           {config: "kind: KubeProxyConfiguration", want: "iptables"},
		"quoted":            {config: "mode: \"nftables\"", want: "nftables"},
		"asked itself":      {asked: "iptables", want: "iptables"},
		"by its interface":  {links: "kube-ipvs0", want: "ipvs"},
		"replaced":          {want: "none"},
		"what nobody knows": {config: "mode: quantum", want: "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			host, cluster := calicoWorld()
			cluster.objects[kubeProxyRef] = ""
			if c.config != "" {
				cluster.objects[kubeProxyRef] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy}\ndata: {config.conf: %q}", c.config)
			}
			host.errs = map[string]error{proxyModeURL: errors.New("connection refused")}
			if c.asked != "" {
				host.errs, host.responses[proxyModeURL] = nil, Response{Body: c.asked + "\n"}
			}
			host.commands[calicoHostQuery().String()] = Output{Stdout: strings.Replace(calicoHostSaid, "@links\n", "@links\n"+c.links+"\n", 1)}
			assert.Equal(t, c.want, check(t, newCalico(), host).Vars["kube_proxy"])
		})
	}
}

func TestCalicoDistribution(t *testing.T) {
	for want, change := range map[string]string{"k3s": "v1.29.0+k3s1", "k0s": "v1.29.0+k0s.0"} {
		host, c := calicoWorld()
		c.lists["nodes"] = strings.ReplaceAll(calicoNodes, "v1.29.0", change)
		assert.Equal(t, want, check(t, newCalico(), host).Vars["distribution"])
	}
	for want, config := range map[string]string{"kubeadm": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubeadm-config}", "unknown": ""} {
		host, c := calicoWorld()
		c.lists["nodes"] = strings.ReplaceAll(calicoNodes, "kubeadm.alpha", "other")
		c.objects["configmap/kubeadm-config in namespace kube-system"] = config
		assert.Equal(t, want, check(t, newCalico(), host).Vars["distribution"])
	}
}

// In a plan the verdict is not known where an earlier task decides it; the rest is.
func TestCalicoInAPlan(t *testing.T) {
	daemonset, err := parseManifest("planned", []byte(strings.ReplaceAll(calicoDaemonset("kube-system", ""), "v3.27.0", "v3.27.5")))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		effect  Effect
		version string
	}{
		"the image":    {Effect{Thing: AnObject, Name: "DaemonSet.apps/kube-system/calico-node", State: daemonset[0], By: "bump"}, "v3.27.5"},
		"the packages": {Effect{Thing: APackage, Name: "libipset13", State: "7.19-1", By: "upgrade"}, "v3.27.0"},
		"the sets":     {Effect{Thing: ASet, Name: "KUBE-DST-3YNVZWWGX3UQQ4VQ", By: "repair"}, "v3.27.0"},
	} {
		t.Run(name, func(t *testing.T) {
			host, _ := calicoWorld()
			host.predicted = []Effect{c.effect}
			vars := check(t, newCalico(), host).Vars
			for _, key := range calicoLater {
				assert.IsType(t, Unforeseen{}, vars[key], key)
			}
			assert.Equal(t, c.version, vars["version"])
			assert.Equal(t, "manifest", vars["install"])
		})
	}
	host, _ := calicoWorld()
	host.predicted = []Effect{{Thing: AnObject, Name: "DaemonSet.apps/kube-system/calico-node", By: "apply"}}
	vars := check(t, newCalico(), host).Vars
	assert.IsType(t, Unforeseen{}, vars["version"])
	assert.IsType(t, Unforeseen{}, vars["class"])

	host, _ = calicoWorld()
	known := check(t, newCalico(), host).Vars
	assert.ElementsMatch(t, keysOf(known), keysOf(vars), "whether they are known or not, the keys are the same")
}

func keysOf(m map[string]any) []string {
	var keys []string
	for k := range maps.Keys(m) {
		keys = append(keys, k)
	}
	return keys
}
