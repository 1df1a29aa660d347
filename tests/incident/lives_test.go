//go:build linux

package incident

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

// told is one line of --output json, as far as it matters here.
type told struct {
	Event, Task, Host, Status, Msg string
	Recalled                       bool
	at                             time.Time
}

// undisturbed is the run that all is compared with. It says how long each of its
// tasks took.
func (o Operator) undisturbed(t *testing.T, d doomed, args []string) []time.Duration {
	t.Helper()
	l := o.live(t, args, nil)
	require.Equal(t, d.code, l.code, l.printed())
	var begun []time.Time
	for _, e := range l.told {
		if e.Event == "task_started" || e.Event == "run_done" {
			begun = append(begun, e.at)
		}
	}
	var tasks []time.Duration
	for i := range len(begun) - 1 {
		tasks = append(tasks, begun[i+1].Sub(begun[i]).Round(time.Millisecond))
	}
	require.NotEmpty(t, tasks)
	t.Logf("undisturbed: exit code %d, %d tasks in %.1f s: %v", l.code, len(tasks), l.took.Seconds(), tasks)
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
		end := &death{task: n, of: shortWhile, when: moments[r.IntN(len(moments))], part: r.Float64()}
		if n <= len(tasks) {
			end.of = tasks[n-1]
		}
		l := o.live(t, args, end)
		if !l.killed {
			t.Logf("%d lives, %.1f s in all\n%s", n, time.Since(began).Seconds(), l.failures())
			require.Equal(t, d.code, l.code, l.printed())
			require.GreaterOrEqual(t, n, l.begun(), "it died at every task")
			return
		}
		t.Logf("life %d: killed after %.1f s, %s task %d, %s", n, l.took.Seconds(), end.when, n, end.at)
		if ended := o.lastJournal(t).Ended(); ended != nil {
			require.Equal(t, d.code, codeOf(ended.Summary), l.printed()) // it had nothing left to do but to say so
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

// moment is when a life ends, seen from the task that it is to end at.
type moment string

const (
	asItBegins moment = "as it begins, at"
	amid       moment = "in the middle of"
	asItEnds   moment = "with the first result of"
)

var moments = []moment{asItBegins, amid, asItEnds}

// death is the end that a life is to have.
type death struct {
	task int           // from 1: the task, in the order in which they begin
	of   time.Duration // that the task takes
	when moment
	part float64 // of its time, for amid
	at   string  // the task's name, once it has begun
}

// life is one call of the program.
type life struct {
	told   []told
	errs   string
	took   time.Duration
	killed bool
	code   int
}

func (l *life) printed() string {
	var b strings.Builder
	for _, e := range l.told {
		if e.Event == "task_done" {
			b.WriteString(strings.TrimSpace(e.Task+": "+e.Host+" "+e.Status+" "+e.Msg) + "\n")
		}
	}
	return b.String() + l.errs
}

// begun is how many tasks have.
func (l *life) begun() int {
	n := 0
	for _, e := range l.told {
		if e.Event == "task_started" {
			n++
		}
	}
	return n
}

// failures are the results that are bad ones.
func (l *life) failures() string {
	var b strings.Builder
	for _, e := range l.told {
		if e.Status == "failed" || e.Status == "unreachable" {
			b.WriteString(e.Task + ": " + e.Host + ": " + e.Msg + "\n")
		}
	}
	return b.String() + l.errs
}

// live begins the run with args, or resumes it, and lets it end by itself or as
// end says.
func (o Operator) live(t *testing.T, args []string, end *death) *life {
	t.Helper()
	if runs, _ := filepath.Glob(filepath.Join(o.State(), "runs", "*")); len(runs) > 0 {
		args = []string{"resume", "--lock-timeout", "20s"}
	}
	args = append(slices.Clone(args), "--output", "json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd, err := o.Command(ctx, args...)
	require.NoError(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, cmd.Start())
	l := &life{}
	l.listen(t, out, cmd, end)
	_ = cmd.Wait() // how it ended is seen below
	l.took, l.errs = time.Since(began), errs.String()
	l.code = cmd.ProcessState.ExitCode()
	l.killed = l.code < 0
	require.NoError(t, ctx.Err(), "%v does not end: %s", args, l.printed())
	return l
}

// listen reads what the program says until it has ended, and kills it where its
// end has come.
func (l *life) listen(t *testing.T, out io.Reader, cmd *exec.Cmd, end *death) {
	t.Helper()
	kill := func() { _ = cmd.Process.Kill() } // it may have ended by itself
	begun := 0
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e told
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e), lines.Text())
		e.at = time.Now()
		l.told = append(l.told, e)
		if e.Event == "task_started" {
			begun++
		}
		switch {
		case end == nil:
		case begun > end.task:
			kill() // the moment has passed by
		case begun < end.task:
		case e.Event == "task_started":
			end.at = e.Task
			switch end.when {
			case asItBegins:
				kill()
			case amid:
				timer := time.AfterFunc(time.Duration(end.part*float64(end.of)), kill)
				defer timer.Stop()
			}
		case e.Event == "task_done" && end.when == asItEnds:
			kill()
		}
	}
	require.NoError(t, lines.Err())
}
