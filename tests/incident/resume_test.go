//go:build linux

package incident

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

// slowDpkg makes dpkg take some seconds, so that there is a middle to be in.
const (
	slowDpkg = `echo 'DPkg::Pre-Invoke {"sleep 6";};' >/etc/apt/apt.conf.d/99slow; : >/var/log/dpkg.log`
	fastDpkg = `rm -f /etc/apt/apt.conf.d/99slow`
)

// everywhere runs a command on all hosts of the lab.
func (o Operator) everywhere(t *testing.T, command string) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, h := range o.Lab.Hosts() {
		out, err := o.Lab.SSH(context.WithoutCancel(t.Context()), h, command)
		require.NoError(t, err, "%s: %s", h.Name, out)
		said[h.Name] = out
	}
	return said
}

// begun starts an apply and returns when apt-get is at work on the host.
func (o Operator) begun(t *testing.T, host string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	vars, err := Vars(o.Lab)
	require.NoError(t, err)
	cmd, err := o.Command(t.Context(), append([]string{"apply", "--yes", "-i", o.Lab.Inventory(), "-e", vars}, args...)...)
	require.NoError(t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	h, err := o.Lab.Host(host)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		said, err := o.Lab.SSH(t.Context(), h, "pgrep -x apt-get >/dev/null && pgrep -fx 'sleep 6' >/dev/null && echo amid || true")
		return err == nil && strings.Contains(said, "amid")
	}, 2*time.Minute, 200*time.Millisecond, "apt-get never started: %s", &out)
	return cmd, &out
}

// TestACableAndAControllerLostInTheMiddleOfApt: the cable of one host is pulled
// while apt-get installs, then the controller dies. After resume every package
// was installed once on each host, and the fault is gone.
func TestACableAndAControllerLostInTheMiddleOfApt(t *testing.T) {
	o := faulty(t, lab.ClassC)
	o.everywhere(t, slowDpkg)
	t.Cleanup(func() { o.everywhere(t, fastDpkg) })
	cmd, out := o.begun(t, "node005", Playbook)
	require.NoError(t, o.Lab.Unplug(t.Context(), "node005"))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	t.Log(out.String())

	runs := o.exec(t, "runs")
	require.Contains(t, runs.Stdout, "died")
	require.NoError(t, o.Lab.Plug(t.Context(), "node005"))
	resumed := o.exec(t, "resume")
	require.Equal(t, 0, resumed.Code)
	once(t, o)
	require.True(t, o.probes(t).Healthy())
	for host, left := range o.everywhere(t, "ls /run/runbook | grep -v lock || true") {
		require.Empty(t, strings.TrimSpace(left), "%s: what the target kept for the run is cleaned up", host)
	}
	again := o.call(t, "plan", Playbook, "--detailed-exitcode")
	require.Equal(t, 0, again.Code)
}

// TestACableThatComesBack: the run itself waits for a host that was away for a
// moment, and hears how its command ended.
func TestACableThatComesBack(t *testing.T) {
	o := faulty(t, lab.ClassC)
	o.everywhere(t, slowDpkg)
	t.Cleanup(func() { o.everywhere(t, fastDpkg) })
	cmd, out := o.begun(t, "node006", Playbook, "-e", "rollout_timeout=60", "-e", "ready_timeout=60")
	require.NoError(t, o.Lab.Unplug(t.Context(), "node006"))
	plugged := time.AfterFunc(10*time.Second, func() { _ = o.Lab.Plug(context.WithoutCancel(t.Context()), "node006") })
	t.Cleanup(func() {
		plugged.Stop()
		require.NoError(t, o.Lab.Plug(context.WithoutCancel(t.Context()), "node006"))
	})
	err := cmd.Wait()
	t.Log(out.String())
	require.NoError(t, err)
	once(t, o)
}

// once holds dpkg's own log to one upgrade of ipset on every host.
func once(t *testing.T, o Operator) {
	t.Helper()
	upgrade := regexp.MustCompile(`(?m)^\S+ \S+ upgrade ipset:`)
	for host, log := range o.everywhere(t, "cat /var/log/dpkg.log") {
		require.Len(t, upgrade.FindAllString(log, -1), 1, "%s:\n%s", host, log)
	}
}

const twoWriters = `- hosts: nodes
  gather_facts: false
  tasks:
    - {name: Step, shell: "echo {{ who }} begin >>/root/ground; sleep {{ nap }}; echo {{ who }} end >>/root/ground", loop: [1, 2, 3]}
`

// TestTwoControllers: two operators with projects of their own go for the same
// hosts. On every host one of them comes after the other, or not at all and is
// told whom it has to wait for.
func TestTwoControllers(t *testing.T) {
	o := faulty(t, lab.None)
	playbook := filepath.Join(t.TempDir(), "two.yaml")
	writeFile(t, playbook, twoWriters)
	start := func(who, patience, nap string) (*exec.Cmd, *bytes.Buffer) {
		op := o
		op.Desk = who
		cmd, err := op.Command(t.Context(), "apply", "--yes", playbook, "-i", o.Lab.Inventory(), "-e", "who="+who, "-e", "nap="+nap, "--lock-timeout", patience)
		require.NoError(t, err)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		return cmd, &out
	}
	o.everywhere(t, "rm -f /root/ground")
	ann, annSaid := start("ann", "60s", "0.2")
	ben, benSaid := start("ben", "60s", "0.2")
	require.NoError(t, ann.Wait(), annSaid)
	require.NoError(t, ben.Wait(), benSaid)
	for host, ground := range o.everywhere(t, "cat /root/ground") {
		inTurn := regexp.MustCompile(`^((ann begin\nann end\n){3}(ben begin\nben end\n){3}|(ben begin\nben end\n){3}(ann begin\nann end\n){3})$`)
		require.Regexp(t, inTurn, ground, host)
	}

	o.everywhere(t, "rm -f /root/ground")
	ann, annSaid = start("ann", "60s", "5")
	h := o.Lab.Hosts()[0]
	require.Eventually(t, func() bool {
		said, err := o.Lab.SSH(t.Context(), h, "cat /root/ground")
		return err == nil && said != ""
	}, time.Minute, 100*time.Millisecond)
	ben, benSaid = start("ben", "0s", "0.2")
	require.Error(t, ben.Wait())
	require.Equal(t, 2, ben.ProcessState.ExitCode(), benSaid)
	require.Regexp(t, `failed: \[`+h.Name+`\] \(item=1\) => .*locked by run \S+ of \S+ since`, benSaid.String())
	require.NoError(t, ann.Wait(), annSaid)
	for host, ground := range o.everywhere(t, "cat /root/ground") {
		require.NotRegexp(t, `(?s)ann begin\n[^a].*ann`, ground, host)
		require.Equal(t, 3, strings.Count(ground, "ann end"), host)
	}
	fmt.Fprintln(t.Output(), benSaid.String())
}
