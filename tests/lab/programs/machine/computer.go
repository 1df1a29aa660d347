//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/kernel"
	"runbook/tests/lab/machine"
)

// cutWithin bounds the end of a host whose power is cut: everything in it is
// killed at once.
const cutWithin = 10 * time.Second

// computer is a machine. One goroutine, live's, does everything.
type computer struct {
	spec     machine.Spec
	requests chan request

	state machine.State
	every []hostspec.File
	next  machine.Boot
	init  *exec.Cmd        // the host's process 1; nil: no host runs
	ended chan int         // the status that it has ended with
	again <-chan time.Time // when a kernel that has panicked boots again
}

// request is one that waits for its answer.
type request struct {
	machine.Request
	answer chan<- answer
}

type answer struct {
	state machine.State
	err   error
}

// ask passes a request on to live.
func (c *computer) ask(r machine.Request) (machine.State, error) {
	answered := make(chan answer, 1)
	c.requests <- request{r, answered}
	a := <-answered
	return a.state, a.err
}

// live boots the host and does what it is asked, until failed says why not.
func (c *computer) live(failed <-chan error) error {
	c.boot()
	for {
		select {
		case err := <-failed:
			return err
		case r := <-c.requests:
			err := c.do(r.Request)
			r.answer <- answer{c.state, err}
		case status := <-c.ended:
			c.hostEnded(status)
		case <-c.again:
			c.boot()
		}
	}
}

func (c *computer) do(r machine.Request) error {
	if r.ForgetNext {
		c.next = machine.Boot{}
	}
	c.every = append(c.every, r.EveryBoot...)
	c.next.Files = append(c.next.Files, r.NextBoot.Files...)
	c.next.Without = append(c.next.Without, r.NextBoot.Without...)
	c.next.StayOff = c.next.StayOff || r.NextBoot.StayOff
	if r.NextBoot.Kernel != "" {
		c.next.Kernel = r.NextBoot.Kernel
	}
	switch r.Power {
	case "":
	case machine.Off:
		return c.cut()
	case machine.On:
		if c.init == nil {
			c.next.StayOff = false
			c.boot()
		}
		if c.state.Power != machine.On {
			return errors.New(c.state.Why)
		}
	default:
		return fmt.Errorf("power %q: %s or %s is wanted", r.Power, machine.On, machine.Off)
	}
	return nil
}

// cut takes the power away. The cable goes first, so that nobody is told.
func (c *computer) cut() error {
	if c.init != nil {
		if err := c.unplug(); err != nil {
			return err
		}
		if err := c.init.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-c.ended:
		case <-time.After(cutWithin):
			return fmt.Errorf("process 1 is still there %s after it was killed", cutWithin)
		}
	}
	c.stop(machine.Off, "its power was cut")
	return nil
}

// hostEnded boots a host that has rebooted. One whose process 1 has ended for
// another reason stays off, so that the reason can be seen.
func (c *computer) hostEnded(status int) {
	why := fmt.Sprintf("process 1 ended with status %d", status)
	switch status {
	case hostspec.PoweredOff:
		why = "the host has powered off"
	case hostspec.Rebooted:
		why = "the host has rebooted"
	}
	c.stop(machine.Off, why)
	if status == hostspec.Rebooted && !c.next.StayOff {
		c.boot()
	}
	c.next.StayOff = false
}

// stop notes that no host runs any more.
func (c *computer) stop(power machine.Power, why string) {
	c.init, c.again = nil, nil
	c.state = machine.State{Power: power, Why: why, Boots: c.state.Boots}
	c.logf("%s: %s", power, why)
}

// boot goes through the firmware, the boot loader and the kernel, and starts
// the host. What is to be different at the next boot is different at this one.
func (c *computer) boot() {
	next := c.next
	c.next = machine.Boot{}
	c.again = nil
	up, err := c.load(next)
	if errors.Is(err, kernel.ErrPanic) {
		if wait, ok := kernel.RebootsAfter(up.args); ok {
			err = fmt.Errorf("%w; it boots again after %s", err, wait)
			defer func() { c.again = time.After(wait) }()
		}
	}
	if err != nil {
		c.stop(machine.Hung, err.Error())
		return
	}
	if err := c.start(up, next); err != nil {
		c.stop(machine.Off, "it could not start the host: "+err.Error())
		return
	}
	c.logf("boot %d: id %s, kernel %q, %q", c.state.Boots, c.state.BootID, up.release, up.title)
}

func (c *computer) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s machine: %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}
