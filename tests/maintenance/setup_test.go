//go:build linux

package maintenance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner/journal"
	"runbook/tests/incident"
	"runbook/tests/lab"
	"runbook/tests/lives"
)

const (
	root    = "../.."
	upgrade = "playbooks/kernel-upgrade.yaml"
	owner   = "kernel-upgrade"

	oldKernel = "6.1.0-40-lab"
	newKernel = "6.1.0-44-lab"
)

// theConfig keeps these tests apart from a lab that is in use, and from the
// incident's tests, which run at the same time.
var theConfig = lab.Config{Stacked: true, Subnet: "10.79.0.0/16", State: "/var/lib/runbook-lab-maintenance", Log: os.Stderr}

// theLab is brought up once, for all tests of the package.
var theLab = sync.OnceValues(func() (incident.Operator, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	l, err := lab.Up(ctx, theConfig)
	if err != nil {
		return incident.Operator{}, err
	}
	binary, err := incident.Build(ctx, root, l.StateDir())
	return incident.Operator{Lab: l, Root: root, Binary: binary}, err
})

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("the lab cannot run here: it needs root")
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := lab.Down(ctx, theConfig); err != nil {
		fmt.Println("lab down:", err)
		code = 1
	}
	os.Exit(code)
}

// operator is somebody with the lab, a desk of their own, and a kubeconfig that is
// found through the control plane.
type operator struct {
	incident.Operator
	t *testing.T
}

func at(t *testing.T, desk string) operator {
	t.Helper()
	o, err := theLab()
	require.NoError(t, err)
	o.Desk = strings.ReplaceAll(desk, " ", "-")
	return operator{o, t}
}

// used says that the lab is not any more as it came up.
var used bool

// fresh is the lab with these hosts, or all, as they were at first.
func fresh(t *testing.T, desk string, hosts ...string) operator {
	t.Helper()
	o := at(t, desk)
	if used {
		require.NoError(t, o.Lab.RenewHosts(t.Context(), hosts...))
	}
	used = true
	return o
}

// quick are limits that are over soon where what is waited for does not come, and
// that leave a healthy roll enough.
var quick = map[string]any{
	"kernel_package": "linux-image-lab", "canary_soak": 1, "soak": 1, "stable": 1, "delete_emptydir_data": true, "ready_timeout": 60,
	"drain_timeout": 60, "reboot_timeout": 60, "apt_lock_timeout": 20, "lease_duration": 15,
}

// args are those of a run with the quick limits, but for these.
func (o operator) args(verb, playbook string, vars map[string]any, more ...string) []string {
	o.t.Helper()
	all := maps.Clone(quick)
	maps.Copy(all, vars)
	text, err := json.Marshal(all)
	require.NoError(o.t, err)
	args := append([]string{verb}, more...)
	if verb == "apply" {
		args = append(args, "--yes")
	}
	return append(args, playbook, "-i", o.Lab.Inventory(), "-e", string(text))
}

// one are the variables and the limit of a roll over one host.
func one(host string, vars map[string]any) (map[string]any, []string) {
	all := map[string]any{}
	if !strings.HasPrefix(host, "node00") || host > "node003" {
		all["canary"] = host
	}
	maps.Copy(all, vars)
	return all, []string{"-l", host}
}

func (o operator) call(args ...string) incident.Outcome {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 15*time.Minute)
	defer cancel()
	began := time.Now()
	out, err := o.Exec(ctx, args...)
	require.NoError(o.t, err)
	o.t.Logf("runbook %s: exit code %d after %.1f s\n%s%s", strings.Join(args, " "), out.Code, time.Since(began).Seconds(), out.Stdout, out.Stderr)
	return out
}

// live is one life of a run: its first, or a resumption.
func (o operator) live(args []string, end *lives.Death) *lives.Life {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 5*time.Minute)
	defer cancel()
	cmd, err := o.Command(ctx, append(slices.Clone(args), "--output", "json")...)
	require.NoError(o.t, err)
	l := lives.Live(o.t, cmd, end)
	require.NoError(o.t, ctx.Err(), "%v does not end: %s", args, l.Printed())
	return l
}

// journal is that of the operator's newest run.
func (o operator) journal() *journal.Contents {
	o.t.Helper()
	runs, err := filepath.Glob(filepath.Join(o.State(), "runs", "*"))
	require.NoError(o.t, err)
	require.NotEmpty(o.t, runs)
	c, err := journal.Read(slices.Max(runs))
	require.NoError(o.t, err)
	return c
}

// node is what the API says of a node.
type node struct {
	Spec     struct{ Unschedulable bool }
	Metadata struct{ Annotations map[string]string }
	Status   struct {
		NodeInfo struct{ BootID, KernelVersion string }
	}
}

func (o operator) node(name string) node {
	o.t.Helper()
	out, err := o.Lab.Kube(o.t.Context(), "get", "node", name, "--output=json")
	require.NoError(o.t, err)
	var n node
	require.NoError(o.t, json.Unmarshal([]byte(out), &n))
	return n
}

// upgraded requires a host to run the new kernel for good, and its node to be back.
func (o operator) upgraded(host string) {
	o.t.Helper()
	n := o.node(host)
	require.Equal(o.t, newKernel, n.Status.NodeInfo.KernelVersion, host)
	require.False(o.t, n.Spec.Unschedulable, host)
	require.NotContains(o.t, n.Metadata.Annotations, "runbook/cordoned-by", host)
	h, err := o.Lab.Host(host)
	require.NoError(o.t, err)
	said, err := o.Lab.SSH(o.t.Context(), h, "uname -r; ls /etc/default/grub.d; grub-editenv - list")
	require.NoError(o.t, err)
	require.True(o.t, strings.HasPrefix(said, newKernel+"\n"), said)
	require.NotContains(o.t, said, "next_entry=g", said)
	require.NotContains(o.t, said, "runbook", said)
}

// outBy requires a node to be cordoned by the upgrade.
func (o operator) outBy(host string) {
	o.t.Helper()
	n := o.node(host)
	require.True(o.t, n.Spec.Unschedulable, host)
	require.Regexp(o.t, "^"+owner+"/2", n.Metadata.Annotations["runbook/cordoned-by"], host)
}

// boots is how often a host has started.
func (o operator) boots(host string) int {
	o.t.Helper()
	state, err := o.Lab.Machine(o.t.Context(), host)
	require.NoError(o.t, err)
	return state.Boots
}

// tables of counts at the end of a run, by host.
var recapLine = regexp.MustCompile(`(?m)^(\S+)\s+: .*changed=(\d+)`)

// unchanged requires that a run has changed nothing.
func unchanged(t *testing.T, out incident.Outcome) {
	t.Helper()
	_, end, found := strings.Cut(out.Stdout, "PLAY RECAP")
	require.True(t, found)
	lines := recapLine.FindAllStringSubmatch(end, -1)
	require.NotEmpty(t, lines)
	for _, m := range lines {
		require.Equal(t, "0", m[2], "%s: %s", m[1], end)
	}
}
