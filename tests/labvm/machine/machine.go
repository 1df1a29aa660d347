// Package machine describes one virtual machine to QEMU. It is emulated in
// software, so it runs wherever this program does, and asks nothing of the
// processor.
package machine

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// processor is all that QEMU can emulate, but for two things. Five levels of page
// tables (la57) cost time, and serve only machines with terabytes. After the
// instruction cmpxchg16b (cx16) QEMU 7.2 may leave something else in the flags
// than flags: Linux 6.12 allocates memory by it, and panics with a double fault.
// Where it is missing, Linux and Debian do without.
const processor = "max,la57=off,cx16=off"

// Machine is one virtual machine. Its first disk is what it boots from, by the
// BIOS, unless a Kernel is given.
type Machine struct {
	Name    string
	ID      string // a UUID; what its board says it is
	Memory  int    // MiB
	Disk    string // its own disk
	Format  string // of Disk: raw or qcow2
	Seed    string // a second disk, read only; a tar archive is a good one
	Console string // the file that its serial console is written to; what is there stays
	Network *Network
	Kernel  *Kernel
}

// Network is the machine's cable.
type Network struct {
	Tap string // an interface of this machine, which must be there
	MAC string
}

// Kernel is started at once, in the place of what the disk would boot.
type Kernel struct{ Image, Initrd, Line string }

// Command is the process that the machine is. It ends when the machine is
// switched off; a reboot is none of its business. To end it is to cut the power.
func (m Machine) Command() *exec.Cmd {
	args := []string{
		"-name", m.Name, "-uuid", m.ID,
		"-accel", "tcg,thread=multi", "-cpu", processor, "-machine", "q35", "-smp", "1", "-m", strconv.Itoa(m.Memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc",
		"-device", "virtio-rng-pci",
		"-chardev", "file,id=console,append=on,path=" + escape(m.Console), "-serial", "chardev:console",
		// What is on a disk of the lab need not outlive this machine's power.
		"-drive", fmt.Sprintf("if=virtio,index=0,cache=unsafe,discard=unmap,format=%s,file=%s", m.Format, escape(m.Disk)),
		"-drive", "if=virtio,index=1,readonly=on,format=raw,file=" + escape(m.Seed),
	}
	if m.Network != nil {
		args = append(args, "-netdev", "tap,id=cable,script=no,downscript=no,ifname="+m.Network.Tap,
			"-device", "virtio-net-pci,netdev=cable,romfile=,mac="+m.Network.MAC)
	}
	if m.Kernel != nil {
		args = append(args, "-kernel", m.Kernel.Image, "-initrd", m.Kernel.Initrd, "-append", m.Kernel.Line)
	}
	return exec.Command("qemu-system-x86_64", args...)
}

// escape doubles the commas of a value: QEMU takes a single one for its end.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// Overlay makes a disk at path that reads from base and writes to itself. base
// must not change while the overlay is in use.
func Overlay(ctx context.Context, base, path string) error {
	abs, err := filepath.Abs(base)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", abs, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a disk over %s: %w: %s", filepath.Base(base), err, out)
	}
	return nil
}
