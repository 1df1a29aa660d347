//go:build linux

// Package cgroup keeps each host of the lab in a control group of its own, in
// whatever hierarchies this machine has: what a host's containers make there is
// below one folder, and that folder can be removed when the host is gone.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Root is where control groups are mounted, on this machine and in its hosts.
const Root = "/sys/fs/cgroup"

// Hierarchy is one tree of control groups.
type Hierarchy struct {
	Path    string // where this machine has it mounted
	Options string // the mount options that name it; empty in version 2
	V2      bool
}

// Hierarchies are the trees that this machine uses: the one of version 2, or
// all of version 1.
func Hierarchies() ([]Hierarchy, error) {
	data, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	return parse(string(data))
}

func parse(mounts string) ([]Hierarchy, error) {
	var v1 []Hierarchy
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[1], Root) {
			continue
		}
		switch {
		case f[2] == "cgroup2" && f[1] == Root:
			return []Hierarchy{{Path: Root, V2: true}}, nil
		case f[2] == "cgroup":
			v1 = append(v1, Hierarchy{Path: f[1], Options: naming(f[3])})
		}
	}
	if len(v1) == 0 {
		return nil, errors.New("no control groups are mounted below " + Root + " on this machine")
	}
	return v1, nil
}

// naming keeps the mount options that name a hierarchy of version 1.
func naming(options string) string {
	var keep []string
	for o := range strings.SplitSeq(options, ",") {
		switch {
		case strings.HasPrefix(o, "name="):
			keep = append(keep, "none", o)
		case o == "rw" || o == "relatime" || o == "xattr" || o == "clone_children" ||
			strings.HasPrefix(o, "no") || strings.HasPrefix(o, "release_agent="):
		default:
			keep = append(keep, o)
		}
	}
	return strings.Join(keep, ",")
}

// Enter makes group the root of all control groups for the calling thread and
// what it starts. The caller must have locked its thread. The group is made if
// need be.
func Enter(group string) error {
	all, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := h.join(group); err != nil {
			return err
		}
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make %s the root of control groups: %w", group, err)
	}
	for _, h := range all {
		// In version 2 a group may have processes or subgroups with controllers,
		// not both: the processes move aside.
		if h.V2 {
			return h.join(filepath.Join(group, "init"))
		}
	}
	return nil
}

func (h Hierarchy) join(group string) error {
	at := h.Path
	for name := range strings.SplitSeq(group, "/") {
		parent := at
		at = filepath.Join(at, name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := inheritCPUs(parent, at); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(at, "cgroup.procs"), []byte("0"), 0o644)
}

// inheritCPUs gives a new group of the cpuset hierarchy what its parent has:
// version 1 makes it empty, and nothing may join an empty one.
func inheritCPUs(parent, child string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		have, err := os.ReadFile(filepath.Join(child, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(have)) != "" {
			continue
		}
		if err != nil {
			return err
		}
		value, err := os.ReadFile(filepath.Join(parent, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(value)) == "" {
			continue // version 2: empty means the parent's
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(child, name), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes a group and all below it, in every hierarchy. There must be no
// process in them any more. A group that is not there is no error.
func Remove(group string) error {
	all, err := Hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range all {
		errs = append(errs, remove(filepath.Join(h.Path, group)))
	}
	return errors.Join(errs...)
}

// remove removes the deepest groups first. The files in a group are the kernel's
// and go with it.
func remove(top string) error {
	entries, err := os.ReadDir(top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := remove(filepath.Join(top, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(top); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "rmdir", Path: top, Err: err}
	}
	return nil
}
