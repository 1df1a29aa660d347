//go:build linux

package incident

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/tests/lives"
)

// undisturbed is the run that all is compared with. It says how long each of its
// tasks took.
func (o Operator) undisturbed(t *testing.T, d doomed, args []string) []time.Duration {
	t.Helper()
	l := o.live(t, args, nil)
	require.Equal(t, d.code, l.Code, l.Printed())
	tasks := l.Tasks()
	require.NotEmpty(t, tasks)
	t.Logf("undisturbed: exit code %d, %d tasks in %.1f s: %v", l.Code, len(tasks), l.Took.Seconds(), tasks)
	return tasks
}

// shortWhile is how long a task of which nobody knows that is taken to be.
const shortWhile = 2 * time.Second

// mostLives bounds a chain of lives: no playbook here has so many tasks.
const mostLives = 150

// killedAtEveryTask lives one life for every task and one more, and demands that
// the last one ends as it should.
func (o Operator) killedAtEveryTask(t *testing.T, d doomed, args []string, tasks []time.Duration, r *rand.Rand) {
	t.Helper()
	began := time.Now()
	for n := 1; n <= mostLives; n++ {
		end := &lives.Death{Task: n, Of: shortWhile, When: lives.Moments[r.IntN(len(lives.Moments))], Part: r.Float64()}
		if n <= len(tasks) {
			end.Of = tasks[n-1]
		}
		l := o.live(t, args, end)
		if !l.Killed {
			t.Logf("%d lives, %.1f s in all\n%s", n, time.Since(began).Seconds(), l.Failures())
			require.Equal(t, d.code, l.Code, l.Printed())
			require.GreaterOrEqual(t, n, l.Begun(), "it died at every task")
			return
		}
		t.Logf("life %d: killed after %.1f s, %s task %d, %s", n, l.Took.Seconds(), end.When, n, end.At)
		if ended := o.lastJournal(t).Ended(); ended != nil {
			require.Equal(t, d.code, codeOf(ended.Summary), l.Printed()) // it had nothing left to do but to say so
			return
		}
	}
	require.Fail(t, "it does not come to its end")
}

// codeOf is the exit code of a run that came to this end.
func codeOf(s runner.Summary) int {
	switch {
	case s.Unreachable:
		return 4
	case s.Failed:
		return 2
	}
	return 0
}

func (o Operator) lastJournal(t *testing.T) *journal.Contents {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(o.State(), "runs", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, runs)
	c, err := journal.Read(slices.Max(runs))
	require.NoError(t, err)
	return c
}

// live begins the run with args, or resumes it, and lets it end by itself or as
// end says.
func (o Operator) live(t *testing.T, args []string, end *lives.Death) *lives.Life {
	t.Helper()
	if runs, _ := filepath.Glob(filepath.Join(o.State(), "runs", "*")); len(runs) > 0 {
		args = []string{"resume", "--lock-timeout", "20s"}
	}
	args = append(slices.Clone(args), "--output", "json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd, err := o.Command(ctx, args...)
	require.NoError(t, err)
	l := lives.Live(t, cmd, end)
	require.NoError(t, ctx.Err(), "%v does not end: %s", args, l.Printed())
	return l
}
