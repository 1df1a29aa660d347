//go:build linux

package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"runbook/tests/lab/hostspec"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	// podCgroup is the group that all pods of the lab are below, in every hierarchy.
	podCgroup = "runbook-lab"
)

// cgroupMounts are this machine's control group hierarchies, to be mounted
// afresh inside a host: what kubelet and runc find there must be writable and
// must not depend on how the machine came to its own mounts.
func cgroupMounts() ([]hostspec.Mount, error) {
	data, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	return parseCgroupMounts(string(data))
}

func parseCgroupMounts(mounts string) ([]hostspec.Mount, error) {
	var v1 []hostspec.Mount
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[1], cgroupRoot) {
			continue
		}
		switch {
		case f[2] == "cgroup2" && f[1] == cgroupRoot:
			return []hostspec.Mount{{Source: "cgroup2", At: cgroupRoot, Type: "cgroup2"}}, nil
		case f[2] == "cgroup":
			v1 = append(v1, hostspec.Mount{Source: "cgroup", At: f[1], Type: "cgroup", Options: controllers(f[3])})
		}
	}
	if len(v1) == 0 {
		return nil, errors.New("no control groups are mounted below " + cgroupRoot + " on this machine")
	}
	return append([]hostspec.Mount{{Source: "tmpfs", At: cgroupRoot, Type: "tmpfs"}}, v1...), nil
}

// controllers are the mount options that name a hierarchy of version 1.
func controllers(options string) string {
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

// removeCgroups removes the groups that the pods left. They are folders without
// processes by now.
func removeCgroups() error {
	tops, err := filepath.Glob(filepath.Join(cgroupRoot, "*", podCgroup))
	if err != nil {
		return err
	}
	var errs []error
	for _, top := range append(tops, filepath.Join(cgroupRoot, podCgroup)) {
		errs = append(errs, removeGroup(top))
	}
	return errors.Join(errs...)
}

// removeGroup removes a group and those in it, the deepest first. The files in
// a group are the kernel's and go with it.
func removeGroup(top string) error {
	entries, err := os.ReadDir(top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(top, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(top); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &os.PathError{Op: "rmdir", Path: top, Err: err}
	}
	return nil
}
