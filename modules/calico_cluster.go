package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// calicoCluster is what the API says of Calico, and of the node that this host is.
type calicoCluster struct {
	err                 string // why the API could not be asked; then nothing else is known
	namespace, selector string
	elsewhere           []string // other namespaces that have such pods
	daemonset           Object   // nil: there is none
	controllers         Object
	operator            bool
	version             string
	nodes               int
	kubeProxy           string
	distribution        string
	node                string // empty: this host is none
	pod                 Object // calico-node's on this node; nil: there is none
	trouble             string // why it is not Ready
	withoutNetpol       bool   // the servers of k3s were told not to make network policies
	vague               Unforeseen
}

// lookAtCluster asks the API. One that does not answer is an answer; that there
// is nothing to ask is a mistake of whoever runs this.
func (m *calico) lookAtCluster(ctx context.Context, t Target, host calicoHost) (calicoCluster, error) {
	at := calicoCluster{namespace: m.Namespace, selector: m.Selector, kubeProxy: "unknown", distribution: "unknown"}
	api, err := t.Cluster(ctx)
	if err == nil {
		err = at.look(ctx, outlook{api, t}, host)
	}
	var vague Unforeseen
	switch {
	case ctx.Err() != nil:
		return at, ctx.Err()
	case err == ErrNoCluster, errors.As(err, &vague): // wrapped, it names the hosts that do not answer
		return at, err
	case err != nil:
		at.err = err.Error()
		return at, nil
	}
	if at.kubeProxy == "" {
		at.kubeProxy, err = at.askKubeProxy(ctx, t, host)
	}
	return at, err
}

func (at *calicoCluster) look(ctx context.Context, c outlook, host calicoHost) error {
	scope := at.namespace
	if scope == "" {
		scope = "*"
	}
	pods, err := c.List(ctx, Ref{Kind: podsKind, APIVersion: "v1", Namespace: scope, Selector: at.selector})
	if err != nil {
		return err
	}
	if err := at.findWorkload(ctx, c, pods); err != nil {
		return err
	}
	nodes, err := c.List(ctx, Ref{Kind: "nodes", APIVersion: "v1"})
	if err != nil {
		return err
	}
	node := nodeOfHost(nodes, host)
	at.nodes, at.node = len(nodes), nameOf(node)
	at.withoutNetpol = slices.ContainsFunc(nodes, func(n Object) bool {
		return strings.Contains(dig[string](n, "metadata", "annotations", "k3s.io/node-args"), `"--disable-network-policy"`)
	})
	if err := at.findPod(ctx, c, pods); err != nil {
		return err
	}
	at.distribution = at.whichDistribution(ctx, c, node, host)
	at.kubeProxy = kubeProxyMode(ctx, c)
	if at.namespace != "" {
		at.controllers, err = c.Get(ctx, Ref{Kind: "deployment", APIVersion: "apps/v1", Namespace: at.namespace, Name: calicoControllers})
	}
	return err
}

// findWorkload finds the daemonset: the owner of the pods, or, where there are
// none, the one of that name where the manifest or the operator puts it.
func (at *calicoCluster) findWorkload(ctx context.Context, c outlook, pods []Object) error {
	places := []string{}
	name := calicoNode
	for _, pod := range pods {
		if owner := workloadOf(pod); dig[string](owner, "kind") == "DaemonSet" {
			places, name = append(places, dig[string](owner, "metadata", "namespace")), nameOf(owner)
		}
	}
	if len(places) == 0 && at.namespace != "" {
		places = []string{at.namespace}
	}
	if len(places) == 0 {
		places = []string{"kube-system", "calico-system"}
	}
	slices.Sort(places)
	for _, place := range slices.Compact(places) {
		found, err := c.Get(ctx, Ref{Kind: "daemonset", APIVersion: "apps/v1", Namespace: place, Name: name})
		switch {
		case err != nil:
			return err
		case found != nil && at.daemonset != nil:
			at.elsewhere = append(at.elsewhere, place)
		case found != nil:
			at.daemonset, at.namespace = found, place
		}
	}
	at.operator = at.namespace == "calico-system" || slices.ContainsFunc(objectsAt(at.daemonset, "metadata", "ownerReferences"), func(o Object) bool {
		return dig[string](o, "kind") == "Installation"
	})
	if v, ok := imageVersion(containerImage(at.template(), calicoNode)); ok {
		at.version = v.String()
	}
	return nil
}

// template is the pod that the daemonset makes.
func (at *calicoCluster) template() Object { return podTemplate(at.daemonset) }

func podTemplate(workload Object) Object {
	return dig[map[string]any](workload, "spec", "template", "spec")
}

// findPod finds the node's pod. Where one is replaced, it is the one to stay.
func (at *calicoCluster) findPod(ctx context.Context, c outlook, pods []Object) error {
	for _, pod := range pods {
		here := at.node != "" && dig[string](pod, "spec", "nodeName") == at.node && dig[string](pod, "metadata", "namespace") == at.namespace
		if here && (at.pod == nil || beingDeleted(at.pod)) {
			at.pod = pod
		}
	}
	changing := []Object{}
	for _, o := range []Object{at.daemonset, at.pod} {
		if o != nil {
			changing = append(changing, o)
		}
	}
	if err := c.settled(changing...); err != nil {
		errors.As(err, &at.vague)
	}
	if at.pod == nil || podReady(at.pod) || at.vague.Reason != "" {
		return nil
	}
	at.trouble = podTrouble(at.pod, podWarnings(ctx, c, []Object{at.pod})[uidOf(at.pod)])
	return ctx.Err()
}

