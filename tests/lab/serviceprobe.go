//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"runbook/tests/lab/probing"
	"runbook/tests/lab/proc"
)

// firstAnswerWithin is more than the prober gives the first answer.
const firstAnswerWithin = 20 * time.Second

// ServiceProbe is a service that is being asked from outside.
type ServiceProbe struct {
	cmd  *exec.Cmd
	end  io.Closer // tells the prober to stop
	out  *bufio.Reader
	said bytes.Buffer
}

// ProbeService asks a Service of a stacked lab at its ClusterIP, from outside
// the cluster, ten times a second and each time on a new connection. It returns
// when the first answer is there; what is asked from then on is counted, until
// Stop or the end of ctx.
func (l *Lab) ProbeService(ctx context.Context, namespace, name string, port int, path string) (*ServiceProbe, error) {
	ip, err := l.Kube(ctx, "get", "service", "-n", namespace, name, "--output=jsonpath={.spec.clusterIP}")
	if err != nil {
		return nil, err
	}
	client, err := l.process1(clientName)
	if err != nil {
		return nil, fmt.Errorf("only a stacked lab is looked at from outside: %w", err)
	}
	p := &ServiceProbe{cmd: exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(client.PID), "--net", "--",
		filepath.Join(l.Parts.Programs, "prober"), fmt.Sprintf("http://%s:%d/%s", ip, port, strings.TrimPrefix(path, "/")))}
	p.cmd.SysProcAttr = proc.EndWithUs()
	p.cmd.WaitDelay = time.Second
	p.cmd.Stderr = &p.said
	if p.end, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitLine(p.out, "answered\n", firstAnswerWithin); err != nil {
		_ = p.end.Close()
		_ = p.cmd.Wait()
		return nil, fmt.Errorf("probe %s/%s: %w: %s", namespace, name, err, strings.TrimSpace(p.said.String()))
	}
	return p, nil
}

// Stop ends the probe and returns what it has found. It waits for answers that
// are still to come, a second at most.
func (p *ServiceProbe) Stop() (probing.Result, error) {
	var result probing.Result
	if err := p.end.Close(); err != nil {
		return result, err
	}
	decoded := json.NewDecoder(p.out).Decode(&result)
	if err := p.cmd.Wait(); err != nil {
		return result, fmt.Errorf("the prober: %w: %s", err, strings.TrimSpace(p.said.String()))
	}
	return result, decoded
}

// seenFromOutside returns when the shop answers from outside.
func (l *Lab) seenFromOutside(ctx context.Context) error {
	p, err := l.ProbeService(ctx, Shop, "web", ShopPort, "/health")
	if err != nil {
		return err
	}
	_, err = p.Stop()
	return err
}
