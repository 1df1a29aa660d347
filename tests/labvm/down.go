//go:build linux

package labvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"runbook/tests/lab/proc"
)

// stopGrace is what a daemon of the control plane gets to end by itself. A
// machine gets none: its power is cut.
const stopGrace = 3 * time.Second

// Down takes the lab down: no process and no interface of it is left. Down of a
// lab that is not up does nothing.
func Down(ctx context.Context, cfg Config) error {
	l, err := configured(cfg)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	unlock, err := lockState(l.cfg.State)
	if err != nil {
		return err
	}
	defer unlock()
	return l.down(ctx)
}

// Down takes the lab down.
func (l *Lab) Down(ctx context.Context) error { return Down(ctx, l.cfg) }

func (l *Lab) down(ctx context.Context) error {
	if err := checkOurs(l.cfg.State); err != nil {
		return err
	}
	records, err := proc.Load(l.path("procs"))
	if err != nil {
		return err
	}
	for _, r := range records {
		grace := stopGrace
		if _, err := l.Host(r.Name); err == nil {
			grace = 0
		}
		if err := r.Stop(ctx, grace); err != nil {
			return err // what follows would pull the ground from under it
		}
	}
	left, err := l.leftNetwork()
	if err != nil {
		return err
	}
	return errors.Join(left.remove(ctx), os.RemoveAll(l.cfg.State))
}

// leftNetwork is the network of the lab that is to go down, which need not be
// the one that this program was told of.
func (l *Lab) leftNetwork() (network, error) {
	subnet, err := os.ReadFile(l.path("subnet"))
	if errors.Is(err, fs.ErrNotExist) {
		return l.net, nil // it has not come so far as to have one
	}
	if err != nil {
		return network{}, err
	}
	return plan(string(subnet))
}

// checkOurs refuses a folder that holds something else than a lab: it would be
// removed with all that is in it.
func checkOurs(state string) error {
	entries, err := os.ReadDir(state)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(state, "procs")); err != nil {
		return fmt.Errorf("%s is not empty and holds no lab: point RUNBOOK_LABVM_STATE to a folder that may be removed", state)
	}
	return nil
}

// keepLogs saves the logs of a lab that did not come up, or of a test that
// failed, where the next attempt does not clear them away.
func (l *Lab) keepLogs() error {
	kept := filepath.Join(l.cfg.Cache, "failed-logs")
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	if err := os.CopyFS(kept, os.DirFS(l.path("logs"))); err != nil {
		return err
	}
	for _, h := range l.net.hosts {
		data, err := os.ReadFile(l.consolePath(h))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has not come so far
		}
		if err = errors.Join(err, os.WriteFile(filepath.Join(kept, h.Name+"-console.log"), data, 0o644)); err != nil {
			return err
		}
	}
	fmt.Fprintf(l.cfg.Log, "the logs are kept in %s\n", kept)
	return nil
}
