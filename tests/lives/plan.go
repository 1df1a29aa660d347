//go:build linux

package lives

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/plan"
)

// Compare holds what a run did against its plan: every step is one that the plan
// lists for that task on that host, or of a task that the plan could not know;
// and every change that the plan lists was made.
func Compare(t testing.TB, p *plan.Plan, records []runner.Record) {
	t.Helper()
	listed := p.Signed().Work
	took := 0
	for _, r := range records {
		i, ok := r.(runner.Intent)
		if !ok {
			continue
		}
		took++
		planned, ok := listed[i.Key]
		require.True(t, ok, "not in the plan: %+v", i)
		if planned.Status != runner.Unknown {
			require.Contains(t, planned.Steps, i.Command, "%+v", planned)
		}
	}
	done := runner.Fold(records).Outcomes
	for key, planned := range listed {
		is := done[key].Status
		switch planned.Status {
		case runner.WouldChange:
			require.Equal(t, runner.Changed, is, "%+v", planned)
		case runner.WouldRun, runner.WouldWait:
			require.Contains(t, []runner.Status{runner.Changed, runner.OK}, is, "%+v", planned)
		case runner.OK, runner.Skipped:
			require.Equal(t, planned.Status, is, "%+v", planned)
		}
	}
	t.Logf("%d steps, each of them in the plan of %d verdicts", took, len(listed))
}
