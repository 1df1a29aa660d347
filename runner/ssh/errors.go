package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Unreachable is the error of a host that cannot be reached, or can no longer.
type Unreachable struct {
	Host  string // its name in the inventory
	Stage string // "connect", "handshake", "host key", "authentication", "start of a shell", "during a command"
	Err   error
}

func (e *Unreachable) Error() string {
	if e.Stage == "connect" || e.Stage == "host key" { // the cause says it already
		return fmt.Sprintf("%s: %v", e.Host, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Host, e.Stage, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// Unreachable tells the engine what kind of error this is.
func (e *Unreachable) Unreachable() bool { return true }

// Refused says that the host answers, and does not show that it is the one that is
// meant: waiting does not mend that.
func (e *Unreachable) Refused() bool { return e.Stage == stageHostKey }

// The stages of a connection, as errors name them.
const (
	stageConnect   = "connect"
	stageHandshake = "handshake"
	stageHostKey   = "host key"
	stageAuth      = "authentication"
	stageShell     = "start of a shell"
	stageCommand   = "during a command"
)

// errTooSlow marks a stage that was cut off by its own limit.
type errTooSlow struct{ limit time.Duration }

func (e errTooSlow) Error() string { return fmt.Sprintf("timeout after %v", e.limit) }

// cause says in plain words why a connection failed.
func cause(err error) error {
	var dns *net.DNSError
	var slow errTooSlow
	switch {
	case errors.As(err, &slow), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("there is no host %q (%w)", dns.Name, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connection refused: no sshd listens there (%w)", err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("no route to the host (%w)", err)
	case hungUp(err):
		return fmt.Errorf("the server closed the connection (%w)", err)
	}
	return err
}

// hungUp says whether the other side ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lost is the error of a command that the loss of the connection kept from its
// end.
func (c *connection) lost(stage string, err error) error {
	if why := c.whyDown(); why != nil {
		err = fmt.Errorf("%w (%w)", why, err)
	}
	return &Unreachable{Host: c.host, Stage: stage, Err: err}
}

// exists says whether a file is there; an unreadable one is.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil || !errors.Is(err, os.ErrNotExist)
}
