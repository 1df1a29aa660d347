// Command kube-router stands for kube-router's network policy controller, which
// k3s and k0s carry inside them. About every second it reads every IP set of the
// host, makes each anew under another name, swaps the two and destroys the old
// one. So every set gets the revision that its own ipset likes best, sets of
// others too.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	rewriteEvery  = time.Second
	rewriteWithin = 10 * time.Second // a rewrite takes some milliseconds
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	tick := time.NewTicker(rewriteEvery)
	defer tick.Stop()
	for {
		// A rewrite that has begun is finished, so that no half copy stays behind.
		if err := rewrite(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintln(os.Stderr, "kube-router:", err)
			sweep(context.WithoutCancel(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rewrite makes every set of the host anew.
func rewrite(ctx context.Context) error {
	saved, err := ipset(ctx, "", "save")
	if err != nil {
		return err
	}
	script := copies(saved)
	if script == "" {
		return nil
	}
	_, err = ipset(ctx, script, "restore", "-exist")
	return err
}

// sweep takes away what a rewrite that failed has left.
func sweep(ctx context.Context) {
	names, err := ipset(ctx, "", "list", "-name")
	if err != nil {
		return
	}
	for name := range strings.FieldsSeq(names) {
		if strings.HasPrefix(name, copyPrefix) {
			_, _ = ipset(ctx, "", "destroy", name)
		}
	}
}

func ipset(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, rewriteWithin)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "ipset", args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ipset %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
