//go:build linux

package incident

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

// Diagnose is the playbook that only looks.
const Diagnose = "playbooks/calico-diagnose.yaml"

// verdict is what the diagnosis records of a node.
type verdict struct {
	Class, Version, Namespace, Install, Remedy, Wont string
	Evidence, Remedies                               []string
	Reader                                           struct{ Ipset string }
	Host                                             struct{ Ipset, Package, Kernel string }
}

// diagnosed runs the diagnosis, holds it to changing nothing, and reads what it
// recorded.
func (o Operator) diagnosed(t *testing.T) map[string]verdict {
	t.Helper()
	was, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	record := filepath.Join(t.TempDir(), "verdict.json")
	out := o.call(t, "apply", "--yes", Diagnose, "-e", "record="+record)
	require.Equal(t, 0, out.Code)
	is, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, lab.Diff(was, is), "a diagnosis changes nothing")

	data, err := os.ReadFile(record)
	require.NoError(t, err)
	found := map[string]verdict{}
	require.NoError(t, json.Unmarshal(data, &found))
	require.Len(t, found, len(nodes))
	for _, host := range nodes {
		require.Contains(t, out.Stdout, "class "+found[host].Class)
		require.NotEmpty(t, found[host].Evidence, host)
	}
	return found
}

// all requires one class of every node, with that word in the evidence.
func all(t *testing.T, found map[string]verdict, class, evidence string) {
	t.Helper()
	for host, v := range found {
		require.Equal(t, class, v.Class, "%s: %+v", host, v)
		require.Regexp(t, evidence, strings.Join(v.Evidence, "\n"), host)
	}
}

// quick are limits that a lab needs no more of.
const quick = `{"recovery_timeout": 5, "rollout_timeout": 60, "ready_timeout": 60, "clean_timeout": 40, "canary_timeout": 25, "canary_soak": 2, "check_timeout": 60}`

func (o Operator) fix(t *testing.T, args ...string) Outcome {
	t.Helper()
	return o.call(t, append([]string{"apply", "--yes", Playbook, "-e", quick}, args...)...)
}

// unchanged requires that a run changed nothing anywhere.
func unchanged(t *testing.T, out Outcome) {
	t.Helper()
	for host, counts := range recap(t, out.Stdout) {
		require.Equal(t, "0", counts["changed"], host)
	}
}

func TestNothingIsWrong(t *testing.T) {
	o := faulty(t, lab.None)
	all(t, o.diagnosed(t), "none", "")
	pods := o.pods(t)
	out := o.fix(t)
	require.Equal(t, 0, out.Code)
	unchanged(t, out)
	require.Equal(t, pods, o.pods(t))
}

func TestClassA(t *testing.T) {
	o := faulty(t, lab.ClassA)
	found := o.diagnosed(t)
	all(t, found, "A", `revision 6`)
	require.Equal(t, "7.10", found["node001"].Reader.Ipset)

	t.Run("the page's way", func(t *testing.T) {
		out := o.fix(t, "-e", "remedy=page rollout_timeout=10 clean_timeout=5")
		require.Equal(t, 2, out.Code)
		require.Contains(t, out.Stdout, "step 2 of the page: no effect")
		require.Regexp(t, `(?s)This node is without fault.*class A.*calico-node's own`, out.Stdout)
	})
	t.Run("a remedy that cannot help", func(t *testing.T) {
		out := o.fix(t, "-e", "remedy=host-ipset")
		require.Equal(t, 2, out.Code)
		require.Contains(t, out.Stdout, "remedy host-ipset has no effect on class A")
		unchanged(t, out)
	})
	t.Run("a first node that does not get Ready", func(t *testing.T) {
		before := o.podsByNode(t)
		out := o.fix(t, "-e", "calico_version=v3.27.4")
		require.Equal(t, 2, out.Code)
		require.Regexp(t, `calico-node v3\.27\.4 did not get Ready on node00\d`, out.Stdout)
		after := o.podsByNode(t)
		var replaced []string
		for node, pod := range after {
			require.Equal(t, "docker.io/calico/node:v3.27.0", pod.image, node)
			if pod.uid != before[node].uid {
				replaced = append(replaced, node)
			}
		}
		require.Len(t, replaced, 1, "seven of eight nodes never noticed")
	})
	t.Run("cured", func(t *testing.T) {
		require.NoError(t, o.Lab.Reset(t.Context(), lab.ClassA)) // the first node's Felix has only just begun
		out := o.fix(t)
		require.Equal(t, 0, out.Code)
		require.True(t, o.probes(t).Healthy())
		for node, pod := range o.podsByNode(t) {
			require.Equal(t, "docker.io/calico/node:v3.27.5", pod.image, node)
		}
		again := o.fix(t)
		require.Equal(t, 0, again.Code)
		unchanged(t, again)
	})
}

