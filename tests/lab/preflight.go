//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hashicorp/go-multierror"
)

// tools are the programs that the lab runs on this machine, with the Debian
// package that each is in.
var tools = []struct{ program, pkg string }{
	{"busybox", "busybox-static"},
	{"debootstrap", "debootstrap"},
	{"dpkg-deb", "dpkg"},
	{"etcd", "etcd-server"},
	{"go", "golang (from go.dev: Debian's is too old)"},
	{"ip", "iproute2"},
	{"ipset", "ipset"},
	{"nsenter", "util-linux"},
	{"ssh", "openssh-client"},
	{"unshare", "util-linux"},
}

// faultRevision is the revision of hash:ip that ipset 7.10 cannot read. A kernel
// offers it since 6.2.
const faultRevision = "6"

// overlayMagic is what statfs(2) says of an overlay filesystem.
const overlayMagic = 0x794c7630

// ErrNotRoot says that the lab cannot run for want of rights, not of parts.
var ErrNotRoot = errors.New("the lab makes namespaces and mounts, so it needs root: run it with sudo")

// preflight finds every reason not to start, each with the way out.
func preflight(ctx context.Context, cfg Config, net network) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	var all *multierror.Error
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			all = multierror.Append(all, fmt.Errorf("%s is missing: install %s", t.program, t.pkg))
		}
	}
	if all != nil {
		return all // the other checks need the tools
	}
	all = multierror.Append(all, checkKernel(ctx), checkRoutes(ctx, net), checkState(cfg.State))
	return all.ErrorOrNil()
}

// checkKernel makes a set in a network namespace of its own, which leaves
// nothing behind, and looks at what came out.
func checkKernel(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "unshare", "--net", "sh", "-c", "ipset create probe hash:ip && ipset list -terse probe").CombinedOutput()
	if err != nil {
		return fmt.Errorf("this kernel cannot make an IP set of type hash:ip (%s): load the module ip_set_hash_ip, or use a kernel that has it", strings.TrimSpace(string(out)))
	}
	if !strings.Contains(string(out), "Revision: "+faultRevision+"\n") {
		return fmt.Errorf("this kernel and ipset make hash:ip sets without revision %s, so the fault cannot be had: kernel 6.2 or later is wanted (Debian 12: linux-image-amd64 from bookworm-backports) with ipset 7.17", faultRevision)
	}
	return nil
}

func checkRoutes(ctx context.Context, net network) error {
	route, err := occupiedHere(ctx, net)
	if err != nil {
		return err
	}
	if route != "" {
		return fmt.Errorf("%s is already routed on this machine (%s): choose another network with --subnet or RUNBOOK_LAB_SUBNET, for example 10.77.0.0/16", net.subnet, route)
	}
	return nil
}

// occupiedHere says which of this machine's routes the network would collide
// with.
func occupiedHere(ctx context.Context, net network) (string, error) {
	out, err := exec.CommandContext(ctx, "ip", "-json", "-4", "route").Output()
	if err != nil {
		return "", fmt.Errorf("list this machine's routes: %w", err)
	}
	return occupied(out, net)
}

// checkState refuses an overlay: the hosts' own overlays cannot lie on one.
func checkState(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the filesystem of %s: %w", dir, err)
	}
	if fs.Type == overlayMagic {
		return fmt.Errorf("%s is on an overlay filesystem, and overlays cannot be stacked for containers: point RUNBOOK_LAB_STATE to a real one", dir)
	}
	return nil
}
