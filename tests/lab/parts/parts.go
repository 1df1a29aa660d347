// Package parts makes what a lab is built from, once, into a cache: the Debian
// tree of the hosts, the packages of the fault, the programs and the images.
// Everything is a Debian package or a Go module.
package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Parts are the finished parts; each field is an absolute path.
type Parts struct {
	Base     string // the Debian tree that every host's root is laid over
	OldDebs  string // folder of the packages that bring the fault: ipset 7.10
	NewDebs  string // folder of the packages that mend it: ipset 7.17
	OldIpset string // folder that OldDebs are unpacked into
	Programs string // folder of the lab's own programs
	Kube     string // folder of Kubernetes' programs
	Images   string // the archive of all container images

	// Of a stacked lab only.
	Stacked string // the Debian tree that every host's root is laid over, in the place of Base
	Kernels string // folder of the kernels' packages
}

// Cache is where parts are kept between labs.
type Cache struct {
	Dir     string
	Log     io.Writer // progress, for people
	Stacked bool      // make the parts of a stacked lab too
}

// Make returns the parts, making those that are not in the cache. Two at once
// wait for each other.
func (c Cache) Make(ctx context.Context) (Parts, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return Parts{}, err
	}
	unlock, err := c.lock()
	if err != nil {
		return Parts{}, err
	}
	defer unlock()

	var p Parts
	var coredns string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if p.OldDebs, err = c.debs(gctx, "bullseye", "ipset=7.10-1", "libipset13=7.10-1"); err != nil {
			return err
		}
		if p.NewDebs, err = c.debs(gctx, "bookworm", "ipset", "libipset13"); err != nil {
			return err
		}
		if p.OldIpset, err = c.unpacked(gctx, p.OldDebs); err != nil {
			return err
		}
		if p.Base, err = c.base(gctx); err != nil || !c.Stacked {
			return err
		}
		if p.Kernels, err = c.kernels(gctx); err != nil {
			return err
		}
		p.Stacked, err = c.stacked(gctx, p.Base, p.Kernels)
		return err
	})
	g.Go(func() (err error) {
		if p.Programs, err = c.programs(gctx); err != nil {
			return err
		}
		if p.Kube, err = c.kubernetes(gctx); err != nil {
			return err
		}
		coredns, err = c.coredns(gctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return Parts{}, err
	}
	p.Images, err = c.images(ctx, p, coredns)
	return p, err
}

// lock keeps a second builder out until the first has finished.
func (c Cache) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock the cache %s: %w", c.Dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// once returns the cache entry called name, made by make if it is not there.
// make gets an empty place beside it, so that an entry is whole or absent.
func (c Cache) once(name string, make func(dir string) error) (string, error) {
	final := filepath.Join(c.Dir, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	c.logf("making %s ...", name)
	began := time.Now()
	tmp := final + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return "", err
	}
	if err := make(tmp); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", err
	}
	c.logf("made %s in %s", name, time.Since(began).Round(time.Second))
	return final, nil
}

func (c Cache) logf(format string, args ...any) {
	if c.Log != nil {
		fmt.Fprintf(c.Log, format+"\n", args...)
	}
}

// run runs a command and returns its standard output; what it said on standard
// error is part of the error.
func run(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if exit, ok := err.(*exec.ExitError); ok {
			said = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("%s: %w%s", strings.Join(cmd.Args, " "), err, said)
	}
	return string(out), nil
}

// key is a short name for what an entry is made from: another input, another
// entry.
func key(inputs ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(inputs, "\x00")))
	return hex.EncodeToString(sum[:6])
}
