//go:build linux

// Command machine is what a host of the lab runs on: a process outside the
// host, its power supply and its firmware. It starts the host's process 1 in
// fresh namespaces whenever the host boots, and says what it is asked, as
// package machine has it. The host dies with it.
//
//	machine SPEC
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"runbook/tests/lab/machine"
)

// The host's process 1 dies with the thread that has started it. The first
// thread lives for as long as the process, so main keeps it.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: machine SPEC")
	}
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	c := &computer{requests: make(chan request), ended: make(chan int, 1)}
	if err := json.Unmarshal(data, &c.spec); err != nil {
		return fmt.Errorf("%s: %w", os.Args[1], err)
	}
	// What is mounted to look at the host's disk is seen by nobody else.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, dir := range c.spec.Memory {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700"); err != nil {
			return fmt.Errorf("keep %s in memory: %w", dir, err)
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- machine.Serve(c.spec.Dir, c.ask) }()
	return c.live(failed)
}
