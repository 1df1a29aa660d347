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
	signals := make(chan os.Signal, 4)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as under nohup
			signal.Notify(signals, s)
		}
	}
	// Who reads our output may go; the run goes on. Not signal.Ignore: the
	// commands that we start would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(cli.Main(context.Background(), cli.Env{
		Args:    os.Args[1:],
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Getenv:  os.Getenv,
		Signals: signals,
		Exit:    os.Exit,
	}))
}
