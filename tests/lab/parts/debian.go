package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	hostSuite = "bookworm"
	keyring   = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// hostPackages is what a host has beside Debian's minimal system. There is no
// Python among them.
var hostPackages = []string{
	"openssh-server", "ipset", "iproute2", "curl", "procps", "kmod", "ca-certificates", "sudo",
	"containerd", "runc", "containernetworking-plugins", "iptables", "conntrack",
}

// finishBase turns a fresh tree into one that hosts can share: no host keys (each
// host gets its own), no downloaded archives, and an operator who may use sudo.
const finishBase = `set -e
rm -f /etc/ssh/ssh_host_*
apt-get clean
useradd --create-home --shell /bin/bash ops
echo 'ops ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops
mkdir -p /etc/lab /etc/kubernetes /etc/cni/net.d /opt/lab /var/lib/containerd /var/lib/kubelet
`

// base is the Debian tree of the hosts.
func (c Cache) base(ctx context.Context) (string, error) {
	name := "base-" + key(append([]string{hostSuite, finishBase}, hostPackages...)...)
	return c.once(name, func(dir string) error {
		mirror, err := mirror(ctx)
		if err != nil {
			return err
		}
		include := "--include=" + strings.Join(hostPackages, ",")
		if _, err := run(exec.CommandContext(ctx, "debootstrap", "--variant=minbase", include, hostSuite, dir, mirror)); err != nil {
			return fmt.Errorf("%w (debootstrap's own log is %s)", err, filepath.Join(dir, "debootstrap/debootstrap.log"))
		}
		_, err = run(exec.CommandContext(ctx, "chroot", dir, "sh", "-c", finishBase))
		return err
	})
}

// debs downloads packages ("name" or "name=version") of a suite into a folder,
// from the mirror that this machine uses.
func (c Cache) debs(ctx context.Context, suite string, packages ...string) (string, error) {
	name := "debs-" + suite + "-" + key(packages...)
	return c.once(name, func(dir string) error {
		mirror, err := mirror(ctx)
		if err != nil {
			return err
		}
		// apt's own folders stand apart: the machine's lists are not touched.
		apt, err := os.MkdirTemp("", "lab-apt-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(apt)
		for _, d := range []string{"lists/partial", "cache/archives/partial"} {
			if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
				return err
			}
		}
		source := fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, suite)
		list := filepath.Join(apt, "sources.list")
		if err := os.WriteFile(list, []byte(source), 0o644); err != nil {
			return err
		}
		options := []string{
			"-q", "-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=-",
			"-o", "Dir::State::Lists=" + filepath.Join(apt, "lists"), "-o", "Dir::Cache=" + filepath.Join(apt, "cache"),
			"-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any",
		}
		if _, err := run(exec.CommandContext(ctx, "apt-get", append(options, "update")...)); err != nil {
			return err
		}
		download := exec.CommandContext(ctx, "apt-get", append(append(options, "download"), packages...)...)
		download.Dir = dir
		_, err = run(download)
		return err
	})
}

// unpacked is a folder that the packages of another one are unpacked into.
func (c Cache) unpacked(ctx context.Context, debs string) (string, error) {
	return c.once("unpacked-"+filepath.Base(debs), func(dir string) error {
		files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
		if err != nil {
			return err
		}
		for _, deb := range files {
			if _, err := run(exec.CommandContext(ctx, "dpkg-deb", "--extract", deb, dir)); err != nil {
				return err
			}
		}
		return nil
	})
}

// mirror is the Debian mirror in this machine's own apt sources, whatever format
// they are in.
func mirror(ctx context.Context) (string, error) {
	out, err := run(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return "", err
	}
	return pickMirror(out)
}

func pickMirror(uris string) (string, error) {
	for uri := range strings.Lines(uris) {
		uri = strings.TrimRight(strings.TrimSpace(uri), "/")
		if strings.HasSuffix(uri, "/debian") {
			return uri, nil
		}
	}
	return "", errors.New("no Debian mirror (an address that ends in /debian) in this machine's apt sources")
}
