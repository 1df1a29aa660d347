//go:build linux

// Command hostinit is process 1 of a host of the lab. It is started in fresh
// namespaces with the name of a control group, makes that the root of control
// groups, reads what the host is to be from its standard input, builds the root
// filesystem, moves into it, sets up the network and keeps the services running.
// It ends when the host reboots or powers off, or when the power is cut, and
// everything in the host ends with it.
//
//	hostinit CONTROL-GROUP [trap-uname] <DESCRIPTION
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"runbook/tests/lab/cgroup"
	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/uname"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hostinit:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 {
		return enterGroup(os.Args[1], len(os.Args) > 2 && os.Args[2] == hostspec.TrapUname)
	}
	return becomeHost()
}

// enterGroup goes into the control group, sets the trap for uname(2), and starts
// this program once more: the namespace and the trap are the calling thread's
// only, and that thread is what the new program begins as.
func enterGroup(group string, trap bool) error {
	runtime.LockOSThread()
	if err := cgroup.Enter(group); err != nil {
		return err
	}
	if trap {
		socket := os.NewFile(3, "socket of the machine")
		if err := uname.Trap(socket); err != nil {
			return err
		}
		if err := socket.Close(); err != nil {
			return err
		}
	}
	return syscall.Exec("/proc/self/exe", []string{os.Args[0]}, os.Environ())
}

func becomeHost() error {
	// The machine writes when the network interface has been put in place.
	var h hostspec.Host
	if err := json.NewDecoder(os.Stdin).Decode(&h); err != nil {
		return fmt.Errorf("read the host's description: %w", err)
	}
	if err := syscall.Sethostname([]byte(h.Name)); err != nil {
		return fmt.Errorf("set the name %q: %w", h.Name, err)
	}
	if err := buildRoot(h); err != nil {
		return err
	}
	if err := enterRoot(h.Root); err != nil {
		return err
	}
	if err := os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	for _, args := range h.Setup {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w: %s", args, err, out)
		}
	}
	return supervise(h.Services)
}

// buildRoot mounts the host's root and everything below it. The mounts live in
// this mount namespace only, so they are gone when the host is.
func buildRoot(h hostspec.Host) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := hostspec.MountRoot(h); err != nil {
		return err
	}
	for _, m := range h.Mounts {
		if err := mountOne(h.Root, m); err != nil {
			return err
		}
	}
	for _, f := range h.Files {
		if err := writeFile(filepath.Join(h.Root, f.Path), f); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(at string, f hostspec.File) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(at, f.Data, f.Mode); err != nil {
		return err
	}
	return os.Chmod(at, f.Mode) // a file that was there had a mode of its own
}

func mountOne(root string, m hostspec.Mount) error {
	at := filepath.Join(root, m.At)
	if _, err := os.Lstat(at); err != nil { // else it may be a file
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	}
	flags := uintptr(0)
	if m.Type == "" {
		flags = syscall.MS_BIND | syscall.MS_REC
	}
	if err := syscall.Mount(m.Source, at, m.Type, flags, m.Options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.Source, m.At, err)
	}
	if m.ReadOnly {
		if err := syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make %s read-only: %w", m.At, err)
		}
	}
	if m.Shared {
		if err := syscall.Mount("", at, "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
			return fmt.Errorf("make %s shared: %w", m.At, err)
		}
	}
	return nil
}

// enterRoot makes root the only root: the machine's own filesystem is stacked
// under it and then let go.
func enterRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("move into %s: %w", root, err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	return os.Chdir("/")
}
