//go:build linux

package lab

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"runbook/tests/lab/cgroup"
	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/proc"
)

// sshWithin is how long a host may take to answer on port 22: it needs a second.
const sshWithin = 20 * time.Second

// bridgeUp makes the switch that all hosts are on, with this machine as the
// gateway. Nothing is forwarded from it: the hosts see each other and this
// machine, and no other network sees the hosts.
func (l *Lab) bridgeUp(ctx context.Context) error {
	script := fmt.Sprintf("link add %[1]s type bridge\naddr add %[2]s/%[3]d dev %[1]s\nlink set %[1]s up\n", l.net.name, l.net.gateway, l.net.subnet.Bits())
	if err := ipBatch(ctx, script); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/conf/"+l.net.name+"/forwarding", []byte("0"), 0o644)
}

func ipBatch(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %s", err, out)
	}
	return nil
}

// furnish writes what makes a host this host into its layer of the filesystem,
// before anything runs there. A copy is kept, so that the host can be had again.
func (l *Lab) furnish(h Host) error {
	hostKey, err := l.hostKey(h)
	if err != nil {
		return err
	}
	clientKey, err := os.ReadFile(l.Path("id.pub"))
	if err != nil {
		return err
	}
	files, err := l.nodeFiles(h)
	if err != nil {
		return err
	}
	more, err := l.etcdFiles(h)
	if err != nil {
		return err
	}
	if err := l.writeFiles(h, append(append(files, more...), []file{
		{"etc/hostname", 0o644, []byte(h.Name + "\n")},
		{"etc/hosts", 0o644, []byte(l.hostsFile())},
		{"etc/resolv.conf", 0o644, []byte("# the lab has no way out, so no name server\n")},
		{"etc/ssh/ssh_host_ed25519_key", 0o600, hostKey},
		{"root/.ssh/authorized_keys", 0o600, clientKey},
		{"home/ops/.ssh/authorized_keys", 0o644, clientKey},
		{"etc/apt/sources.list", 0o644, []byte(l.aptSource())},
		{"usr/sbin/reboot", 0o755, []byte(rebootCommand)},
		{"usr/sbin/poweroff", 0o755, []byte(powerOffCommand)},
		{"usr/sbin/shutdown", 0o755, []byte(shutdownCommand)},
	}...)); err != nil {
		return err
	}
	return l.freshLayer(h)
}

// freshLayer makes the host's layer what furnish has written, and nothing else.
// The host must be off.
func (l *Lab) freshLayer(h Host) error {
	layer := l.Path("hosts", h.Name, "upper")
	if err := os.RemoveAll(layer); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", l.Path("hosts", h.Name, "fresh"), layer).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: make its layer: %w: %s", h.Name, err, out)
	}
	return nil
}

// hostKey makes the host's key and remembers it for known_hosts.
func (l *Lab) hostKey(h Host) ([]byte, error) {
	private, public, err := newKey(h.Name)
	if err != nil {
		return nil, err
	}
	return private, os.WriteFile(l.Path("hosts", h.Name, "host_key.pub"), public, 0o644)
}

// newKey makes an ed25519 key in OpenSSH's formats.
func newKey(comment string) (private, public []byte, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(sshPub), nil
}

// file is a file of a host.
type file struct {
	path string // without a leading slash
	mode os.FileMode
	data []byte
}

