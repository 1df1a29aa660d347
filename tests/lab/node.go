//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"

	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/machine"
	"runbook/tests/lab/parts"
)

const (
	// kubeletMay appears in a host when it may join the cluster.
	kubeletMay = "/run/lab/join"
	adminConf  = "/etc/kubernetes/admin.conf"

	containerdSocket = "/run/containerd/containerd.sock"
)

// A host of the lab is already a guest of this machine's control groups and of
// its swap, so containerd and kubelet are told not to mind.
const containerdConfig = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + parts.PauseImage + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
`

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://` + containerdSocket + `
clusterDNS: [` + dnsServiceIP + `]
clusterDomain: cluster.local
nodeStatusUpdateFrequency: 5s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi}
`

const cniConfig = `{"cniVersion":"0.4.0","name":"lab","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,` +
	`"ipam":{"type":"host-local","ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}` + "\n"

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: ` + nodeKubeconfig + `}
clusterCIDR: ` + podNetwork + `
hostnameOverride: %s
conntrack: {maxPerCore: 0}
`

// nodeKubeconfig is how a host's kubelet and kube-proxy reach the API.
const nodeKubeconfig = "/etc/lab/kubeconfig"

// nodeFiles is what makes a host a node of the cluster.
func (l *Lab) nodeFiles(h Host) ([]file, error) {
	kubeconfig, err := os.ReadFile(l.Kubeconfig())
	if err != nil {
		return nil, err
	}
	files := []file{
		{"etc/lab/containerd.toml", 0o644, []byte(containerdConfig)},
		{"etc/lab/kubelet.yaml", 0o644, []byte(kubeletConfig + taints(h))},
		{"etc/lab/proxy.yaml", 0o644, fmt.Appendf(nil, proxyConfig, h.Name)},
		{nodeKubeconfig[1:], 0o600, kubeconfig},
		{"etc/cni/net.d/10-lab.conflist", 0o644, fmt.Appendf(nil, cniConfig, h.PodNet)},
		{"etc/profile.d/lab.sh", 0o644, []byte("PATH=$PATH:/opt/lab\n")},
	}
	if h.Role == ControlPlane {
		files = append(files, file{adminConf[1:], 0o600, kubeconfig})
	}
	return files, nil
}

func taints(h Host) string {
	if h.Role != ControlPlane {
		return ""
	}
	return "registerWithTaints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]\n"
}

func (l *Lab) services(h Host) []hostspec.Service {
	kubelet := []string{
		"/opt/lab/kubelet", "--kubeconfig=" + nodeKubeconfig, "--config=/etc/lab/kubelet.yaml",
		"--hostname-override=" + h.Name, "--node-ip=" + h.Address, "--node-labels=lab/role=" + string(h.Role),
	}
	if l.Stacked {
		kubelet = append(kubelet, "--boot-id-file="+kubeletBootID+","+bootIDPath)
	}
	services := []hostspec.Service{
		{Name: "sshd", Args: []string{"/usr/sbin/sshd", "-D", "-e"}},
		{Name: "containerd", Args: []string{"/usr/bin/containerd", "--config", "/etc/lab/containerd.toml", "--log-level", "warn"}},
		{Name: "kubelet", After: []string{kubeletMay, containerdSocket}, Args: kubelet},
		{Name: "kube-proxy", After: []string{kubeletMay}, Args: []string{"/opt/lab/kube-proxy", "--config=/etc/lab/proxy.yaml"}},
	}
	if l.hasEtcd(h) {
		// First, so that it is the last to end.
		services = append([]hostspec.Service{l.etcdService(h)}, services...)
	}
	return services
}

// join lets the host's kubelet join the cluster, now and at every boot.
func (l *Lab) join(ctx context.Context, h Host) error {
	if _, err := l.ask(ctx, h, machine.Request{EveryBoot: []hostspec.File{{Path: kubeletMay, Mode: 0o644}}}); err != nil {
		return err
	}
	_, err := l.in(ctx, h, ": >"+kubeletMay)
	return err
}

// importImages gives the host's containerd all images, so that none is pulled.
func (l *Lab) importImages(ctx context.Context, h Host) error {
	archive, err := os.Open(l.Parts.Images)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := poll(ctx, containerdWithin, func(ctx context.Context) error {
		_, err := l.in(ctx, h, "ctr version >/dev/null")
		return err
	}); err != nil {
		return err
	}
	cmd, err := l.enter(ctx, h, "ctr", "-n", "k8s.io", "images", "import", "-")
	if err != nil {
		return err
	}
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: import images: %w: %s", h.Name, err, out)
	}
	return nil
}
