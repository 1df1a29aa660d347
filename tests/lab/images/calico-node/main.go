// Command calico-node stands for Calico's node agent. It does what Felix does
// about IP sets, with a real ipset binary and with Felix's own log lines, and
// gives a node its routes to the other nodes' pods only when that has worked.
//
// Without an argument it is the container's first process, which keeps the
// agent running as runit does: the agent may die as often as it likes, the
// container does not restart. With -felix it is the agent.
//
// With -init it is the init container that mounts what BPF needs; the lab needs
// none of it.
//
//	CALICO_VERSION        v3.27.0 and before list every IP set of the node, later versions their own
//	CALICO_IPV4POOL_CIDR  the addresses of all pods
//	PEERS                 all nodes: POD-NETWORK=ADDRESS, separated by commas
//	NODE_ADDRESS          which of them this one is
//	LAB_BROKEN            not empty: the agent never gets ready
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// restartAfter is what runit waits before it starts a dead service again.
const restartAfter = time.Second

func main() {
	felix := flag.Bool("felix", false, "run the agent itself")
	prepare := flag.Bool("init", false, "prepare the node, which needs nothing")
	flag.Bool("best-effort", false, "with -init: go on whatever fails")
	version := flag.Bool("v", false, "print the version")
	flag.Parse()
	if *version {
		fmt.Println(os.Getenv("CALICO_VERSION"))
		return
	}
	if *prepare {
		return
	}
	if *felix {
		os.Exit(runFelix())
	}
	if err := keepRunning(); err != nil {
		fmt.Fprintln(os.Stderr, "calico-node:", err)
		os.Exit(1)
	}
}

// keepRunning starts the agent again whenever it ends, until it is told to stop.
func keepRunning() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for {
		agent := exec.Command(self, "-felix")
		agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
		agent.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := agent.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- agent.Wait() }()
		select {
		case <-stop:
			return agent.Process.Kill()
		case <-ended:
		}
		select {
		case <-stop:
			return nil
		case <-time.After(restartAfter):
		}
	}
}
