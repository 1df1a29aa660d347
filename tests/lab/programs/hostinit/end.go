//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"runbook/tests/lab/hostspec"
)

const (
	// answerFirst lets the command that has asked for the end, and the ssh session
	// that it ran in, finish before anything stops.
	answerFirst = 300 * time.Millisecond
	// serviceGrace is what a service gets to end by itself, and restGrace what all
	// other processes get.
	serviceGrace = 3 * time.Second
	restGrace    = 300 * time.Millisecond
)

// end ends the host: the services in the reverse of their order, then all that
// is left. What does not end by itself dies with process 1.
func (s *supervisor) end(services []hostspec.Service, asked os.Signal) {
	status := hostspec.Rebooted
	if asked == hostspec.PowerOffSignal {
		status = hostspec.PoweredOff
	}
	fmt.Fprintf(os.Stderr, "the host ends with status %d\n", status)
	time.Sleep(answerFirst)
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	for _, svc := range slices.Backward(services) {
		s.stop(svc.Name)
	}
	// -1 is everybody in this host but process 1 itself.
	if syscall.Kill(-1, syscall.SIGTERM) == nil {
		time.Sleep(restGrace)
	}
	os.Exit(status)
}

// stop asks a service to end and waits until it has.
func (s *supervisor) stop(name string) {
	pid := s.pid(name)
	if pid == 0 {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for began := time.Now(); s.pid(name) == pid; time.Sleep(lookEvery) {
		if time.Since(began) > serviceGrace {
			fmt.Fprintf(os.Stderr, "%s does not end\n", name)
			return
		}
	}
}

// pid is the process of a service, or 0.
func (s *supervisor) pid(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid, svc := range s.byPID {
		if svc.Name == name {
			return pid
		}
	}
	return 0
}
