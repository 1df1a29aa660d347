//go:build linux

package labvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
	"runbook/tests/lab/proc"
)

const (
	// testSubnet and testState keep the test apart from a lab that is in use.
	testSubnet = "10.32.0.0/16"
	testState  = "/var/lib/runbook-labvm-test"
	// testWithin bounds the test, which takes ten minutes, and as many more when
	// both caches are empty.
	testWithin = 50 * time.Minute
	// rebootWithin is how long a machine may be away, with a kernel that panics in
	// between.
	rebootWithin = 8 * time.Minute
)

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// The test runs when it is asked for only: it takes two processors for ten
// minutes. Asked for, it fails for whatever is missing.
func TestLab(t *testing.T) {
	if os.Getenv("RUNBOOK_LAB_VM") != "1" {
		t.Skip("virtual machines are started with RUNBOOK_LAB_VM=1 only: make lab-vm")
	}
	ctx, cancel := context.WithTimeout(context.Background(), testWithin)
	t.Cleanup(cancel)
	cfg := Config{Subnet: testSubnet, State: testState, Log: testLog{t}}
	require.NoError(t, Down(ctx, cfg))
	l, err := Up(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			require.NoError(t, l.keepLogs())
		}
		require.NoError(t, l.Down(context.Background()))
	})
	records, err := proc.Load(l.Path("procs"))
	require.NoError(t, err)
	require.Len(t, records, 3+1+4, "machines, package server, etcd and the control plane")

	for _, part := range []struct {
		name string
		test func(*testing.T, context.Context, *Lab)
	}{
		{"each machine is one of its own", machinesDiffer},
		{"a drain has something to do", drain},
		{"GRUB decides what boots", grubDecides},
		{"a machine can be had anew", resetOne},
	} {
		began := time.Now()
		if !t.Run(part.name, func(t *testing.T) { part.test(t, ctx, l) }) {
			break // the next part begins where this one ended
		}
		t.Logf("%6.1fs  %s", time.Since(began).Seconds(), part.name)
	}

	found, err := Open(cfg)
	require.NoError(t, err)
	require.NoError(t, found.Down(ctx))
	for _, r := range records {
		require.False(t, r.Alive(), r.Name)
	}
	links, err := filepath.Glob("/sys/class/net/" + l.net.bridge + "*")
	require.NoError(t, err)
	require.Empty(t, links)
	require.NoDirExists(t, testState)
	require.NoError(t, Down(ctx, cfg), "a second down has nothing to do")
}

func machinesDiffer(t *testing.T, ctx context.Context, l *Lab) {
	ids := map[string]bool{}
	for _, h := range l.Hosts() {
		out := ssh(t, ctx, l, h.Name, "hostname; uname -r; cat /etc/machine-id; systemctl is-system-running; grep -c ^processor /proc/cpuinfo; su ops -c 'sudo id -u'")
		words := strings.Fields(out)
		require.Len(t, words, 6, out)
		require.Equal(t, []string{h.Name, l.Parts.OldKernel, "running", "1", "0"}, append(words[:2:2], words[3:]...))
		ids[words[2]] = true

		log, err := l.Console(h.Name)
		require.NoError(t, err)
		require.Contains(t, log, "GRUB  version")
		n, err := l.Node(ctx, h.Name)
		require.NoError(t, err)
		require.Equal(t, Node{Ready: true, BootID: bootID(t, ctx, l, h.Name), Kernel: l.Parts.OldKernel}, n)
	}
	require.Len(t, ids, len(l.Hosts()), "machine ids")
	inventory, err := os.ReadFile(l.Inventory())
	require.NoError(t, err)
	require.Contains(t, string(inventory), "[control_plane]\n\n[workers]\nvm1 ansible_host=10.32.0.11\nvm2 ansible_host=10.32.0.12\n")
}

func drain(t *testing.T, ctx context.Context, l *Lab) {
	on := func(node string) string {
		out, err := l.Kube(ctx, "get", "pods", "--namespace=shop", "--field-selector=spec.nodeName="+node, "--output=name")
		require.NoError(t, err)
		return out
	}
	node := "vm3"
	if on(node) == "" {
		node = "vm2" // two pods of three nodes
	}
	require.NotEmpty(t, on(node))
	_, err := l.Kube(ctx, "drain", node, "--ignore-daemonsets", "--timeout=3m")
	require.NoError(t, err)
	require.Empty(t, on(node))
	require.NoError(t, lab.Poll(ctx, settleWithin, l.podsReady))
	_, err = l.Kube(ctx, "uncordon", node)
	require.NoError(t, err)
}

