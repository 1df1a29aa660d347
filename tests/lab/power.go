//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/kernel"
	"runbook/tests/lab/machine"
)

const (
	// rebootWithin is how long a host may take to go down and come up again. It
	// needs a second, and what panic= says if a kernel does not come up.
	rebootWithin = 30 * time.Second
	// kubeletBootID takes the place of the boot id for the kubelet alone, where it
	// exists.
	kubeletBootID = "/run/lab/kubelet-boot-id"
	bootIDPath    = "/proc/sys/kernel/random/boot_id"
	hostKeyPath   = "/etc/ssh/ssh_host_ed25519_key"
)

// Machine says what the machine of a host is doing: whether it has power, which
// kernel has come up, and why not if none has.
func (l *Lab) Machine(ctx context.Context, host string) (machine.State, error) {
	return l.askNamed(ctx, host, machine.Request{})
}

// askNamed asks the machine of the host of that name.
func (l *Lab) askNamed(ctx context.Context, host string, r machine.Request) (machine.State, error) {
	h, err := l.Host(host)
	if err != nil {
		return machine.State{}, err
	}
	return l.ask(ctx, h, r)
}

// PowerOff cuts a host's power: everything in it is gone at once, and nobody is
// told. It stays off until PowerOn.
func (l *Lab) PowerOff(ctx context.Context, host string) error {
	_, err := l.askNamed(ctx, host, machine.Request{Power: machine.Off})
	return err
}

// PowerOn boots a host that is off, and returns when its sshd answers. One that
// is on is left alone.
func (l *Lab) PowerOn(ctx context.Context, host string) error {
	h, err := l.Host(host)
	if err != nil {
		return err
	}
	if _, err := l.ask(ctx, h, machine.Request{Power: machine.On}); err != nil {
		return err
	}
	return l.awaitSSH(ctx, h)
}

// Reboot reboots a host by its own command, and returns when its sshd answers
// after the next boot.
func (l *Lab) Reboot(ctx context.Context, host string) error {
	h, err := l.Host(host)
	if err != nil {
		return err
	}
	before, err := l.BootID(ctx, host)
	if err != nil {
		return err
	}
	if _, err := l.in(ctx, h, "reboot"); err != nil {
		return err
	}
	if err := poll(ctx, rebootWithin, func(ctx context.Context) error {
		state, err := l.ask(ctx, h, machine.Request{})
		switch {
		case err != nil:
			return err
		case state.Power != machine.On:
			return fmt.Errorf("%s is %s: %s", host, state.Power, state.Why)
		case state.BootID == before:
			return fmt.Errorf("%s has not gone down", host)
		}
		return nil
	}); err != nil {
		return err
	}
	return l.awaitSSH(ctx, h)
}

// BootID is the boot id of a host that is up, as its own kernel says it.
func (l *Lab) BootID(ctx context.Context, host string) (string, error) {
	return l.line(ctx, host, "cat "+bootIDPath)
}

// KernelRelease is the release of the kernel that a host runs, as its own kernel
// says it. uname(2) agrees for everything that the host has started.
func (l *Lab) KernelRelease(ctx context.Context, host string) (string, error) {
	return l.line(ctx, host, "cat /proc/sys/kernel/osrelease")
}

// line is the one line that a command on a host prints.
func (l *Lab) line(ctx context.Context, host, command string) (string, error) {
	h, err := l.Host(host)
	if err != nil {
		return "", err
	}
	out, err := l.in(ctx, h, command)
	return strings.TrimSpace(out), err
}

// StayOff has a host not come back from its next reboot, until PowerOn.
func (l *Lab) StayOff(ctx context.Context, host string) error {
	return l.nextBoot(ctx, host, machine.Boot{StayOff: true})
}

// BootKernel has the next boot of a stacked lab's host bring up this release,
// whatever its boot loader chooses.
func (l *Lab) BootKernel(ctx context.Context, host, release string) error {
	return l.nextBoot(ctx, host, machine.Boot{Kernel: release})
}

