package parts

import (
	"context"
	"os"
	"os/exec"

	"runbook/tests/lab/image"
)

// What follows is for labs of another kind, which keep parts of their own.

// Once returns the cache entry called name, made by make if it is not there.
// make gets an empty place beside it, so that an entry is whole or absent. The
// caller holds the cache's lock.
func (c Cache) Once(name string, make func(dir string) error) (string, error) {
	return c.once(name, make)
}

// Lock makes the cache's folder and keeps a second builder out until the first
// has finished.
func (c Cache) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	return c.lock()
}

// Run runs a command and returns its standard output; what it said on standard
// error is part of the error.
func Run(cmd *exec.Cmd) (string, error) { return run(cmd) }

// Key is a short name for what an entry is made from: another input, another
// entry.
func Key(inputs ...string) string { return key(inputs...) }

// Mirror is the Debian mirror in this machine's own apt sources.
func Mirror(ctx context.Context) (string, error) { return mirror(ctx) }

// Busybox is this machine's static busybox and the names it answers to.
func Busybox() image.Layer { return busybox() }