func TestClassB(t *testing.T) {
	o := faulty(t, lab.ClassB)
	all(t, o.diagnosed(t), "B", `cali40.*revision 6`)

	pods := o.pods(t)
	out := o.fix(t)
	require.Equal(t, 2, out.Code)
	require.Regexp(t, `class B: kube-router on this node makes Calico's sets anew`, out.Stdout)
	unchanged(t, out)
	require.Equal(t, pods, o.pods(t), "nothing was restarted in vain")

	require.NoError(t, o.Lab.SwitchCreator(t.Context(), false))
	counted := o.held(t, "node006", "cali40this-host")
	out = o.fix(t)
	require.Equal(t, 0, out.Code)
	counted()
	require.True(t, o.probes(t).Healthy())
	all(t, o.diagnosed(t), "none", "")
	again := o.fix(t)
	require.Equal(t, 0, again.Code)
	unchanged(t, again)
}

// held sends packets of a host that a rule counts by one of its sets, until the
// function that it returns is called; none may have been missed.
func (o Operator) held(t *testing.T, host, set string) func() {
	t.Helper()
	const pause = 5 * time.Millisecond
	release, err := o.Lab.HoldSet(t.Context(), host, set)
	require.NoError(t, err)
	t.Cleanup(func() { _ = release() }) // Reset takes it away too
	stop, sent := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				sent <- n
				return
			default:
			}
			if o.Lab.Ping(t.Context(), host, 20, pause) == nil {
				n += 20
			}
		}
	}()
	return func() {
		close(stop)
		n := <-sent
		packets, err := o.Lab.Counted(t.Context(), host)
		require.NoError(t, err)
		t.Logf("%d packets sent, %d found in %s", n, packets, set)
		require.Positive(t, n)
		require.Equal(t, n, packets, "every packet was found in the set")
	}
}

func TestClassD(t *testing.T) {
	o := faulty(t, lab.ClassD)
	all(t, o.diagnosed(t), "D", `wait-for-ready|API`)
	pods := o.pods(t)
	out := o.fix(t)
	require.Equal(t, 2, out.Code)
	require.Regexp(t, `(?s)class D: .*API`, out.Stdout)
	unchanged(t, out)
	require.Equal(t, pods, o.pods(t))
}

// TestCalicoOfAnOperator: another namespace, which is found, and images that an
// operator puts back.
func TestCalicoOfAnOperator(t *testing.T) {
	o, err := theLab()
	require.NoError(t, err)
	require.NoError(t, o.Lab.ResetInstall(t.Context(), lab.ClassA, lab.Operator))
	t.Cleanup(func() { require.NoError(t, o.Lab.Reset(context.WithoutCancel(t.Context()), lab.None)) })
	found := o.diagnosed(t)
	all(t, found, "A", "")
	require.Equal(t, "operator", found["node001"].Install)
	require.Equal(t, "calico-system", found["node001"].Namespace)
	out := o.fix(t)
	require.Equal(t, 2, out.Code)
	require.Contains(t, out.Stdout, "operator")
	unchanged(t, out)
}

// pod is what the tests compare of a calico-node pod.
type pod struct{ uid, image string }

func (o Operator) podsByNode(t *testing.T) map[string]pod {
	t.Helper()
	out, err := o.Lab.Kube(t.Context(), "get", "pods", "-n", "kube-system", "-l", "k8s-app=calico-node", "-o",
		`jsonpath={range .items[*]}{.spec.nodeName} {.metadata.uid} {.spec.containers[0].image}{"\n"}{end}`)
	require.NoError(t, err)
	pods := map[string]pod{}
	for _, m := range regexp.MustCompile(`(?m)^(\S+) (\S+) (\S+)$`).FindAllStringSubmatch(out, -1) {
		pods[m[1]] = pod{m[2], m[3]}
	}
	require.Len(t, pods, len(nodes))
	return pods
}
