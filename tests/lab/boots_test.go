//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/machine"
	"runbook/tests/lab/parts"
	"runbook/tests/lab/proc"
)

// awaitBoot waits until the API knows a host as its machine does.
func awaitBoot(t *testing.T, ctx context.Context, l *Lab, host string) machine.State {
	t.Helper()
	state, err := l.Machine(ctx, host)
	require.NoError(t, err)
	require.NoError(t, l.awaitNode(ctx, host, state))
	return state
}

func hostReboots(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[7]
	before, err := l.BootID(ctx, h.Name)
	require.NoError(t, err)
	require.Regexp(t, uuid, before)
	began := time.Now()

	// A session that is open meanwhile, and one that asks for the reboot.
	session, stdin, err := l.session(ctx, h)
	require.NoError(t, err)
	defer stdin.Close()
	out, err := l.SSH(ctx, h, "shutdown -r +0 && cat "+bootIDPath)
	require.NoError(t, err, "the command returns before the host goes down")
	require.Equal(t, before, strings.TrimSpace(out))
	require.Error(t, session.Wait(), "an open session dies")

	require.NoError(t, poll(ctx, rebootWithin, func(ctx context.Context) error {
		out, err = l.SSH(ctx, h, "cat "+bootIDPath)
		if err == nil && strings.TrimSpace(out) == before {
			err = errors.New("it has not gone down")
		}
		return err
	}))
	t.Logf("down and up in %s", time.Since(began).Round(time.Millisecond))
	require.Regexp(t, uuid, strings.TrimSpace(out))
	state := awaitBoot(t, ctx, l, h.Name)
	require.Equal(t, strings.TrimSpace(out), state.BootID)
	require.Equal(t, 2, state.Boots)
	require.NoError(t, l.awaitRenewed(ctx, []Host{h}, began), "its pods have started anew")
	t.Logf("its pods run after %s", time.Since(began).Round(time.Millisecond))

	_, err = l.SSH(ctx, h, "shutdown -r +5")
	require.ErrorContains(t, err, "'+5' is not known on this host")
}

// session is an ssh session that lasts until its input ends.
func (l *Lab) session(ctx context.Context, h Host) (*exec.Cmd, io.Closer, error) {
	cmd := exec.CommandContext(ctx, "ssh", "-i", l.Key(), "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+l.KnownHosts(),
		"-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3", "root@"+h.Address, "cat >/dev/null")
	cmd.SysProcAttr = proc.EndWithUs()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, stdin, cmd.Start()
}

// kernelOf asserts which kernel a host runs, by its /proc and by uname(2).
func kernelOf(t *testing.T, ctx context.Context, l *Lab, h Host, want string) {
	t.Helper()
	release, err := l.KernelRelease(ctx, h.Name)
	require.NoError(t, err)
	require.Equal(t, want, release)
	require.Equal(t, want, strings.TrimSpace(onHost(t, ctx, l, h, "uname -r")))
}

// onHost runs a command on a host, by ssh, which must succeed.
func onHost(t *testing.T, ctx context.Context, l *Lab, h Host, command string) string {
	t.Helper()
	out, err := l.SSH(ctx, h, command)
	require.NoError(t, err)
	return out
}

// awaitPower waits until the machine of a host does this.
func awaitPower(t *testing.T, ctx context.Context, l *Lab, host string, want machine.Power) {
	t.Helper()
	require.NoError(t, poll(ctx, rebootWithin, func(ctx context.Context) error {
		state, err := l.Machine(ctx, host)
		if err == nil && state.Power != want {
			err = fmt.Errorf("%s is %s, %s is wanted", host, state.Power, want)
		}
		return err
	}))
}

func kernelIsUpgraded(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[6]
	kernelOf(t, ctx, l, h, parts.KernelOld)
	onHost(t, ctx, l, h, "apt-get -q update && apt-get -q -y install "+parts.KernelMeta)
	kernelOf(t, ctx, l, h, parts.KernelOld)
	onHost(t, ctx, l, h, "echo 'GRUB_DEFAULT=saved' >/etc/default/grub.d/upgrade.cfg && update-grub && grub-set-default '1>2' && grub-reboot '1>0'")
	require.NoError(t, l.Reboot(ctx, h.Name))
	kernelOf(t, ctx, l, h, parts.KernelNew)
	require.Equal(t, parts.KernelNew, awaitBoot(t, ctx, l, h.Name).Kernel, "and the API says so")
	require.NoError(t, poll(ctx, settleWithin, func(ctx context.Context) error {
		out, err := l.Kube(ctx, "exec", "-n", "keybuzz", podOn(t, ctx, l, "keybuzz", h.Name), "--", "busybox", "uname", "-r")
		if err == nil && strings.TrimSpace(out) != parts.KernelNew {
			err = fmt.Errorf("a pod is told of %q", out)
		}
		return err
	}), "and a pod sees it")

	require.NoError(t, l.Reboot(ctx, h.Name))
	kernelOf(t, ctx, l, h, parts.KernelOld) // once is once
}

