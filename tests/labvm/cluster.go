//go:build linux

package labvm

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"runbook/tests/lab"
	"runbook/tests/lab/kubectl"
	labparts "runbook/tests/lab/parts"
	"runbook/tests/labvm/seed"
)

const (
	// nodeGrace is how long a node may be silent before it is NotReady. An emulated
	// kubelet that renews its lease every 10 seconds is sometimes late.
	nodeGrace = 90 * time.Second
	// settleWithin bounds everything from the first kubelet to the last pod; it
	// takes a minute or two.
	settleWithin = 8 * time.Minute
	shopPods     = 2
)

//go:embed manifests.yaml
var manifests string

const cniConfig = `{"cniVersion":"0.4.0","name":"lab","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,` +
	`"ipam":{"type":"host-local","ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}` + "\n"

// nodeFiles is what makes a machine a node of the cluster.
func (l *Lab) nodeFiles(h Host) ([]seed.File, error) {
	kubeconfig, err := os.ReadFile(l.Kubeconfig())
	if err != nil {
		return nil, err
	}
	return []seed.File{
		{Path: "etc/lab/kubeconfig", Mode: 0o600, Data: kubeconfig},
		{Path: "etc/lab/node.env", Mode: 0o644, Data: []byte("NODE_IP=" + h.Address + "\n")},
		{Path: "etc/cni/net.d/10-lab.conflist", Mode: 0o644, Data: fmt.Appendf(nil, cniConfig, h.PodNet)},
	}, nil
}

// controlPlaneUp starts the control plane on this machine.
func (l *Lab) controlPlaneUp(ctx context.Context) error {
	_, err := lab.StartControlPlane(ctx, lab.ControlPlaneConfig{
		Subnet: l.cfg.Subnet, State: l.StateDir(), NodeGrace: nodeGrace, Parts: l.Shared,
	})
	return err
}

// clusterUp returns when every node is Ready and every pod runs.
func (l *Lab) clusterUp(ctx context.Context) error {
	if err := lab.Poll(ctx, settleWithin, l.nodesReady); err != nil {
		return err
	}
	objects := strings.ReplaceAll(manifests, "{{.Pause}}", labparts.PauseImage)
	if err := l.kubectl().Apply(ctx, []byte(objects), "--server-side"); err != nil {
		return err
	}
	return lab.Poll(ctx, settleWithin, l.podsReady)
}

type condition struct{ Type, Status string }

func ready(conditions []condition) bool {
	for _, c := range conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// nodesReady says which machine is no Ready node.
func (l *Lab) nodesReady(ctx context.Context) error {
	for _, h := range l.net.hosts {
		n, err := l.Node(ctx, h.Name)
		if err != nil {
			return err
		}
		if !n.Ready {
			return fmt.Errorf("node %s is not Ready", h.Name)
		}
	}
	return nil
}

// Node is what the cluster says of a machine.
type Node struct {
	Ready         bool
	Unschedulable bool
	BootID        string
	Kernel        string
}

// Node asks the cluster about one machine. What it says of a machine that is
// away is what it last heard.
func (l *Lab) Node(ctx context.Context, name string) (Node, error) {
	out, err := l.Kube(ctx, "get", "node", name, "--output=json")
	if err != nil {
		return Node{}, err
	}
	var n struct {
		Spec   struct{ Unschedulable bool }
		Status struct {
			Conditions []condition
			NodeInfo   struct{ BootID, KernelVersion string }
		}
	}
	if err := json.Unmarshal([]byte(out), &n); err != nil {
		return Node{}, err
	}
	return Node{
		Ready: ready(n.Status.Conditions), Unschedulable: n.Spec.Unschedulable,
		BootID: n.Status.NodeInfo.BootID, Kernel: n.Status.NodeInfo.KernelVersion,
	}, nil
}

// podsReady says what is still missing of what the cluster runs.
func (l *Lab) podsReady(ctx context.Context) error {
	out, err := l.Kube(ctx, "get", "pods", "--all-namespaces", "--output=json")
	if err != nil {
		return err
	}
	var pods struct {
		Items []struct {
			Metadata struct {
				Name              string
				DeletionTimestamp *string
			}
			Status struct{ Conditions []condition }
		}
	}
	if err := json.Unmarshal([]byte(out), &pods); err != nil {
		return err
	}
	var running int
	var missing []string
	for _, p := range pods.Items {
		switch {
		case p.Metadata.DeletionTimestamp == nil && ready(p.Status.Conditions):
			running++
		default:
			missing = append(missing, p.Metadata.Name)
		}
	}
	if want := shopPods + len(l.net.hosts); running != want || len(missing) > 0 {
		return fmt.Errorf("%d pods that are Ready are wanted, found %d, and %q are not", want, running, missing)
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
