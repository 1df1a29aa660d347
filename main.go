// Command runbook carries out declared steps on many machines and on the
// Kubernetes cluster they form.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"runbook/runner/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, cli.Env{
		Args:   os.Args[1:],
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,
	}))
}
