//go:build linux

package labvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"runbook/tests/lab"
)

// tools are the programs that the lab runs on this machine, with the Debian
// package that each is in.
var tools = []struct{ program, pkg string }{
	{"apt-get", "apt"},
	{"busybox", "busybox-static"},
	{"debootstrap", "debootstrap"},
	{"dpkg-deb", "dpkg"},
	{"etcd", "etcd-server"},
	{"go", "golang (from go.dev: Debian's is too old)"},
	{"ip", "iproute2"},
	{"mke2fs", "e2fsprogs"},
	{"qemu-img", "qemu-utils"},
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"ssh", "openssh-client"},
}

// tunDevice is what a machine's cable is plugged into.
const tunDevice = "/dev/net/tun"

// ErrNotRoot says that the lab cannot run for want of rights, not of parts.
var ErrNotRoot = errors.New("the lab makes network interfaces and a Debian tree, so it needs root: run it with sudo")

// preflight finds every reason not to start, each with the way out.
func (l *Lab) preflight(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	var all []error
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			all = append(all, fmt.Errorf("%s is missing: install %s", t.program, t.pkg))
		}
	}
	if all != nil {
		return errors.Join(all...) // the other checks need the tools
	}
	if _, err := os.Stat(tunDevice); err != nil {
		all = append(all, fmt.Errorf("%s is wanted for the machines' network: load the module tun: %w", tunDevice, err))
	}
	route, err := lab.Occupied(ctx, l.cfg.Subnet, l.net.bridge)
	if err == nil && route != "" {
		err = fmt.Errorf("%s is already routed on this machine (%s): choose another network with --subnet or RUNBOOK_LABVM_SUBNET, for example 10.77.0.0/16", l.cfg.Subnet, route)
	}
	return errors.Join(append(all, err)...)
}
