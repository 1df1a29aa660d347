//go:build linux

package incident

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
	"runbook/runner/journal"
	"runbook/runner/plan"
	"runbook/tests/lab"
	"runbook/tests/lab/snapshot"
	"runbook/tests/lives"
)

// opaque are the examples whose plan has something to run each time: what a
// command does cannot be foreseen. Applied again, they change nothing all the same.
var opaque = []string{"command", "shell", "script", "raw"}

// eventful are those that do something each time: what they show is an event, not
// a state.
var eventful = map[string]string{
	"kubectl":    "it runs a pod on every node, and empties one",
	"net_matrix": "its agents are made and taken away",
	"reboot":     "the host boots anew",
}

// booted are the hosts that an example boots.
var booted = map[string][]string{"reboot": {"node006"}}

// TestThePlanIsTrue plans every example twice, on a lab of which every file,
// package, set and object is known, and carries the plan out: planning changes
// nothing, the apply does what the plan lists and no more, and after it there is
// nothing left to plan.
func TestThePlanIsTrue(t *testing.T) {
	o := faulty(t, lab.None)
	vars := `{"calico": true, "cluster": true, "reboot": true, "node": "node006", "url": "` + o.Lab.URLs()[0] + `"}`
	before, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	for _, name := range modules.Names() {
		t.Run(name, func(t *testing.T) {
			args := []string{filepath.Join("examples", name+".yaml"), "-l", "node006", "-e", vars}
			began := time.Now()
			after := o.provePlan(t, before, args)
			if slices.Contains(opaque, name) {
				again := o.call(t, append([]string{"apply", "--yes"}, args...)...)
				require.Equal(t, 0, again.Code)
				unchanged(t, again)
			} else if eventful[name] == "" {
				require.Zero(t, after.Change+after.Run+after.Wait+after.Unknown, "a plan after the apply: %+v", after)
			}
			if eventful[name] != "" {
				before = o.settled(t, began, booted[name]...)
				return
			}
			before, err = o.Lab.Snapshot(t.Context())
			require.NoError(t, err)
		})
	}
}

// TestTheIncidentsPlanIsTrue is the same on the faults of which the plan has most.
func TestTheIncidentsPlanIsTrue(t *testing.T) {
	for _, fault := range []lab.Fault{lab.ClassA, lab.ClassC} {
		t.Run(string(fault), func(t *testing.T) {
			o := faulty(t, fault)
			before, err := o.Lab.Snapshot(t.Context())
			require.NoError(t, err)
			after := o.provePlan(t, before, []string{Playbook})
			require.Zero(t, after.Change+after.Run+after.Wait+after.Unknown, "%+v", after)
		})
	}
}

// provePlan plans twice, applies the plan, and compares the journal with it, task
// by task. It returns the counts of a plan made afterwards.
func (o Operator) provePlan(t *testing.T, before map[string]string, args []string) plan.Counts {
	t.Helper()
	first := o.planned(t, args)
	second := o.planned(t, args)
	is, err := o.Lab.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, lab.Diff(before, is), "a plan changes nothing")
	require.Equal(t, verdicts(first), verdicts(second), "two plans of the same are the same")

	require.Equal(t, 0, o.exec(t, "apply", o.planFile()).Code)
	lives.Compare(t, first, o.lastRun(t))
	return o.planned(t, args).Summary
}

// settled is a snapshot once nothing moves any more: what was evicted, or ran on a
// host that was booted, comes up again by itself.
func (o Operator) settled(t *testing.T, since time.Time, booted ...string) snapshot.Snapshot {
	t.Helper()
	require.NoError(t, o.Lab.Settle(t.Context(), since, booted...))
	var last snapshot.Snapshot
	require.NoError(t, lab.Poll(t.Context(), time.Minute, func(ctx context.Context) error {
		is, err := o.Lab.Snapshot(ctx)
		if err != nil {
			return err
		}
		moved := lab.Diff(last, is)
		if last = is; len(moved) > 0 {
			return fmt.Errorf("it still moves: %s", moved)
		}
		return nil
	}))
	return last
}

func (o Operator) planFile() string { return filepath.Join(o.home(), "lab.plan") }

// planned makes a plan and reads it.
func (o Operator) planned(t *testing.T, args []string) *plan.Plan {
	t.Helper()
	require.Equal(t, 0, o.call(t, append([]string{"plan", "-o", o.planFile()}, args...)...).Code)
	p, err := plan.Read(o.planFile())
	require.NoError(t, err)
	require.True(t, p.Complete)
	return p
}

func (o Operator) exec(t *testing.T, args ...string) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	out, err := o.Exec(ctx, args...)
	require.NoError(t, err)
	t.Logf("runbook %s: exit code %d\n%s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	return out
}

// lastRun is the records of the operator's newest run.
func (o Operator) lastRun(t *testing.T) []runner.Record {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(o.State(), "runs", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, runs)
	c, err := journal.Read(slices.Max(runs))
	require.NoError(t, err)
	return c.Records()
}

// verdicts are a plan's, without what looking itself changes.
func verdicts(p *plan.Plan) map[runner.Key]runner.Status {
	all := map[runner.Key]runner.Status{}
	for _, o := range p.Work {
		all[o.Key] = o.Status
	}
	return all
}
