//go:build linux

// Package machine is what the lab and the machine that a host runs on say to
// each other. A machine is a process outside the host: its power supply and its
// firmware. It starts the host's process 1, again and again.
package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"runbook/tests/lab/hostspec"
)

// Spec is all that a machine is made of, in a file that its command line names.
type Spec struct {
	Name   string   // the host's
	Dir    string   // where the machine keeps its own files, and Socket
	Procs  string   // where the host's process 1 is recorded, as InitOf its name
	Init   string   // the program that becomes process 1
	Group  string   // the host's control group
	Link   string   // this machine's end of the network cable
	Bridge string   // what the cable is plugged into
	MAC    string   // of the host's own end, the same at every boot
	Memory []string // folders that are kept in memory for as long as the machine lives, whether the host is up or not
	Loader bool     // boot what the host's boot loader chooses; else a host is told of this machine's kernel
	Host   hostspec.Host
}

// InitOf is the name that the process 1 of a host is recorded under.
func InitOf(host string) string { return host + "-init" }

// Power is what a machine is doing.
type Power string

// A machine that is hung has power and no process: its kernel has panicked, or
// it had nothing to boot.
const (
	On   Power = "on"
	Off  Power = "off"
	Hung Power = "hung"
)

// Request asks a machine for something, or with no field for its state only.
type Request struct {
	Power      Power           // On and Off are wanted; Off cuts it, whatever the host is doing
	EveryBoot  []hostspec.File // what every boot from now on finds
	NextBoot   Boot            // what is to be different about the next boot, beside what is to be already
	ForgetNext bool            // nothing is to be different about it
}

// Boot is what is different about one boot.
type Boot struct {
	Kernel  string          // the release that comes up, whatever the boot loader chose
	StayOff bool            // it does not happen: a host that reboots stays off
	Files   []hostspec.File // what it finds
	Without []string        // the paths of files that every other boot finds
}

// State is what a machine is doing.
type State struct {
	Power  Power
	Why    string // of a machine that is not on; and how the host's last life ended
	Boots  int    // how often process 1 was started
	BootID string
	Kernel string // the release that the host is told of; empty: this machine's own
	Loaded string // the menu entry that the boot loader chose
}

// answerWithin bounds one request: a boot and a power cut take a fraction of it.
const answerWithin = 20 * time.Second

// Ask asks the machine that keeps its files in dir, and returns its state when
// it has done what was asked.
func Ask(ctx context.Context, dir string, request Request) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	path, done, err := socket(dir)
	if err != nil {
		return State{}, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return State{}, fmt.Errorf("the machine in %s does not answer: %w", dir, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var answer struct {
		State State
		Err   string
	}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return State{}, fmt.Errorf("ask the machine in %s: %w", dir, err)
	}
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return State{}, fmt.Errorf("ask the machine in %s: %w", dir, err)
	}
	if answer.Err != "" {
		return answer.State, fmt.Errorf("the machine in %s: %s", dir, answer.Err)
	}
	return answer.State, nil
}

// Serve answers requests in dir for as long as the process lives.
func Serve(dir string, do func(Request) (State, error)) error {
	path, done, err := socket(dir)
	if err != nil {
		return err
	}
	defer done()
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go answer(conn, do)
	}
}

func answer(conn net.Conn, do func(Request) (State, error)) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	var request Request
	if json.NewDecoder(conn).Decode(&request) != nil {
		return // whoever asked has gone
	}
	var a struct {
		State State
		Err   string `json:",omitempty"`
	}
	state, err := do(request)
	if a.State = state; err != nil {
		a.Err = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a)
}

// socket is the path of the socket in dir, by way of an open folder: the kernel
// takes no path of more than a hundred characters.
func socket(dir string) (path string, done func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", fmt.Sprint(f.Fd()), "machine.sock"), func() { _ = f.Close() }, nil
}
