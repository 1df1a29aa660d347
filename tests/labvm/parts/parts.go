//go:build linux

// Package parts makes what the virtual machines are built from, once, into a
// cache: the disk that every machine's own is laid over, and the packages of the
// newer kernel. Everything is a Debian package or a Go module.
package parts

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"runbook/tests/lab/parts"
)

// Parts are the finished parts; each path is absolute.
type Parts struct {
	Disk       string // raw; a Debian that boots by its own GRUB
	KernelDebs string // folder of the packages that bring the newer kernel
	OldKernel  string // the release of the kernel on the disk, as uname -r says it
	NewKernel  string // the release of the newer one
}

// Cache is where parts are kept between labs.
type Cache struct {
	Dir  string
	Log  io.Writer   // progress, for people
	From parts.Parts // what the other lab has made: kubelet, and what runs in pods
}

// Make returns the parts, making those that are not in the cache. Two at once
// wait for each other.
func (c Cache) Make(ctx context.Context) (Parts, error) {
	kept := parts.Cache{Dir: c.Dir, Log: c.Log}
	unlock, err := kept.Lock()
	if err != nil {
		return Parts{}, err
	}
	defer unlock()
	tree, err := c.tree(ctx, kept)
	if err != nil {
		return Parts{}, err
	}
	var p Parts
	image, err := one(filepath.Join(tree, "boot/vmlinuz-*"))
	if err != nil {
		return Parts{}, err
	}
	p.OldKernel = strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
	if p.KernelDebs, err = c.kernel(ctx, kept, tree); err != nil {
		return Parts{}, err
	}
	if p.NewKernel, err = releaseOf(ctx, p.KernelDebs); err != nil {
		return Parts{}, err
	}
	if p.NewKernel == p.OldKernel {
		return Parts{}, fmt.Errorf("a kernel newer than %s is wanted, %s has the same: remove it to look again", p.OldKernel, p.KernelDebs)
	}
	p.Disk, err = c.disk(ctx, kept, tree, p.OldKernel)
	return p, err
}

// one is the only file that there is of a pattern.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("one file %s is wanted, found %q", pattern, found)
	}
	return found[0], nil
}
