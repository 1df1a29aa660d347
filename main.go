// Command runbook carries out declared steps on many machines and on the
// Kubernetes cluster they form.
package main

import (
	"context"
	"os"

	"runbook/runner/cli"
)

func main() { os.Exit(cli.Main(context.Background(), cli.Process())) }
