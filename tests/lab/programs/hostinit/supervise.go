//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"runbook/tests/lab/hostspec"
)

const (
	logDir = "/var/log/lab"
	// restartAfter keeps a service that dies at once from using up the machine.
	restartAfter = time.Second
	// lookEvery is how often a waiting service looks for its path.
	lookEvery = 20 * time.Millisecond
)

// supervisor knows which child is which service; every other child is an orphan
// that fell to process 1.
type supervisor struct {
	mu     sync.Mutex
	byPID  map[int]hostspec.Service
	ending bool // the host is: nothing is started any more
}

// supervise starts the services and collects children for as long as there are
// any, starting a service again when it ends, until the host is asked to end.
func supervise(services []hostspec.Service) error {
	if err := os.MkdirAll(logDir, 0o755); err != nil {
		return err
	}
	s := &supervisor{byPID: map[int]hostspec.Service{}}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, hostspec.RebootSignal, hostspec.PowerOffSignal)
	go func() { s.end(services, <-asked) }()
	for _, svc := range services {
		go s.start(svc, 0)
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			time.Sleep(lookEvery) // nothing to collect until a service starts
		case err != nil:
			return fmt.Errorf("wait for children: %w", err)
		default:
			s.ended(pid)
		}
	}
}

func (s *supervisor) ended(pid int) {
	s.mu.Lock()
	svc, ours := s.byPID[pid]
	delete(s.byPID, pid)
	ending := s.ending
	s.mu.Unlock()
	if ours && !ending {
		fmt.Fprintf(os.Stderr, "%s ended, starting it again\n", svc.Name)
		go s.start(svc, restartAfter)
	}
}

// start waits for what the service needs, then starts it. It waits for as long
// as the host lives: what is waited for is another part of the lab, which has a
// bound of its own.
func (s *supervisor) start(svc hostspec.Service, delay time.Duration) {
	time.Sleep(delay)
	for !may(svc) {
		time.Sleep(lookEvery)
	}
	if err := s.exec(svc); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", svc.Name, err)
		go s.start(svc, restartAfter)
	}
}

// may says whether the service may start.
func may(svc hostspec.Service) bool {
	for _, path := range svc.After {
		if !exists(path) {
			return false
		}
	}
	return svc.Until == "" || !exists(svc.Until)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *supervisor) exec(svc hostspec.Service) error {
	log, err := os.OpenFile(filepath.Join(logDir, svc.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()

	// Held until the pid is written down, so that a child that ends at once is
	// still known to ended.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil
	}
	p, err := os.StartProcess(svc.Args[0], svc.Args, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"},
		Files: []*os.File{null, log, log},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	s.byPID[p.Pid] = svc
	return p.Release()
}
