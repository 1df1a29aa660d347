//go:build linux

// Package incident runs the program against the lab, as an operator would.
package incident

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"runbook/tests/lab"
)

// Playbook is the one that ends the incident.
const Playbook = "playbooks/ipset-fix.yaml"

// Operator is somebody with the program, the lab's inventory, and no kubeconfig.
type Operator struct {
	Lab    *lab.Lab
	Root   string    // of the checkout
	Binary string    // runbook
	Echo   io.Writer // also gets what the program prints; nil: nobody
	Desk   string    // where this operator works and keeps .runbook, below the lab's state; "operator" where empty
}

// Outcome is what one call of the program came to.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// Vars are the lab's sites, and shorter pauses between two requests to them.
func Vars(l *lab.Lab) (string, error) {
	text, err := json.Marshal(map[string]any{"urls": l.URLs(), "check_interval": 0.2})
	return string(text), err
}

// Run calls the program with the lab's inventory and variables after the given
// arguments.
func (o Operator) Run(ctx context.Context, args ...string) (Outcome, error) {
	vars, err := Vars(o.Lab)
	if err != nil {
		return Outcome{}, err
	}
	return o.Exec(ctx, append(args, "-i", o.Lab.Inventory(), "-e", vars)...)
}

// State is the operator's .runbook.
func (o Operator) State() string { return filepath.Join(o.home(), ".runbook") }

func (o Operator) home() string {
	if o.Desk == "" {
		return filepath.Join(o.Lab.StateDir(), "operator")
	}
	return filepath.Join(o.Lab.StateDir(), o.Desk)
}

// Command is the program with the operator's .runbook, ready to be started.
func (o Operator) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if err := os.MkdirAll(o.home(), 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, o.Binary, append(args, "--state", o.State())...)
	cmd.Dir = o.Root
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.home(), "SSL_CERT_FILE=" + o.Lab.CA()}
	return cmd, nil
}

// Exec calls the program with the given arguments alone.
func (o Operator) Exec(ctx context.Context, args ...string) (Outcome, error) {
	cmd, err := o.Command(ctx, args...)
	if err != nil {
		return Outcome{}, err
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if o.Echo != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, o.Echo), io.MultiWriter(&errs, o.Echo)
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}, nil
}

// Build makes the program in dir and returns its path.
func Build(ctx context.Context, root, dir string) (string, error) {
	binary := filepath.Join(dir, "runbook")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}
