//go:build linux

package incident

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
	"runbook/tests/lab/snapshot"
)

// doomed is a playbook that is killed at every task of its run.
type doomed struct {
	name     string
	playbook string
	vars     func(t *testing.T, o Operator) map[string]any
	code     int   // that it ends with
	healthy  bool  // whether the fault is gone then
	proof    proof // that the deaths have made no difference
}

// proof is how the end of a chain of lives is judged.
type proof string

const (
	compared proof = "all is as after a run that nobody disturbed"
	idle     proof = "another run finds nothing to do" // which is a third of the time
	looked   proof = "nothing is changed at all"
	undone   proof = "the workloads are those of before"
)

// short are limits that are over soon where what is waited for does not come.
var short = map[string]any{
	"recovery_timeout": 5, "rollout_timeout": 60, "ready_timeout": 60, "clean_timeout": 40, "canary_timeout": 15, "canary_soak": 1,
	"check_timeout": 30, "apt_lock_timeout": 20, "sound_timeout": 30,
}

// scenes are the faults, and what is run on each of them, one after the other.
var scenes = []struct {
	name   string
	fault  lab.Fault
	before func(t *testing.T, o Operator)
	runs   []doomed
}{
	{"C", lab.ClassC, nil, []doomed{
		{"ipset-fix", Playbook, fixed(map[string]any{"probe_nodes": true}), 0, true, compared},
		{"checklist", Checklist, fixed(shortWaits), 0, true, looked},
		{"calico-refresh-interval", intervalPlaybook, fixed(nil), 0, true, idle},
	}},
	{"A", lab.ClassA, nil, []doomed{
		{"calico-diagnose", Diagnose, fixed(nil), 0, false, looked},
		{"ipset-fix with a broken image", Playbook, fixed(map[string]any{"calico_version": "v3.27.4"}), 2, false, undone},
		{"ipset-fix", Playbook, fixed(nil), 0, true, idle},
	}},
	{"A, by a manifest", lab.ClassA, nil, []doomed{
		{"calico-version", versionPlaybook, manifest("v3.27.5"), 0, true, idle},
		{"calico-version with a broken one", versionPlaybook, manifest("v3.27.4"), 2, true, undone},
	}},
	{"B", lab.ClassB, func(t *testing.T, o Operator) { require.NoError(t, o.Lab.SwitchCreator(t.Context(), false)) }, []doomed{
		{"ipset-fix", Playbook, fixed(nil), 0, true, idle},
	}},
}

func fixed(vars map[string]any) func(*testing.T, Operator) map[string]any {
	return func(*testing.T, Operator) map[string]any { return vars }
}

func manifest(version string) func(*testing.T, Operator) map[string]any {
	return func(t *testing.T, o Operator) map[string]any {
		return map[string]any{"manifest": o.manifestOf(t, version), "backup": filepath.Join(t.TempDir(), "kept"), "rollout_timeout": 20}
	}
}

// TestDeathAtEveryTask kills the program with SIGKILL at the first task, resumes
// it and kills it at the second, and so on until it ends by itself. Then all is as
// it would be without that, and nothing is left over on hosts and cluster.
func TestDeathAtEveryTask(t *testing.T) {
	r := rand.New(rand.NewPCG(seedOf(t), 0))
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			o := faulty(t, s.fault)
			if s.before != nil {
				s.before(t, o)
			}
			for _, d := range s.runs {
				o.Desk = strings.ReplaceAll(strings.ReplaceAll("doomed "+s.name+" "+d.name, ",", ""), " ", "-")
				if !t.Run(d.name, func(t *testing.T) { o.dies(t, s.fault, d, r) }) {
					return // the next one counts on what this one leaves
				}
			}
		})
	}
}

// dies has a playbook die at every task, and judges what is there then.
func (o Operator) dies(t *testing.T, fault lab.Fault, d doomed, r *rand.Rand) {
	t.Helper()
	args, others := o.argsOf(t, d), keptHere(t)
	var tasks []time.Duration
	var want snapshot.Snapshot
	var templates string
	var err error
	switch d.proof {
	case compared:
		calm := o
		calm.Desk += "-undisturbed"
		tasks = calm.undisturbed(t, d, args)
		want = o.endState(t)
		require.NoError(t, o.Lab.Reset(t.Context(), fault))
	case looked:
		want, err = o.Lab.Snapshot(t.Context())
		require.NoError(t, err)
	case undone:
		templates = o.templates(t)
	}
	o.killedAtEveryTask(t, d, args, tasks, r)
	switch d.proof {
	case compared:
		require.Empty(t, lab.Diff(want, o.endState(t)), d.proof)
	case looked:
		is, err := o.Lab.Snapshot(t.Context())
		require.NoError(t, err)
		require.Empty(t, lab.Diff(want, is), d.proof)
	case undone:
		require.Equal(t, templates, o.templates(t), d.proof)
	case idle:
		again := o.exec(t, args...)
		require.Equal(t, d.code, again.Code)
		for host, counts := range recap(t, again.Stdout) {
			require.Equal(t, "0", counts["changed"], "%s: %s", host, d.proof)
		}
	}
	o.nothingLeft(t, others)
	require.Equal(t, d.healthy, o.probes(t).Healthy())
}

// templates are the pods that Calico's workloads want.
func (o Operator) templates(t *testing.T) string {
	t.Helper()
	out, err := o.Lab.Kube(t.Context(), "get", "daemonsets,deployments", "--namespace=kube-system", "--output=jsonpath={.items[*].spec.template.spec}")
	require.NoError(t, err)
	return out
}

// seedOf is EVERYTASK_SEED, or the one of every run in CI.
func seedOf(t *testing.T) uint64 {
	n := uint64(1)
	if asked := os.Getenv("EVERYTASK_SEED"); asked != "" {
		var err error
		n, err = strconv.ParseUint(asked, 10, 64)
		require.NoError(t, err, "EVERYTASK_SEED")
	}
	t.Logf("EVERYTASK_SEED=%d", n)
	return n
}

// argsOf is the command line of a run.
func (o Operator) argsOf(t *testing.T, d doomed) []string {
	t.Helper()
	sites, err := Vars(o.Lab)
	require.NoError(t, err)
	all := maps.Clone(short)
	maps.Copy(all, d.vars(t, o))
	more, err := json.Marshal(all)
	require.NoError(t, err)
	return []string{"apply", "--yes", d.playbook, "-i", o.Lab.Inventory(), "-e", sites, "-e", string(more)}
}