// HoldKubelet keeps a host's kubelet from starting after its next boot, and
// kube-proxy with it, until ReleaseKubelet or another boot. So the node is still Ready in the API for as
// long as the cluster has patience with it.
func (l *Lab) HoldKubelet(ctx context.Context, host string) error {
	return l.nextBoot(ctx, host, machine.Boot{Without: []string{kubeletMay}})
}

// ReleaseKubelet lets a kubelet start that HoldKubelet has held.
func (l *Lab) ReleaseKubelet(ctx context.Context, host string) error {
	_, err := l.line(ctx, host, ": >"+kubeletMay)
	return err
}

// KeepBootID has a host's kubelet go on telling the API the boot id of now after
// the next boot, until RightBootID or another boot. Only a stacked lab can.
func (l *Lab) KeepBootID(ctx context.Context, host string) error {
	if !l.Stacked {
		return errors.New("only a kubelet of a stacked lab can keep a boot id")
	}
	id, err := l.BootID(ctx, host)
	if err != nil {
		return err
	}
	return l.nextBoot(ctx, host, machine.Boot{Files: []hostspec.File{{Path: kubeletBootID, Mode: 0o644, Data: []byte(id + "\n")}}})
}

// RightBootID starts a kubelet anew that KeepBootID has misled, and returns when
// the API knows the right boot id.
func (l *Lab) RightBootID(ctx context.Context, host string) error {
	id, err := l.line(ctx, host, "rm -f "+kubeletBootID+"; pkill -x kubelet || true; cat "+bootIDPath)
	if err != nil {
		return err
	}
	return poll(ctx, rebootWithin, func(ctx context.Context) error {
		known, err := l.Kube(ctx, "get", "node", host, "--output=jsonpath={.status.nodeInfo.bootID}")
		if err == nil && known != id {
			err = fmt.Errorf("%s: the API knows the boot id %s, %s is wanted", host, known, id)
		}
		return err
	})
}

// NextHostKey gives a host another key at its next boot than known_hosts has.
// restore brings the known key back, whether the host has booted or not, and
// though ctx be over.
func (l *Lab) NextHostKey(ctx context.Context, host string) (restore func() error, err error) {
	h, err := l.Host(host)
	if err != nil {
		return nil, err
	}
	known, err := l.in(ctx, h, "cat "+hostKeyPath)
	if err != nil {
		return nil, err
	}
	other, _, err := newKey("other")
	if err != nil {
		return nil, err
	}
	next := func(ctx context.Context, key []byte) error {
		return l.nextBoot(ctx, host, machine.Boot{Files: []hostspec.File{{Path: hostKeyPath, Mode: 0o600, Data: key}}})
	}
	restore = func() error {
		ctx := context.WithoutCancel(ctx)
		if err := next(ctx, []byte(known)); err != nil {
			return err
		}
		if state, err := l.ask(ctx, h, machine.Request{}); err != nil || state.Power != machine.On {
			return err
		}
		return l.useHostKey(ctx, h, []byte(known))
	}
	return restore, next(ctx, other)
}

// BreakKernel has a kernel of a host panic instead of coming up, by its ramdisk,
// until MendKernel.
func (l *Lab) BreakKernel(ctx context.Context, host, release string) error {
	_, err := l.line(ctx, host, "test -s /boot/initrd.img-"+release+" && echo "+strings.TrimSpace(kernel.Panics)+" >>/boot/initrd.img-"+release)
	return err
}

// MendKernel mends a kernel that BreakKernel has broken.
func (l *Lab) MendKernel(ctx context.Context, host, release string) error {
	_, err := l.line(ctx, host, "sed -i '/^"+strings.TrimSpace(kernel.Panics)+"$/d' /boot/initrd.img-"+release)
	return err
}

// AsUsual takes back whatever was to be different about a host's next boot.
func (l *Lab) AsUsual(ctx context.Context, host string) error {
	_, err := l.askNamed(ctx, host, machine.Request{ForgetNext: true})
	return err
}

func (l *Lab) nextBoot(ctx context.Context, host string, boot machine.Boot) error {
	_, err := l.askNamed(ctx, host, machine.Request{NextBoot: boot})
	return err
}