// grubDecides installs the newer kernel on two machines side by side, one of
// which cannot boot it.
func grubDecides(t *testing.T, ctx context.Context, l *Lab) {
	t.Run("the newer kernel, once", func(t *testing.T) {
		t.Parallel()
		was := oneShot(t, ctx, l, "vm1")
		reboot(t, ctx, l, "vm1", was)
		require.Equal(t, l.Parts.NewKernel, kernel(t, ctx, l, "vm1"))
		require.NotContains(t, ssh(t, ctx, l, "vm1", "grub-editenv list"), l.Parts.NewKernel, "the entry is used up")
		nodeReady(t, ctx, l, "vm1", l.Parts.NewKernel)

		reboot(t, ctx, l, "vm1", bootID(t, ctx, l, "vm1"))
		require.Equal(t, l.Parts.OldKernel, kernel(t, ctx, l, "vm1"), "the entry was for one boot")
		nodeReady(t, ctx, l, "vm1", l.Parts.OldKernel)
	})
	t.Run("a kernel that panics", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, l.BreakInitrd(ctx, "vm2"))
		was := oneShot(t, ctx, l, "vm2")
		reboot(t, ctx, l, "vm2", was)
		require.Equal(t, l.Parts.OldKernel, kernel(t, ctx, l, "vm2"))
		log, err := l.Console("vm2")
		require.NoError(t, err)
		_, booted, found := strings.Cut(log, "Linux version "+l.Parts.NewKernel)
		require.True(t, found, "the newer kernel was started")
		require.Contains(t, booted, "Kernel panic - not syncing")
		nodeReady(t, ctx, l, "vm2", l.Parts.OldKernel)
	})
}

// oneShot installs the newer kernel and lets it be booted once, the old one after
// that. It returns the machine's boot id.
func oneShot(t *testing.T, ctx context.Context, l *Lab, host string) string {
	began := time.Now()
	ssh(t, ctx, l, host, `export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install linux-image-cloud-amd64`)
	t.Logf("%6.1fs  %s: kernel installed", time.Since(began).Seconds(), host)
	ssh(t, ctx, l, host, `entry() {
	top=$(grep -o "gnulinux-advanced-[0-9a-f-]*" /boot/grub/grub.cfg | head -1)
	echo "$top>$(grep -o "gnulinux-$1-advanced-[0-9a-f-]*" /boot/grub/grub.cfg)"
}
sed -i 's/^GRUB_DEFAULT=.*/GRUB_DEFAULT=saved/' /etc/default/grub
update-grub
grub-set-default "$(entry `+l.Parts.OldKernel+`)"
grub-reboot "$(entry `+l.Parts.NewKernel+`)"`)
	env := ssh(t, ctx, l, host, "grub-editenv list")
	require.Contains(t, env, "saved_entry=gnulinux-advanced-")
	require.Contains(t, env, ">gnulinux-"+l.Parts.NewKernel+"-advanced-")
	return bootID(t, ctx, l, host)
}

// reboot returns when the machine answers from another boot.
func reboot(t *testing.T, ctx context.Context, l *Lab, host, was string) {
	t.Helper()
	began := time.Now()
	ssh(t, ctx, l, host, "systemctl --no-block reboot")
	require.NoError(t, lab.Poll(ctx, rebootWithin, func(ctx context.Context) error {
		out, err := l.SSH(ctx, host, "cat /proc/sys/kernel/random/boot_id")
		if err == nil && strings.TrimSpace(out) == was {
			err = errors.New("it has not gone down yet")
		}
		return err
	}))
	t.Logf("%6.1fs  %s: from reboot to sshd", time.Since(began).Seconds(), host)
}

// nodeReady returns when the cluster has heard from this very boot.
func nodeReady(t *testing.T, ctx context.Context, l *Lab, host, kernel string) {
	t.Helper()
	began := time.Now()
	id := bootID(t, ctx, l, host)
	require.NoError(t, lab.Poll(ctx, rebootWithin, func(ctx context.Context) error {
		n, err := l.Node(ctx, host)
		if want := (Node{Ready: true, BootID: id, Kernel: kernel}); err == nil && n != want {
			err = fmt.Errorf("node %s: %+v is wanted, found %+v", host, want, n)
		}
		return err
	}))
	t.Logf("%6.1fs  %s: from sshd to Ready", time.Since(began).Seconds(), host)
}

func resetOne(t *testing.T, ctx context.Context, l *Lab) {
	_, err := l.Kube(ctx, "cordon", "vm2")
	require.NoError(t, err)
	require.NoError(t, l.Reset(ctx, "vm2"))
	n, err := l.Node(ctx, "vm2")
	require.NoError(t, err)
	require.Equal(t, Node{Ready: true, BootID: bootID(t, ctx, l, "vm2"), Kernel: l.Parts.OldKernel}, n)
	out := ssh(t, ctx, l, "vm2", "ls /boot /etc/kernel/postinst.d; cat /etc/default/grub")
	require.NotContains(t, out, l.Parts.NewKernel)
	require.NotContains(t, out, "zzz-lab-break")
	require.NotContains(t, out, "saved")
}

func kernel(t *testing.T, ctx context.Context, l *Lab, host string) string {
	t.Helper()
	return strings.TrimSpace(ssh(t, ctx, l, host, "uname -r"))
}

func bootID(t *testing.T, ctx context.Context, l *Lab, host string) string {
	t.Helper()
	return strings.TrimSpace(ssh(t, ctx, l, host, "cat /proc/sys/kernel/random/boot_id"))
}

func ssh(t *testing.T, ctx context.Context, l *Lab, host, script string) string {
	t.Helper()
	out, err := l.SSH(ctx, host, script)
	require.NoError(t, err)
	return out
}