// kernelFallsBack goes on with the host that kernelIsUpgraded has left.
func kernelFallsBack(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[6]
	require.NoError(t, l.BreakKernel(ctx, h.Name, parts.KernelNew))
	onHost(t, ctx, l, h, "echo 'GRUB_CMDLINE_LINUX=panic=1' >>/etc/default/grub.d/upgrade.cfg && update-grub && grub-reboot '1>0'")
	require.NoError(t, l.Reboot(ctx, h.Name))
	kernelOf(t, ctx, l, h, parts.KernelOld)
	state, err := l.Machine(ctx, h.Name)
	require.NoError(t, err)
	require.Equal(t, 4, state.Boots, "the kernel that did not come up counts for nothing")

	onHost(t, ctx, l, h, "sed -i /panic/d /etc/default/grub.d/upgrade.cfg && update-grub && grub-set-default '1>0' && reboot")
	awaitPower(t, ctx, l, h.Name, machine.Hung) // without panic= it stays down
	require.ErrorContains(t, l.PowerOn(ctx, h.Name), "kernel panic: boot/initrd.img-"+parts.KernelNew)
	require.NoError(t, l.BootKernel(ctx, h.Name, parts.KernelOld))
	require.NoError(t, l.PowerOn(ctx, h.Name))
	kernelOf(t, ctx, l, h, parts.KernelOld)
	require.NoError(t, l.MendKernel(ctx, h.Name, parts.KernelNew))
	began := time.Now()
	require.NoError(t, l.Reboot(ctx, h.Name))
	kernelOf(t, ctx, l, h, parts.KernelNew)
	require.NoError(t, l.awaitRenewed(ctx, []Host{h}, began))
}

// podOn is the name of a pod of a namespace on a node.
func podOn(t *testing.T, ctx context.Context, l *Lab, namespace, node string) string {
	t.Helper()
	pods, err := l.pods(ctx)
	require.NoError(t, err)
	i := slices.IndexFunc(pods, func(p pod) bool { return p.Namespace == namespace && p.Node == node })
	require.GreaterOrEqual(t, i, 0, "a pod of %s on %s", namespace, node)
	return pods[i].Name
}

func bootGoesWrong(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[5]
	before, err := l.BootID(ctx, h.Name)
	require.NoError(t, err)
	require.NoError(t, l.StayOff(ctx, h.Name))
	require.NoError(t, l.BootKernel(ctx, h.Name, "6.1.0-99-other"))
	require.NoError(t, l.HoldKubelet(ctx, h.Name))
	restore, err := l.NextHostKey(ctx, h.Name)
	require.NoError(t, err)
	_, err = l.SSH(ctx, h, "reboot")
	require.NoError(t, err, "the key is the known one until the next boot")
	awaitPower(t, ctx, l, h.Name, machine.Off)
	_, err = l.BootID(ctx, h.Name)
	require.ErrorContains(t, err, "node006 is not up")

	require.NoError(t, l.PowerOn(ctx, h.Name))
	_, err = l.SSH(ctx, h, "true")
	require.ErrorContains(t, err, "REMOTE HOST IDENTIFICATION HAS CHANGED")
	require.NoError(t, restore())
	require.Equal(t, "6.1.0-99-other\nheld\n", onHost(t, ctx, l, h, "uname -r; pgrep -x kubelet || echo held"))
	id, err := nodeSays(ctx, l, h.Name, ".status.nodeInfo.bootID")
	require.NoError(t, err)
	require.Equal(t, before, id)
	ready, err := nodeSays(ctx, l, h.Name, ".status.conditions[?(@.type=='Ready')].status")
	require.NoError(t, err)
	require.Equal(t, "True", ready, "the API believes what it heard last")
	require.NoError(t, l.ReleaseKubelet(ctx, h.Name))
	awaitBoot(t, ctx, l, h.Name)
}

// bootIDIsKept goes on with the host that bootGoesWrong has left.
func bootIDIsKept(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[5]
	state, err := l.Machine(ctx, h.Name)
	require.NoError(t, err)
	require.NoError(t, l.KeepBootID(ctx, h.Name))
	require.NoError(t, l.Reboot(ctx, h.Name))
	require.NoError(t, poll(ctx, settleWithin, func(ctx context.Context) error {
		kernel, err := nodeSays(ctx, l, h.Name, ".status.nodeInfo.kernelVersion")
		if err == nil && kernel != parts.KernelOld {
			err = fmt.Errorf("the API says %s", kernel)
		}
		return err
	}), "the kubelet of this boot has spoken")
	id, err := nodeSays(ctx, l, h.Name, ".status.nodeInfo.bootID")
	require.NoError(t, err)
	require.Equal(t, state.BootID, id, "but not of this boot")
	require.NoError(t, l.RightBootID(ctx, h.Name))

	require.NoError(t, l.StayOff(ctx, h.Name))
	require.NoError(t, l.AsUsual(ctx, h.Name))
	require.NoError(t, l.Reboot(ctx, h.Name))
}

func powerIsCut(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[5]
	before, err := l.BootID(ctx, h.Name)
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, l.PowerOff(ctx, h.Name))
	_, err = l.SSH(ctx, h, "true")
	require.ErrorContains(t, err, "port 22: ")
	require.NotContains(t, err.Error(), "refused", "nobody is there to refuse")
	require.NoError(t, l.PowerOn(ctx, h.Name))
	after, err := l.BootID(ctx, h.Name)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.NoError(t, l.PowerOn(ctx, h.Name), "one that is on is left alone")
	still, err := l.BootID(ctx, h.Name)
	require.NoError(t, err)
	require.Equal(t, after, still)
	require.NoError(t, l.awaitRenewed(ctx, []Host{h}, began), "its pods are Ready in the API before they are there again")
}