// writeFiles writes into what the host's layer of the filesystem begins as.
func (l *Lab) writeFiles(h Host, files []file) error {
	for _, f := range files {
		path := l.Path("hosts", h.Name, "fresh", f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) hostsFile() string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for _, h := range l.net.hosts {
		fmt.Fprintf(&b, "%s %s\n", h.Address, h.Name)
	}
	for i, name := range siteNames {
		fmt.Fprintf(&b, "%s %s\n", l.net.withRole(Ingress)[i].Address, name)
	}
	return b.String()
}

// spec is what the host's first process is told.
func (l *Lab) spec(h Host) (hostspec.Host, error) {
	dir := func(name string) string { return l.Path("hosts", h.Name, name) }
	for _, name := range []string{"root", "upper", "work", "containerd", "kubelet", "etcd"} {
		if err := os.MkdirAll(dir(name), 0o755); err != nil {
			return hostspec.Host{}, err
		}
	}
	cgroups, err := cgroupMounts()
	if err != nil {
		return hostspec.Host{}, err
	}
	mounts := append(systemMounts(),
		hostspec.Mount{Source: dir("containerd"), At: "/var/lib/containerd"},
		hostspec.Mount{Source: dir("kubelet"), At: "/var/lib/kubelet", Shared: true},
		hostspec.Mount{Source: l.Parts.Kube, At: "/opt/lab", ReadOnly: true},
	)
	if l.hasEtcd(h) {
		mounts = append(mounts, hostspec.Mount{Source: dir("etcd"), At: etcdData})
	}
	mounts = append(mounts, cgroups...)
	return hostspec.Host{
		Name: h.Name, Root: dir("root"), Lower: l.tree(), Upper: dir("upper"), Work: dir("work"),
		Mounts: mounts, Setup: l.setup(h), Services: l.services(h),
	}, nil
}

// systemMounts are what every system has. /run is new at every boot.
func systemMounts() []hostspec.Mount {
	return []hostspec.Mount{
		{Source: "proc", At: "/proc", Type: "proc"},
		{Source: "/dev", At: "/dev"},
		{Source: "sysfs", At: "/sys", Type: "sysfs"},
		{Source: "tmpfs", At: "/run", Type: "tmpfs", Options: "mode=755"},
	}
}

// tree is the Debian tree that all hosts share.
func (l *Lab) tree() string {
	if l.Stacked {
		return l.Parts.Stacked
	}
	return l.Parts.Base
}

// cgroupMounts mounts this machine's control groups afresh inside a host, where
// the host's own group is their root.
func cgroupMounts() ([]hostspec.Mount, error) {
	all, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	if all[0].V2 {
		return []hostspec.Mount{{Source: "cgroup2", At: cgroup.Root, Type: "cgroup2"}}, nil
	}
	mounts := []hostspec.Mount{{Source: "tmpfs", At: cgroup.Root, Type: "tmpfs"}}
	for _, h := range all {
		mounts = append(mounts, hostspec.Mount{Source: "cgroup", At: h.Path, Type: "cgroup", Options: h.Options})
	}
	return mounts, nil
}

// setup gives the host its address. Pods reach what is outside the cluster under
// the host's address, as Calico's natOutgoing has it.
func (l *Lab) setup(h Host) [][]string {
	return [][]string{
		{"mkdir", "-p", "/run/sshd", "/run/lab"},
		{"chown", "-R", "ops:ops", "/home/ops"},
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", fmt.Sprintf("%s/%d", h.Address, l.net.subnet.Bits()), "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", "default", "via", l.net.gateway},
		{"sysctl", "-qw", "net.ipv4.ip_forward=1"},
		{"iptables", "-t", "nat", "-A", "POSTROUTING", "-s", podNetwork, "!", "-d", podNetwork, "-j", "MASQUERADE"},
	}
}

// enter is a command inside a running host. It is no child of the host's process
// 1, so uname(2) tells it of this machine's kernel; over SSH it is told of the
// host's.
func (l *Lab) enter(ctx context.Context, h Host, args ...string) (*exec.Cmd, error) {
	r, err := l.process1(h.Name)
	if err != nil {
		return nil, err
	}
	in := []string{"--target", fmt.Sprint(r.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(in, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = proc.EndWithUs()
	return cmd, nil
}

// in runs a shell script inside a host and returns what it printed.
func (l *Lab) in(ctx context.Context, h Host, script string) (string, error) {
	cmd, err := l.enter(ctx, h, "sh", "-ec", script)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %q: %w: %s", h.Name, script, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// waitForPort returns when something accepts connections at addr.
func waitForPort(ctx context.Context, addr string, limit time.Duration) error {
	return poll(ctx, limit, func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
