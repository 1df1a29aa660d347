//go:build linux

package labvm

import (
	"cmp"
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
	unlock, err := l.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return l.down(ctx)
}

// Down takes the lab down.
func (l *Lab) Down(ctx context.Context) error { return Down(ctx, l.cfg) }

func (l *Lab) down(ctx context.Context) error {
	if err := l.Ours("RUNBOOK_LABVM_STATE"); err != nil {
		return err
	}
	records, err := proc.Load(l.Path("procs"))
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
	return errors.Join(left.remove(ctx), os.RemoveAll(l.StateDir()))
}

// leftNetwork is the network of the lab that is to go down, which need not be
// the one that this program was told of.
func (l *Lab) leftNetwork() (network, error) {
	subnet, err := l.Subnet()
	if err != nil {
		return network{}, err
	}
	return plan(cmp.Or(subnet, l.cfg.Subnet)) // none if it has not come so far as to have one
}

// keepLogs saves the logs of a lab that did not come up, or of a test that
// failed, where the next attempt does not clear them away.
func (l *Lab) keepLogs() error {
	kept := filepath.Join(l.cfg.Cache, "failed-logs")
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	if err := os.CopyFS(kept, os.DirFS(l.Path("logs"))); err != nil {
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
