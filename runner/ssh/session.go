package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"runbook/runner/shell"
)

// sessionGrace is how long sshd may take to end a session, before another is
// opened in its place.
const sessionGrace = 2 * time.Second

// open is the shell.Opener of the connection.
func (c *connection) open(ctx context.Context, line string) (shell.Streams, error) {
	session, err := c.session(ctx)
	if errors.Is(err, shell.ErrNoRoom) {
		session, err = c.sessionAfterUpload(ctx)
	}
	if err != nil {
		return shell.Streams{}, err
	}
	streams, err := streamsOf(session)
	if err == nil {
		err = within(ctx, func() error { return session.Start(line) })
	}
	if err != nil {
		_ = session.Close()
		return shell.Streams{}, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = session.Wait() // how the shell ended is of no use, only when
	}()
	stop := sync.OnceFunc(func() {
		_ = session.Close() // closed by the server already is as good
		select {
		case <-ended:
		case <-time.After(sessionGrace):
		}
	})
	streams.Close = func() error { stop(); return nil }
	return streams, nil
}

// sessionAfterUpload tries again where an upload has taken the last place.
func (c *connection) sessionAfterUpload(ctx context.Context) (*ssh.Session, error) {
	select {
	case c.uploading <- struct{}{}:
		defer func() { <-c.uploading }()
		return c.session(ctx)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// session opens a session, or says that there is no room for one.
func (c *connection) session(ctx context.Context) (*ssh.Session, error) {
	var session *ssh.Session
	opened := make(chan error, 1)
	go func() {
		var err error
		session, err = c.client.NewSession()
		opened <- err
	}()
	var err error
	select {
	case err = <-opened:
	case <-ctx.Done():
		go func() {
			if <-opened == nil {
				_ = session.Close() // nobody wants it any more
			}
		}()
		return nil, context.Cause(ctx)
	}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("%w (MaxSessions of its sshd): %w", shell.ErrNoRoom, err)
	}
	if err != nil {
		return nil, err
	}
	return session, nil
}

func streamsOf(session *ssh.Session) (shell.Streams, error) {
	stdin, errIn := session.StdinPipe()
	stdout, errOut := session.StdoutPipe()
	stderr, errErr := session.StderrPipe()
	return shell.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr}, errors.Join(errIn, errOut, errErr)
}

// within waits for a call of the client library that knows no context. A call
// that does not return when the context ends is left to the keepalive, which
// makes it return.
func within(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
