//go:build linux

package labvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"runbook/tests/lab"
	"runbook/tests/labvm/machine"
	"runbook/tests/labvm/seed"
)

const (
	// memory of one machine, in MiB. An initrd is packed in it, beside a kubelet.
	memory = 1536
	// bootWithin is how long a machine may take until its sshd answers: 25 seconds
	// alone, a minute when three of them share two processors.
	bootWithin = 6 * time.Minute

	aptPort   = "8080"
	aptWithin = 20 * time.Second
)

// boot starts one machine on a fresh disk and returns when it lets us in.
func (l *Lab) boot(ctx context.Context, h Host) error {
	if err := os.MkdirAll(l.Path("machines", h.Name), 0o755); err != nil {
		return err
	}
	files, err := l.seedFiles(h)
	if err != nil {
		return err
	}
	archive, disk := l.Path("machines", h.Name, "seed.tar"), l.Path("machines", h.Name, "disk.qcow2")
	if err := seed.WriteFile(archive, files); err != nil {
		return err
	}
	if err := machine.Overlay(ctx, l.Parts.Disk, disk); err != nil {
		return err
	}
	m := machine.Machine{
		Name: h.Name, ID: h.id, Memory: memory, Disk: disk, Format: "qcow2", Seed: archive, Console: l.consolePath(h),
		Network: &machine.Network{Tap: h.link, MAC: h.mac},
	}
	if _, err := l.Start(h.Name, m.Command()); err != nil {
		return err
	}
	return l.waitSSH(ctx, h)
}

// waitSSH returns when the machine's sshd lets root in.
func (l *Lab) waitSSH(ctx context.Context, h Host) error {
	err := lab.Poll(ctx, bootWithin, func(ctx context.Context) error {
		if _, err := l.Process(h.Name); err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(h.Address, "22"), time.Second)
		if err != nil {
			return err
		}
		_ = conn.Close()
		_, err = l.SSH(ctx, h.Name, "true")
		return err
	})
	if err != nil {
		return fmt.Errorf("sshd does not let us in: %w; the console ends with:\n%s", err, l.consoleEnd(h))
	}
	return nil
}

// makeKeys makes the key that the machines accept and the machines' own.
func (l *Lab) makeKeys() error {
	if err := writeKey(l.Key(), l.Key()+".pub", "labvm"); err != nil {
		return err
	}
	for _, h := range l.net.hosts {
		if err := os.MkdirAll(l.Path("machines", h.Name), 0o755); err != nil {
			return err
		}
		if err := writeKey(l.Path("machines", h.Name, "host_key"), l.Path("machines", h.Name, "host_key.pub"), h.Name); err != nil {
			return err
		}
	}
	return nil
}

func writeKey(private, public, comment string) error {
	key, pub, err := lab.NewKey(comment)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(private, key, 0o600), os.WriteFile(public, pub, 0o644))
}

// seedFiles is what makes a machine this machine.
func (l *Lab) seedFiles(h Host) ([]seed.File, error) {
	clientKey, err := os.ReadFile(l.Key() + ".pub")
	if err != nil {
		return nil, err
	}
	hostKey, err := os.ReadFile(l.Path("machines", h.Name, "host_key"))
	if err != nil {
		return nil, err
	}
	const operator = 1000
	text := func(path, content string) seed.File { return seed.File{Path: path, Mode: 0o644, Data: []byte(content)} }
	files := []seed.File{
		text("etc/hostname", h.Name+"\n"),
		text("etc/hosts", l.hostsFile()),
		text("etc/systemd/network/10-lab.network", l.networkFile(h)),
		text("etc/apt/sources.list", fmt.Sprintf("deb [trusted=yes] http://%s:%s ./\n", l.net.gateway, aptPort)),
		{Path: "etc/ssh/ssh_host_ed25519_key", Mode: 0o600, Data: hostKey},
		{Path: "root/.ssh/authorized_keys", Mode: 0o600, Data: clientKey},
		{Path: "home/ops/.ssh/authorized_keys", Mode: 0o600, Owner: operator, Data: clientKey},
	}
	if l.cfg.Bare {
		return files, nil
	}
	node, err := l.nodeFiles(h)
	return append(files, node...), err
}

func (l *Lab) hostsFile() string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for _, h := range l.net.hosts {
		fmt.Fprintf(&b, "%s %s\n", h.Address, h.Name)
	}
	return b.String()
}

// networkFile is the machine's address, and the ways to the others' pods.
func (l *Lab) networkFile(h Host) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Match]\nName=eth0\n\n[Network]\nAddress=%s/%d\nGateway=%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
		h.Address, l.net.subnet.Bits(), l.net.gateway)
	for _, other := range l.net.hosts {
		if other.Name != h.Name {
			fmt.Fprintf(&b, "\n[Route]\nDestination=%s\nGateway=%s\n", other.PodNet, other.Address)
		}
	}
	return b.String()
}

// serveKernel offers the newer kernel on the bridge, so that an upgrade is real
// and needs no way out.
func (l *Lab) serveKernel(ctx context.Context) error {
	addr := l.net.gateway + ":" + aptPort
	if _, err := l.Start("aptserve", exec.Command(filepath.Join(l.Shared.Programs, "aptserve"), addr, l.Parts.KernelDebs)); err != nil {
		return err
	}
	return lab.WaitForPort(ctx, addr, aptWithin)
}

func (l *Lab) consolePath(h Host) string { return l.Path("machines", h.Name, "console.log") }

// consoleEnd is the last that the machine has said, for an error.
func (l *Lab) consoleEnd(h Host) string {
	data, err := os.ReadFile(l.consolePath(h))
	if errors.Is(err, fs.ErrNotExist) {
		return "(nothing yet)"
	}
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}
