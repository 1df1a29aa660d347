//go:build linux

package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

const root = "../.."

var nodes = []string{"node001", "node002", "node003", "node004", "node005", "node006", "node007", "node008"}

// theLab is brought up once, for all tests of the package.
var theLab = sync.OnceValues(func() (Operator, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	l, err := lab.Up(ctx, lab.Config{Fault: lab.ClassC, Log: os.Stderr})
	if err != nil {
		return Operator{}, err
	}
	binary, err := Build(ctx, root, l.StateDir())
	return Operator{Lab: l, Root: root, Binary: binary}, err
})

func TestMain(m *testing.M) {
	if why := missing(); why != "" {
		fmt.Println("the lab cannot run here:", why)
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := lab.Down(ctx, lab.Config{}); err != nil {
		fmt.Println("lab down:", err)
		code = 1
	}
	os.Exit(code)
}

// missing says why there can be no lab on this machine; empty if there can.
func missing() string {
	if os.Getuid() != 0 {
		return "it needs root"
	}
	return ""
}

// faulty is the lab with a fault in it, freshly put there.
func faulty(t *testing.T, fault lab.Fault) Operator {
	t.Helper()
	o, err := theLab()
	require.NoError(t, err)
	require.NoError(t, o.Lab.Reset(t.Context(), fault))
	return o
}

func (o Operator) call(t *testing.T, args ...string) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	began := time.Now()
	out, err := o.Run(ctx, args...)
	require.NoError(t, err)
	t.Logf("runbook %s: exit code %d after %.1f s\n%s%s", strings.Join(args, " "), out.Code, time.Since(began).Seconds(), out.Stdout, out.Stderr)
	return out
}

func (o Operator) probes(t *testing.T) lab.Report {
	t.Helper()
	report, err := o.Lab.Probes(t.Context())
	require.NoError(t, err)
	t.Log("\n" + report.String())
	return report
}

// recap reads the counts of a run's last lines, by host.
func recap(t *testing.T, stdout string) map[string]map[string]string {
	t.Helper()
	_, end, found := strings.Cut(stdout, "PLAY RECAP")
	require.True(t, found, "a run ends with its recap")
	counts := map[string]map[string]string{}
	line := regexp.MustCompile(`(?m)^(\S+)\s+: (.*)$`)
	for _, m := range line.FindAllStringSubmatch(end, -1) {
		counts[m[1]] = map[string]string{}
		for _, field := range strings.Fields(m[2]) {
			name, n, _ := strings.Cut(field, "=")
			counts[m[1]][name] = n
		}
	}
	return counts
}

func TestClassC(t *testing.T) {
	o := faulty(t, lab.ClassC)

	before := o.probes(t)
	require.Equal(t, 0, before.CalicoReady)
	require.False(t, before.Healthy())
	for _, p := range before.Probes {
		if strings.HasPrefix(p.Name, "ipset list") {
			require.ErrorContains(t, p.Err, "Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace", p.Name)
		}
		if strings.HasPrefix(p.Name, "GET ") {
			require.Error(t, p.Err, p.Name)
		}
	}

	all(t, o.diagnosed(t), "C", `ipset that complains is 7\.10, as this host has`)
	was, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	plan := o.call(t, "plan", Playbook)
	require.Equal(t, 0, plan.Code)
	require.Contains(t, plan.Stdout, "package ipset: 7.10-1 -> 7.17-1\n")
	require.Contains(t, plan.Stdout, "package libipset13: 7.10-1 -> 7.17-1\n")
	for _, host := range nodes {
		require.Equal(t, "1", recap(t, plan.Stdout)[host]["change"], host)
	}
	require.Contains(t, plan.Stdout, "kubectl -n kube-system rollout restart daemonset/calico-node")
	is, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, lab.Diff(was, is), "a plan changes nothing")

	apply := o.call(t, "apply", "--yes", Playbook)
	require.Equal(t, 0, apply.Code)
	require.True(t, o.probes(t).Healthy())

	pods := o.pods(t)
	again := o.call(t, "apply", "--yes", Playbook)
	require.Equal(t, 0, again.Code)
	for host, counts := range recap(t, again.Stdout) {
		require.Equal(t, "0", counts["changed"], host)
	}
	require.Equal(t, pods, o.pods(t), "a second apply restarts no pod")
}

func TestOneHostOffTheNetwork(t *testing.T) {
	o := faulty(t, lab.ClassC)
	require.NoError(t, o.Lab.Unplug(t.Context(), "node008"))
	t.Cleanup(func() { require.NoError(t, o.Lab.Plug(context.WithoutCancel(t.Context()), "node008")) })
	apply := o.call(t, "apply", "--yes", Playbook, "-e", "recovery_timeout=5", "-e", "rollout_timeout=30", "-e", "ready_timeout=10", "-e", "clean_timeout=10")
	require.Equal(t, 4, apply.Code)
	require.Regexp(t, `fatal: \[node008\]: UNREACHABLE! => .*10\.0\.0\.114`, apply.Stdout)
	counts := recap(t, apply.Stdout)
	require.Equal(t, "1", counts["node008"]["unreachable"])
	for _, host := range nodes[:7] {
		require.Equal(t, "1", counts[host]["changed"], host)
	}
	for _, p := range o.probes(t).Probes {
		if strings.HasPrefix(p.Name, "ipset list") && !strings.HasSuffix(p.Name, "node008") {
			require.NoError(t, p.Err, p.Name)
		}
	}
}

func TestAHeldLockIsWaitedForAndNamed(t *testing.T) {
	o := faulty(t, lab.ClassC)
	release, err := o.Lab.HoldDpkgLock(t.Context(), "node005")
	require.NoError(t, err)
	held := o.call(t, "apply", "--yes", Playbook, "-l", "node005", "-e", "apt_lock_timeout=3")
	require.Equal(t, 2, held.Code)
	require.Regexp(t, `fatal: \[node005\]: FAILED! => .*lock`, held.Stdout)
	require.Contains(t, held.Stdout, "dpkglock", "the holder is named")

	time.AfterFunc(5*time.Second, func() { _ = release() })
	waited := o.call(t, "apply", "--yes", Playbook, "-l", "node005", "-e", "apt_lock_timeout=120",
		"-e", "recovery_timeout=2", "-e", "rollout_timeout=3", "-e", "ready_timeout=3", "-e", "clean_timeout=3")
	require.Equal(t, "1", recap(t, waited.Stdout)["node005"]["changed"])
}

func TestAWrongHostKeyStopsThatHostAlone(t *testing.T) {
	o := faulty(t, lab.ClassC)
	restore, err := o.Lab.ChangeHostKey(t.Context(), "node003")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, restore()) })
	plan := o.call(t, "plan", Playbook)
	require.Equal(t, 4, plan.Code)
	require.Regexp(t, `fatal: \[node003\]: UNREACHABLE! => .*host key`, plan.Stdout)
	for _, host := range nodes {
		if host != "node003" {
			require.Equal(t, "1", recap(t, plan.Stdout)[host]["change"], host)
		}
	}
}

// pods are the names and UIDs of all calico-node pods.
func (o Operator) pods(t *testing.T) string {
	t.Helper()
	out, err := o.Lab.Kube(t.Context(), "get", "pods", "-n", "kube-system", "-l", "k8s-app=calico-node", "-o", "json")
	require.NoError(t, err)
	var list struct {
		Items []struct{ Metadata struct{ Name, UID string } }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Metadata.Name+" "+item.Metadata.UID)
	}
	require.Len(t, names, 8)
	return strings.Join(names, "\n")
}
