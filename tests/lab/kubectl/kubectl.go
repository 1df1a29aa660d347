// Package kubectl runs a lab's own kubectl, as the administrator of its cluster.
package kubectl

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"runbook/tests/lab/proc"
)

// Within bounds one request: a lab's API server is near, or not there.
const Within = "30s"

// Kubectl is a kubectl and the cluster that it talks to.
type Kubectl struct {
	Program    string // the path of a kubectl of the cluster's own version
	Kubeconfig string
	Cache      string // a folder of its own, for what it learns of the API
}

// Command is a kubectl that ends with this program.
func (k Kubectl) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.Program, append([]string{"--kubeconfig=" + k.Kubeconfig, "--request-timeout=" + Within}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+k.Cache)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = proc.EndWithUs()
	return cmd
}

// Run runs kubectl and returns what it printed.
func (k Kubectl) Run(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	cmd := k.Command(ctx, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// Apply has objects in the cluster, written as YAML or JSON.
func (k Kubectl) Apply(ctx context.Context, objects []byte, flags ...string) error {
	cmd := k.Command(ctx, append([]string{"apply", "--filename=-"}, flags...)...)
	cmd.Stdin = bytes.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
