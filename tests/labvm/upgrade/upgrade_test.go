//go:build linux

package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/incident"
	"runbook/tests/labvm"
)

const (
	root     = "../../.."
	playbook = "playbooks/kernel-upgrade.yaml"
	within   = 60 * time.Minute
)

// desk is an operator with the lab's kubeconfig.
type desk struct {
	t      *testing.T
	lab    *labvm.Lab
	binary string
	dir    string
}

// call runs the program with the lab's inventory; it says how that ended.
func (d desk) call(ctx context.Context, args ...string) (out string, code int) {
	d.t.Helper()
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--state", filepath.Join(d.dir, ".runbook"))...)
	cmd.Dir = root
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "KUBECONFIG=" + d.lab.Kubeconfig()}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(d.t, err)
	}
	code = cmd.ProcessState.ExitCode()
	d.t.Logf("runbook %s: exit code %d after %.0f s\n%s", strings.Join(args, " "), code, time.Since(began).Seconds(), said.String())
	return said.String(), code
}

func (d desk) roll(ctx context.Context, verb string) (string, int) {
	d.t.Helper()
	vars, err := json.Marshal(map[string]any{
		"kernel_package": "linux-image-cloud-amd64", "canary_soak": 10, "soak": 5,
		"ready_timeout": 600, "drain_timeout": 300, "reboot_timeout": 600,
		"allow_unready_network": true, // the machines have no network plugin
	})
	require.NoError(d.t, err)
	args := []string{verb, playbook, "-i", d.lab.Inventory(), "-e", string(vars)}
	if verb == "apply" {
		args = append(args, "--yes")
	}
	return d.call(ctx, args...)
}

func (d desk) kernel(ctx context.Context, host string) string {
	d.t.Helper()
	out, err := d.lab.SSH(ctx, host, "uname -r")
	require.NoError(d.t, err)
	return strings.TrimSpace(out)
}

func (d desk) ssh(ctx context.Context, host, script string) string {
	d.t.Helper()
	out, err := d.lab.SSH(ctx, host, script)
	require.NoError(d.t, err, out)
	return out
}

// TestKernelsOfVirtualMachines upgrades three machines from Debian's own kernel to
// that of the backports, through their own GRUB. The second one's new kernel does not
// boot: the machine falls back to the old one by itself, and the roll stops there and
// says so. Once that is mended, resume finishes the roll, and a second apply reboots
// nothing.
func TestKernelsOfVirtualMachines(t *testing.T) {
	if os.Getenv("RUNBOOK_LAB_VM") == "" {
		t.Skip("virtual machines are for make lab-vm, which sets RUNBOOK_LAB_VM")
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	l, err := labvm.Up(ctx, labvm.Config{Log: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Down(context.WithoutCancel(ctx))) })
	d := desk{t: t, lab: l, dir: t.TempDir()}
	d.binary, err = incident.Build(ctx, root, d.dir)
	require.NoError(t, err)
	older, newer := l.Parts.OldKernel, l.Parts.NewKernel
	require.NotEqual(t, older, newer)
	require.NoError(t, l.BreakInitrd(ctx, "vm2"))

	_, code := d.roll(ctx, "plan")
	require.Equal(t, 0, code)
	out, code := d.roll(ctx, "apply")
	require.Equal(t, 2, code)
	require.Contains(t, out, "the boot of "+newer+" did not succeed, and the boot loader has gone back to "+older)
	require.Contains(t, out, "Nothing more is done to node vm2")
	require.Equal(t, []string{newer, older, older}, []string{d.kernel(ctx, "vm1"), d.kernel(ctx, "vm2"), d.kernel(ctx, "vm3")})
	console, err := l.Console("vm2")
	require.NoError(t, err)
	require.Contains(t, console, "Kernel panic - not syncing")
	for host, out := range map[string]bool{"vm1": false, "vm2": true, "vm3": false} {
		node, err := l.Node(ctx, host)
		require.NoError(t, err)
		require.Equal(t, out, node.Unschedulable, host)
	}

	// Mended, as an operator would: an initrd that is whole, one more try, a reboot.
	d.ssh(ctx, "vm2", "rm -f /etc/kernel/postinst.d/zzz-lab-break; update-initramfs -u -k "+newer+` >/dev/null 2>&1
top=$(grep -o "gnulinux-advanced-[0-9a-f-]*" /boot/grub/grub.cfg | head -1)
grub-reboot "$top>$(grep -o "gnulinux-`+newer+`-advanced-[0-9a-f-]*" /boot/grub/grub.cfg)"
systemctl --no-block reboot`)
	require.Eventually(t, func() bool {
		out, err := l.SSH(ctx, "vm2", "uname -r")
		return err == nil && strings.TrimSpace(out) == newer
	}, 5*time.Minute, 2*time.Second, "vm2 boots the new kernel")

	_, code = d.call(ctx, "resume")
	require.Equal(t, 0, code)
	boots := map[string]string{}
	for _, h := range l.Hosts() {
		require.Equal(t, newer, d.kernel(ctx, h.Name))
		require.NotContains(t, d.ssh(ctx, h.Name, "ls /etc/default/grub.d; grub-editenv - list"), "runbook")
		node, err := l.Node(ctx, h.Name)
		require.NoError(t, err)
		require.False(t, node.Unschedulable, h.Name)
		require.Equal(t, newer, node.Kernel)
		boots[h.Name] = node.BootID
	}
	out, code = d.roll(ctx, "apply")
	require.Equal(t, 0, code)
	require.Contains(t, out, "Nothing to do")
	for _, h := range l.Hosts() {
		require.Equal(t, boots[h.Name], strings.TrimSpace(d.ssh(ctx, h.Name, "cat /proc/sys/kernel/random/boot_id")))
	}
}