// containerImage is the image of a pod's container; empty where it has no such.
func containerImage(spec Object, name string) string {
	image, _ := calicoImages(spec)[name].(string)
	return image
}

// calicoImages are the images of a pod by container, those of init too.
func calicoImages(spec Object) map[string]any {
	images := map[string]any{}
	for _, list := range []string{"initContainers", "containers"} {
		for _, c := range objectsAt(spec, list) {
			images[dig[string](c, "name")] = dig[string](c, "image")
		}
	}
	return images
}

// nodeOfHost is the node whose internal address the host has; where no address
// tells, the one of its name. Nil: this host is no node.
func nodeOfHost(nodes []Object, host calicoHost) Object {
	var same Object
	for _, node := range nodes {
		for _, a := range objectsAt(node, "status", "addresses") {
			if dig[string](a, "type") == "InternalIP" && slices.Contains(host.addresses, dig[string](a, "address")) {
				return node
			}
		}
		if host.name != "" && (nameOf(node) == strings.ToLower(host.name) || dig[string](node, "metadata", "labels", "kubernetes.io/hostname") == host.name) {
			same = node
		}
	}
	return same
}

// whichDistribution goes by what its own kubelet says, then by what runs on the
// host, then by what kubeadm leaves in every cluster.
func (at *calicoCluster) whichDistribution(ctx context.Context, c outlook, node Object, host calicoHost) string {
	kubelet := dig[string](node, "status", "nodeInfo", "kubeletVersion")
	runs := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := host.processes[n]; return ok || slices.Contains(host.services, n) })
	}
	switch {
	case strings.Contains(kubelet, "+k3s"), runs("k3s", "k3s-server", "k3s-agent"):
		return "k3s"
	case strings.Contains(kubelet, "+k0s"), runs("k0s", "k0sworker", "k0scontroller"):
		return "k0s"
	case dig[string](node, "metadata", "annotations", "kubeadm.alpha.kubernetes.io/cri-socket") != "":
		return "kubeadm"
	}
	if config, err := c.Get(ctx, kubeSystemConfig("kubeadm-config")); err == nil && config != nil {
		return "kubeadm"
	}
	return "unknown"
}

func kubeSystemConfig(name string) Ref {
	return Ref{Kind: "configmap", APIVersion: "v1", Namespace: "kube-system", Name: name}
}

var kubeProxyModeLine = regexp.MustCompile(`(?m)^mode: *["']?([a-z]*)["']? *$`)

// kubeProxyMode reads the configuration that kubeadm, k0s and kubespray keep in
// the cluster; empty where there is none. No mode is the default of Linux.
func kubeProxyMode(ctx context.Context, c outlook) string {
	config, err := c.Get(ctx, kubeSystemConfig("kube-proxy"))
	if err != nil || config == nil {
		return ""
	}
	m := kubeProxyModeLine.FindStringSubmatch(dig[string](config, "data", "config.conf"))
	switch {
	case m == nil || m[1] == "":
		return "iptables"
	case slices.Contains([]string{"iptables", "ipvs", "nftables"}, m[1]):
		return m[1]
	}
	return "unknown"
}

// askKubeProxy asks the one of this host itself, where the cluster does not say.
func (at *calicoCluster) askKubeProxy(ctx context.Context, t Target, host calicoHost) (string, error) {
	said, err := t.Fetch(ctx, Request{URL: "http://127.0.0.1:10249/proxyMode", Timeout: localWithin, ViaHost: true})
	mode := strings.TrimSpace(said.Body)
	_, runs := host.processes["kube-proxy"]
	switch {
	case hostIsLost(ctx, err):
		return "unknown", err
	case err == nil && slices.Contains([]string{"iptables", "ipvs", "nftables"}, mode):
		return mode, nil
	case slices.Contains(host.links, "kube-ipvs0"):
		return "ipvs", nil
	case runs || at.distribution == "k3s" || at.node == "":
		return "unknown", nil
	}
	return "none", nil
}

func (at *calicoCluster) vars() map[string]any {
	install, workload, controllers := "manifest", "", ""
	switch {
	case at.daemonset == nil:
		install = "none"
	case at.operator:
		install = "operator"
	}
	if at.daemonset != nil {
		workload = "daemonset/" + nameOf(at.daemonset)
	}
	if at.controllers != nil {
		controllers = "deployment/" + nameOf(at.controllers)
	}
	pod := map[string]any{}
	if at.pod != nil {
		pod = podFacts(at.pod)
	}
	return map[string]any{
		"namespace": at.namespace, "selector": at.selector, "workload": workload, "install": install, "version": at.version,
		"images": calicoImages(at.template()), "controllers": controllers, "controller_images": calicoImages(podTemplate(at.controllers)),
		"desired": dig[int64](at.daemonset, "status", "desiredNumberScheduled"), "nodes": at.nodes, "kube_proxy": at.kubeProxy, "distribution": at.distribution, "node": at.node, "pod": pod,
		"api_error": at.err,
	}
}

// where names the workload for people.
func (at *calicoCluster) where() string {
	return fmt.Sprintf("%s in namespace %s", dig[string](at.daemonset, "metadata", "name"), at.namespace)
}
