//go:build linux

package lab

import (
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sync/errgroup"

	"runbook/tests/lab/kubectl"
	"runbook/tests/lab/parts"
)

//go:embed manifests
var manifestFiles embed.FS

var manifests = template.Must(template.ParseFS(manifestFiles, "manifests/*"))

const (
	// settleWithin bounds everything from the first kubelet to the last pod; it
	// takes 20 to 30 seconds.
	settleWithin = 3 * time.Minute
)

// values is what the manifests are filled in with.
type values struct {
	CoreDNSImage, KeybuzzImage, IngressImage, BusyboxImage, RouterImage, ShopImage string
	NodeImage, CNIImage, ControllersImage                                          string // of Calico

	DNSServiceIP      string
	SiteCert, SiteKey string // base64
	Peers             string // what calico-node is told of the other nodes
	PodNetwork        string
	Namespace         string // of Calico
	OwnerUID          string // of the Installation; empty: nobody owns the workloads
	ExcludeCIDRs      bool   // FelixConfiguration has the field that 3.27.5 brought
	HostTools         bool   // calico-node has the host's /usr, with its ipset, in the place of the image's
}

// clusterUp lets the kubelets join and returns when the cluster has settled.
func (l *Lab) clusterUp(ctx context.Context) error {
	if err := l.step("manifests", func() error {
		names := []string{"base.yaml"}
		if l.Stacked {
			names = append(names, "shop.yaml")
		}
		if err := l.apply(ctx, names...); err != nil {
			return err
		}
		return l.calicoUp(ctx)
	}); err != nil {
		return err
	}
	if err := l.eachHost(ctx, l.join); err != nil {
		return err
	}
	if l.Stacked {
		if err := l.join(ctx, l.net.client); err != nil {
			return err
		}
	}
	if err := l.writeInventory(); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.step("objects", func() error { return l.calicoObjects(gctx) }) })
	g.Go(func() error {
		if err := l.step("nodes ready", func() error { return l.waitNodes(gctx) }); err != nil {
			return err
		}
		return l.step("pods", func() error { return l.waitPods(gctx) })
	})
	if err := g.Wait(); err != nil || !l.Stacked {
		return err
	}
	return l.step("client", func() error { return l.seenFromOutside(ctx) })
}

// apply makes the cluster what the manifests say.
func (l *Lab) apply(ctx context.Context, names ...string) error {
	v, err := l.values()
	if err != nil {
		return err
	}
	if l.Install == Operator && slices.Contains(names, "calico.yaml") {
		if v.OwnerUID, err = l.ownerUID(ctx); err != nil {
			return err
		}
	}
	all, err := render(v.of(l.calicoVersion()), names...)
	if err != nil {
		return err
	}
	// Tests apply some of the same objects in names of their own.
	if err := l.kubectl().Apply(ctx, all, "--server-side", "--force-conflicts"); err != nil {
		return fmt.Errorf("%q: %w", names, err)
	}
	return nil
}

func (l *Lab) values() (values, error) {
	cert, err := os.ReadFile(l.Path("pki", "site.crt"))
	if err != nil {
		return values{}, err
	}
	key, err := os.ReadFile(l.Path("pki", "site.key"))
	if err != nil {
		return values{}, err
	}
	var peers []string
	for _, h := range l.net.hosts {
		peers = append(peers, h.PodNet+"="+h.Address)
	}
	return values{
		CoreDNSImage: parts.CoreDNSImage, KeybuzzImage: parts.KeybuzzImage, IngressImage: parts.IngressImage,
		BusyboxImage: parts.BusyboxImage, RouterImage: parts.RouterImage, ShopImage: parts.ShopImage,
		DNSServiceIP: dnsServiceIP,
		SiteCert:     base64.StdEncoding.EncodeToString(cert),
		SiteKey:      base64.StdEncoding.EncodeToString(key),
		Peers:        strings.Join(peers, ","),
		PodNetwork:   podNetwork,
		Namespace:    l.CalicoNamespace(),
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
		return settled(pods, l.Fault, len(l.net.hosts), l.Stacked)
	})
}

// settled says what is still missing.
func settled(pods []pod, fault Fault, hosts int, stacked bool) error {
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
	// Two DaemonSets have a pod on every host; two CoreDNS, three of the application,
	// two ingress controllers, and Calico's controllers.
	want := 2*hosts + 8
	if fault == ClassB {
		want += hosts // the creator's
	}
	if stacked {
		want += shopPods
	}
	if len(pods) != want || calico != hosts {
		return fmt.Errorf("%d pods (%d of calico-node), %d are wanted", len(pods), calico, want)
	}
	if len(missing) > 0 {
		return fmt.Errorf("not ready: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (l *Lab) kubectl() kubectl.Kubectl {
	return kubectl.Kubectl{Program: l.Kubectl(), Kubeconfig: l.Kubeconfig(), Cache: l.Path("kubectl-cache")}
}

// Kube runs the cluster's own kubectl, as its administrator, and returns what it
// printed.
func (l *Lab) Kube(ctx context.Context, args ...string) (string, error) {
	return l.kubectl().Run(ctx, args...)
}
