//go:build linux

package labvm

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"runbook/tests/lab"
	"runbook/tests/lab/state"
	"runbook/tests/labvm/parts"
)

// DefaultSubnet is the network of the machines.
const DefaultSubnet = "10.31.0.0/16"

// Config says what kind of lab to bring up. The zero value is three workers of a
// cluster.
type Config struct {
	Bare   bool      // machines only: no cluster, and no kubelet in them
	Subnet string    // a /16; empty: $RUNBOOK_LABVM_SUBNET or DefaultSubnet
	Cache  string    // where the disk and the kernel are kept; empty: $RUNBOOK_LABVM_CACHE or the user's cache folder
	State  string    // where the running lab lives; empty: $RUNBOOK_LABVM_STATE or /var/lib/runbook-labvm
	Log    io.Writer // progress; nil: none
}

func (c Config) withDefaults() (Config, error) {
	c.Subnet = cmp.Or(c.Subnet, os.Getenv("RUNBOOK_LABVM_SUBNET"), DefaultSubnet)
	c.State = cmp.Or(c.State, os.Getenv("RUNBOOK_LABVM_STATE"), "/var/lib/runbook-labvm")
	c.Cache = cmp.Or(c.Cache, os.Getenv("RUNBOOK_LABVM_CACHE"))
	if c.Log == nil {
		c.Log = io.Discard
	}
	if c.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("%w: set RUNBOOK_LABVM_CACHE to a folder", err)
		}
		c.Cache = filepath.Join(dir, "runbook-labvm")
	}
	return c, nil
}

// MakeParts makes what a lab is built from and keeps it in the cache, without
// bringing a lab up. Kubernetes and the small programs are the other lab's, in
// its own cache.
func MakeParts(ctx context.Context, cfg Config) (parts.Parts, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return parts.Parts{}, err
	}
	l := &Lab{Dir: state.Dir(cfg.State), cfg: cfg}
	err = l.makeParts(ctx)
	return l.Parts, err
}

func (l *Lab) makeParts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, partsWithin)
	defer cancel()
	var err error
	if l.Shared, err = lab.MakeParts(ctx, lab.Config{Log: l.cfg.Log}); err != nil {
		return err
	}
	l.Parts, err = parts.Cache{Dir: l.cfg.Cache, Log: l.cfg.Log, From: l.Shared}.Make(ctx)
	return err
}
