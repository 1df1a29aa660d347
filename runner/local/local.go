// Package local reaches the machine that runbook itself runs on.
package local

import (
	"context"
	"errors"
	"net"

	"runbook/modules"
	"runbook/runner/shell"
)

// Host is this machine as one user. It is safe for concurrent use.
type Host struct {
	as     shell.Become
	shells *shell.Set
}

// Open reaches this machine as the user who runs runbook. No process is started
// before the first command.
func Open(ctx context.Context) (*Host, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &Host{shells: shell.NewSet(start)}, nil
}

// As is this machine as another user. The two share their shells, and a Close of
// either is a Close of both.
func (h *Host) As(_ context.Context, as shell.Become) (*Host, error) {
	if err := as.Validate(); err != nil {
		return nil, err
	}
	return &Host{as: as, shells: h.shells}, nil
}

// Query runs a read-only command. It is ended when runbook dies.
func (h *Host) Query(ctx context.Context, cmd modules.Run) (out modules.Output, err error) {
	err = h.with(ctx, func(s *shell.Shell) error {
		out, err = s.Query(ctx, cmd)
		return err
	})
	return out, err
}

// Lock makes the run the only one that changes this machine as its user, as
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
	return h.shells.With(ctx, h.as, func(s *shell.Shell) error { return s.Unlock(ctx) })
}

// Do runs a command that changes this machine, once under each name. A non-zero exit
// code is no error. When the shell is lost the
// command goes on: Collect says what it came to.
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

// Forget drops what this machine keeps of commands that have ended.
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

// Write puts a whole file in place, atomically.
func (h *Host) Write(ctx context.Context, w modules.Write) error {
	return h.with(ctx, func(s *shell.Shell) error { return s.Write(ctx, w) })
}

// Remove deletes a path. One that is not there is as asked.
func (h *Host) Remove(ctx context.Context, r modules.Remove) error {
	return h.with(ctx, func(s *shell.Shell) error { return s.Remove(ctx, r) })
}

// DialContext connects from this machine.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Lost is the error of a shell that ended in the middle of something. To the
// engine it is what a lost connection is: another shell can say how it ended.
type Lost struct{ Err error }

func (e *Lost) Error() string { return "this machine: " + e.Err.Error() }
func (e *Lost) Unwrap() error { return e.Err }

// Unreachable tells the engine what kind of error this is.
func (e *Lost) Unreachable() bool { return true }

// with runs do on the shell of the host's user.
func (h *Host) with(ctx context.Context, do func(*shell.Shell) error) error {
	err := h.shells.With(ctx, h.as, do)
	var lost *shell.Lost
	if errors.As(err, &lost) {
		return &Lost{err}
	}
	return err
}

// Lost says never: this machine is here as long as this program is.
func (h *Host) Lost() bool { return false }

// Close ends every command that still runs and the shells, of every user.
func (h *Host) Close() error { return h.shells.Close() }
