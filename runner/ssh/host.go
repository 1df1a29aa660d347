package ssh

import (
	"context"
	"errors"
	"net"

	"runbook/modules"
	"runbook/runner/shell"
)

// Host is a machine that was reached, as one user. It is safe for concurrent use.
// Once its connection is lost every method returns an *Unreachable; Dial again.
type Host struct {
	as     shell.Become
	conn   *connection
	shells *shell.Set
}

func newHost(c *connection) *Host {
	return &Host{conn: c, shells: shell.NewSet(c.open)}
}

// As is the same machine as another user. The two share the connection, and a
// Close of either is a Close of both.
func (h *Host) As(_ context.Context, as shell.Become) (*Host, error) {
	if err := as.Validate(); err != nil {
		return nil, err
	}
	return &Host{as: as, conn: h.conn, shells: h.shells}, nil
}

// Query runs a read-only command. It is ended when the connection is lost.
func (h *Host) Query(ctx context.Context, cmd modules.Run) (out modules.Output, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		out, err = s.Query(ctx, cmd)
		return err
	})
	return out, err
}

// Lock makes the run the only one that changes the host as its user, as
// shell.Lock does. Another run's lock is a *shell.Held.
func (h *Host) Lock(ctx context.Context, by shell.Holder) (grip shell.Grip, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		grip, err = s.Lock(ctx, by)
		return err
	})
	return grip, err
}

// Unlock gives the lock back.
func (h *Host) Unlock(ctx context.Context) error {
	return h.with(ctx, func(s *shell.Shell) error { return s.Unlock(ctx) })
}

// Do runs a command that changes the host, once under each name. A non-zero exit
// code is no error. When the connection is lost the command goes on, and the
// error is an *Unreachable: Collect after a new Dial.
func (h *Host) Do(ctx context.Context, id string, cmd modules.Run) (out modules.Output, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		out, err = s.Do(ctx, id, cmd)
		return err
	})
	return out, err
}

// Collect says what became of the command of that name, and waits while it runs.
func (h *Host) Collect(ctx context.Context, id string) (fate shell.Fate, out modules.Output, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		fate, out, err = s.Collect(ctx, id)
		return err
	})
	return fate, out, err
}

// Forget drops what the host keeps of commands that have ended.
func (h *Host) Forget(ctx context.Context, ids []string) error {
	return h.with(ctx, func(s *shell.Shell) error { return s.Forget(ctx, ids) })
}

// ReadFile reads a file with its mode and owner. A missing file is an answer.
func (h *Host) ReadFile(ctx context.Context, path string) (file modules.File, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		file, err = s.ReadFile(ctx, path)
		return err
	})
	return file, err
}

// Write puts a whole file in place, atomically. What is big goes by sftp, where
// the login user may write there and the server has sftp.
func (h *Host) Write(ctx context.Context, w modules.Write) error {
	if len(w.Data) > bigWrite && h.as.Key() == (shell.Become{}).Key() {
		if temp, ok := h.conn.put(ctx, w); ok {
			return h.with(ctx, func(s *shell.Shell) error { return s.WriteFrom(ctx, w, temp) })
		}
	}
	return h.with(ctx, func(s *shell.Shell) error { return s.Write(ctx, w) })
}

// Remove deletes a path. One that is not there is as asked.
func (h *Host) Remove(ctx context.Context, r modules.Remove) error {
	return h.with(ctx, func(s *shell.Shell) error { return s.Remove(ctx, r) })
}

// DialContext connects from the host. Deadlines cannot be set on the connection;
// closing it ends what waits for it.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := h.conn.dial(ctx, network, addr)
	if err != nil && h.conn.isDown() {
		return nil, h.conn.lost(stageCommand, err)
	}
	return conn, err
}

// Lost says that the connection is over.
func (h *Host) Lost() bool { return h.conn.isDown() }

// Close ends every command that still runs, the shells of every user and the
// connection.
func (h *Host) Close() error {
	err := h.shells.Close()
	h.conn.end(errHostClosed)
	return err
}

// with runs do on the shell of the host's user, and tells the loss of the host
// from errors of the command and of become.
func (h *Host) with(ctx context.Context, do func(*shell.Shell) error) error {
	if h.conn.isDown() {
		return h.conn.lost(stageCommand, errGone)
	}
	stage := stageShell
	err := h.shells.With(ctx, h.as, func(s *shell.Shell) error {
		stage = stageCommand
		return do(s)
	})
	var lost *shell.Lost
	login := h.as.Key() == (shell.Become{}).Key()
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lost), hungUp(err), h.conn.isDown():
		return h.conn.lost(stage, err)
	case stage == stageShell && login && ctx.Err() == nil:
		return h.conn.lost(stage, err) // it answers, but nothing can be done on it
	}
	return err
}
