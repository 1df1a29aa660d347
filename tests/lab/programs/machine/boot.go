//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"runbook/tests/lab/cgroup"
	"runbook/tests/lab/grub"
	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/kernel"
	"runbook/tests/lab/machine"
	"runbook/tests/lab/proc"
	"runbook/tests/lab/uname"
)

const (
	// ipWithin bounds ip(8), and groupWithin the kernel's clearing up after a host
	// that has ended: both take some milliseconds.
	ipWithin    = 10 * time.Second
	groupWithin = 5 * time.Second
	lookEvery   = 10 * time.Millisecond
)

// switches are the kernel's that kubelet turns, though they are the whole
// machine's. Each host has its own to turn.
var switches = []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"}

// loaded is a kernel that is about to run. A host without a boot loader has
// none: it is told of this machine's.
type loaded struct {
	title, release string
	args           []string
}

// load looks at the host's disk as the firmware does, before anything of the
// host runs, and boots what its boot loader chooses.
func (c *computer) load(next machine.Boot) (up loaded, err error) {
	if !c.spec.Loader {
		return loaded{release: next.Kernel}, nil
	}
	if err := hostspec.MountRoot(c.spec.Host); err != nil {
		return up, err
	}
	defer func() {
		if e := syscall.Unmount(c.spec.Host.Root, 0); e != nil && err == nil {
			err = fmt.Errorf("let go of the host's disk: %w", e)
		}
	}()
	disk, err := os.OpenRoot(c.spec.Host.Root)
	if err != nil {
		return up, err
	}
	defer disk.Close()
	chosen, err := grub.Choose(disk)
	if err != nil {
		return up, fmt.Errorf("boot loader: %w", err)
	}
	up.title, up.args = chosen.Title, chosen.Args
	if up.release = next.Kernel; up.release != "" {
		return up, nil
	}
	up.release, err = kernel.Start(disk.FS(), chosen.Linux, chosen.Initrd)
	return up, err
}

// start starts the host's process 1 in namespaces of its own, puts the cable
// into them, and only then tells it what to be.
func (c *computer) start(up loaded, next machine.Boot) error {
	if err := c.clearGroup(); err != nil {
		return err
	}
	id, err := newBootID()
	if err != nil {
		return err
	}
	description, err := c.describe(up, id, next)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.spec.Init, c.spec.Group)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	if err := startTold(cmd, up.release); err != nil {
		return err
	}
	c.init = cmd
	go func() {
		_ = cmd.Wait()
		c.ended <- cmd.ProcessState.ExitCode()
	}()
	c.state = machine.State{Power: machine.On, Boots: c.state.Boots + 1, BootID: id, Kernel: up.release, Loaded: up.title}
	if _, err := proc.Write(c.spec.Procs, machine.InitOf(c.spec.Name), cmd.Process.Pid); err != nil {
		return c.giveUp(err)
	}
	if err := c.plug(cmd.Process.Pid); err != nil {
		return c.giveUp(err)
	}
	if _, err = stdin.Write(description); err != nil {
		return c.giveUp(err)
	}
	return nil
}

// giveUp ends a host that could not be started.
func (c *computer) giveUp(err error) error {
	if e := c.cut(); e != nil {
		err = fmt.Errorf("%w (and ending it: %w)", err, e)
	}
	return err
}

// startTold starts process 1. With a release it sets a trap for uname(2) before
// it is anything else, and a goroutine answers for as long as the host lives.
func startTold(cmd *exec.Cmd, release string) error {
	if release == "" {
		return cmd.Start()
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "socket"), os.NewFile(uintptr(ends[1]), "socket of process 1")
	defer ours.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Args = append(cmd.Args, hostspec.TrapUname)
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	listener, err := uname.Receive(ours)
	if err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("%w: %w", err, cmd.Wait())
	}
	go func() {
		if err := uname.Answer(listener, release); err != nil {
			fmt.Fprintln(os.Stderr, "machine:", err)
		}
	}()
	return nil
}

// describe is what process 1 is told: the host, with what this boot adds.
func (c *computer) describe(up loaded, id string, next machine.Boot) ([]byte, error) {
	h := c.spec.Host
	h.Mounts = slices.Clone(h.Mounts)
	over := func(name, content string, mode os.FileMode) error {
		path := filepath.Join(c.spec.Dir, filepath.Base(name))
		h.Mounts = append(h.Mounts, hostspec.Mount{Source: path, At: "/proc/sys/" + name, ReadOnly: mode&0o200 == 0})
		return os.WriteFile(path, []byte(content), mode)
	}
	if err := over("kernel/random/boot_id", id+"\n", 0o444); err != nil {
		return nil, err
	}
	if up.release != "" {
		if err := over("kernel/osrelease", up.release+"\n", 0o444); err != nil {
			return nil, err
		}
	}
	for _, name := range switches {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return nil, err
		}
		if err := over(name, string(value), 0o644); err != nil {
			return nil, err
		}
	}
	h.Files = slices.DeleteFunc(slices.Concat(h.Files, c.every), func(f hostspec.File) bool { return slices.Contains(next.Without, f.Path) })
	h.Files = append(h.Files, next.Files...)
	return json.Marshal(h)
}

// newBootID is a random UUID, as the kernel makes one at every boot.
func newBootID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// clearGroup removes the control groups of the host's earlier life.
func (c *computer) clearGroup() error {
	for began := time.Now(); ; time.Sleep(lookEvery) {
		err := cgroup.Remove(c.spec.Group)
		if err == nil || time.Since(began) > groupWithin {
			return err
		}
	}
}

// plug makes the cable anew, between the bridge and the host.
func (c *computer) plug(pid int) error {
	if err := c.unplug(); err != nil {
		return err
	}
	return ip(fmt.Sprintf("link add %[1]s type veth peer name eth0 address %[2]s netns %[3]d\nlink set %[1]s master %[4]s up\n",
		c.spec.Link, c.spec.MAC, pid, c.spec.Bridge))
}

// unplug takes the cable away. One that is not there, or that goes at the same
// moment, is no error: it goes with its host, at a time of the kernel's choosing.
func (c *computer) unplug() error {
	err := ip("link delete " + c.spec.Link + "\n")
	if err != nil && (strings.Contains(err.Error(), "Cannot find device") || strings.Contains(err.Error(), "No such device")) {
		return nil
	}
	return err
}

func ip(script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), ipWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %s", err, out)
	}
	return nil
}
