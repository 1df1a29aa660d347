// Command kube-controllers stands for Calico's controllers. It runs, and that is
// all that is asked of it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	fmt.Println("kube-controllers", os.Getenv("CALICO_VERSION"), "runs")
	<-ctx.Done()
}
