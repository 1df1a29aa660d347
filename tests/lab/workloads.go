//go:build linux

package lab

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"runbook/tests/lab/parts"
)

//go:embed manifests
var manifests embed.FS

const (
	// settleWithin bounds everything from the first kubelet to the last pod; it
	// takes 20 to 30 seconds.
	settleWithin = 3 * time.Minute
	// kubectlWithin bounds one request of kubectl.
	kubectlWithin = "30s"
)

// values is what the manifests are filled in with.
type values struct {
	CoreDNSImage, KeybuzzImage, IngressImage, BusyboxImage, RouterImage, CalicoNode string

	DNSServiceIP      string
	SiteCert, SiteKey string // base64
	Peers             string // what calico-node is told of the other nodes
	PodNetwork        string
	HostTools         bool // calico-node has the host's /usr, with its ipset, in the place of the image's
}

// clusterUp lets the kubelets join and returns when the cluster has settled.
func (l *Lab) clusterUp(ctx context.Context) error {
	if err := l.step("manifests", func() error { return l.apply(ctx, append([]string{"base.yaml"}, l.manifests()...)...) }); err != nil {
		return err
	}
	if err := l.eachHost(ctx, func(ctx context.Context, h Host) error {
		_, err := l.in(ctx, h, ": >"+kubeletMay)
		return err
	}); err != nil {
		return err
	}
	if err := l.writeInventory(); err != nil {
		return err
	}
	if err := l.step("nodes ready", func() error { return l.waitNodes(ctx) }); err != nil {
		return err
	}
	return l.step("pods", func() error { return l.waitPods(ctx) })
}

// manifests are those that the fault wants, beside what is always there.
func (l *Lab) manifests() []string {
	if l.Fault == ClassB {
		return []string{"calico.yaml", "kube-router.yaml"}
	}
	return []string{"calico.yaml"}
}

// apply makes the cluster what the manifests say.
func (l *Lab) apply(ctx context.Context, names ...string) error {
	v, err := l.values()
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, name := range names {
		t, err := template.ParseFS(manifests, "manifests/"+name)
		if err != nil {
			return err
		}
		all.WriteString("---\n")
		if err := t.Execute(&all, v); err != nil {
			return err
		}
	}
	cmd := l.kubectlCommand(ctx, "apply", "--server-side", "--filename=-")
	cmd.Stdin = &all
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apply %q: %w: %s", names, err, out)
	}
	return nil
}

func (l *Lab) values() (values, error) {
	cert, err := os.ReadFile(l.path("pki", "site.crt"))
	if err != nil {
		return values{}, err
	}
	key, err := os.ReadFile(l.path("pki", "site.key"))
	if err != nil {
		return values{}, err
	}
	var peers []string
	for _, h := range l.net.hosts {
		peers = append(peers, h.PodNet+"="+h.Address)
	}
	node := parts.CalicoFaulty
	if l.Fault == ClassB {
		node = parts.CalicoMended
	}
	return values{
		CoreDNSImage: parts.CoreDNSImage, KeybuzzImage: parts.KeybuzzImage, IngressImage: parts.IngressImage,
		BusyboxImage: parts.BusyboxImage, RouterImage: parts.RouterImage, CalicoNode: node,
		DNSServiceIP: dnsServiceIP,
		SiteCert:     base64.StdEncoding.EncodeToString(cert),
		SiteKey:      base64.StdEncoding.EncodeToString(key),
		Peers:        strings.Join(peers, ","),
		PodNetwork:   podNetwork,
		HostTools:    l.Fault == ClassC || l.Fault == None,
	}, nil
}

// waitNodes waits until every node is Ready, and gives the control plane the
// role label that a kubelet may not give itself.
func (l *Lab) waitNodes(ctx context.Context) error {
	err := poll(ctx, settleWithin, func(ctx context.Context) error {
		out, err := l.Kube(ctx, "get", "nodes", "--output=json")
		if err != nil {
			return err
		}
		return nodesReady(out, len(l.net.hosts))
	})
	if err != nil {
		return err
	}
	_, err = l.Kube(ctx, "label", "nodes", "--overwrite", "--selector=lab/role=control-plane", "node-role.kubernetes.io/control-plane=")
	return err
}

type condition struct{ Type, Status string }

func nodesReady(list string, want int) error {
	var nodes struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct{ Conditions []condition }
		}
	}
	if err := json.Unmarshal([]byte(list), &nodes); err != nil {
		return err
	}
	ready := 0
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				ready++
			}
		}
	}
	if ready != want {
		return fmt.Errorf("%d of %d nodes are Ready", ready, want)
	}
	return nil
}

// waitPods waits until every pod runs and is ready. While a fault lasts,
// calico-node only has to run.
func (l *Lab) waitPods(ctx context.Context) error {
	return poll(ctx, settleWithin, func(ctx context.Context) error {
		pods, err := l.pods(ctx)
		if err != nil {
			return err
		}
		return settled(pods, l.Fault, len(l.net.hosts))
	})
}

// settled says what is still missing.
func settled(pods []pod, fault Fault, hosts int) error {
	healthy := fault == None
	var missing []string
	calico := 0
	for _, p := range pods {
		is := p.Ready
		if p.calico() {
			calico++
			is = p.Running && (p.Ready || !healthy)
		}
		if !is {
			missing = append(missing, p.Namespace+"/"+p.Name)
		}
	}
	// Two DaemonSets have a pod on every host; two CoreDNS, three of the application, two ingress controllers.
	want := 2*hosts + 7
	if fault == ClassB {
		want += hosts // the creator's
	}
	if len(pods) != want || calico != hosts {
		return fmt.Errorf("%d pods (%d of calico-node), %d are wanted", len(pods), calico, want)
	}
	if len(missing) > 0 {
		return fmt.Errorf("not ready: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (l *Lab) kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(l.Parts.Kube, "kubectl"), append([]string{"--kubeconfig=" + l.Kubeconfig(), "--request-timeout=" + kubectlWithin}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+l.path("kubectl-cache"))
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = endWithUs()
	return cmd
}

// Kube runs the cluster's own kubectl, as its administrator, and returns what it
// printed.
func (l *Lab) Kube(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	cmd := l.kubectlCommand(ctx, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
