//go:build linux

package incident

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/tests/lab"
	"runbook/tests/lab/snapshot"
)

// doomed is a playbook that is killed at every task of its run.
type doomed struct {
	name     string
	playbook string
	fault    lab.Fault // empty: the lab is as the one before has left it
	vars     map[string]any
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
)

// short are limits that are over soon where what is waited for does not come.
var short = map[string]any{
	"recovery_timeout": 5, "rollout_timeout": 60, "ready_timeout": 60, "clean_timeout": 40, "canary_timeout": 25, "canary_soak": 2,
	"check_timeout": 30, "apt_lock_timeout": 20,
}

var everyTaskOf = []doomed{
	{"ipset-fix on C", Playbook, lab.ClassC, map[string]any{"probe_nodes": true}, 0, true, compared},
}

// TestDeathAtEveryTask kills the program with SIGKILL at the first task, resumes
// it and kills it at the second, and so on until it ends by itself. Then all is as
// it would be without that, and nothing is left over on hosts and cluster.
func TestDeathAtEveryTask(t *testing.T) {
	r := rand.New(rand.NewPCG(seedOf(t), 0))
	for i, d := range everyTaskOf {
		t.Run(d.name, func(t *testing.T) {
			o := d.lab(t)
			o.Desk = fmt.Sprintf("doomed-%d", i)
			var tasks []time.Duration
			var want, before snapshot.Snapshot
			var err error
			switch d.proof {
			case compared:
				calm := o
				calm.Desk += "-undisturbed"
				tasks = calm.undisturbed(t, d)
				want = o.endState(t)
				o.Lab = d.lab(t).Lab
			case looked:
				before, err = o.Lab.Snapshot(t.Context())
				require.NoError(t, err)
			}
			o.killedAtEveryTask(t, d, tasks, r)
			switch d.proof {
			case compared:
				require.Empty(t, lab.Diff(want, o.endState(t)), d.proof)
			case looked:
				is, err := o.Lab.Snapshot(t.Context())
				require.NoError(t, err)
				require.Empty(t, lab.Diff(before, is), d.proof)
			case idle:
				again := o.exec(t, append([]string{"apply", "--yes", d.playbook}, o.varsOf(t, d)...)...)
				require.Equal(t, d.code, again.Code)
				for host, counts := range recap(t, again.Stdout) {
					require.Equal(t, "0", counts["changed"], "%s: %s", host, d.proof)
				}
			}
			o.nothingLeft(t)
			require.Equal(t, d.healthy, o.probes(t).Healthy())
		})
	}
}

// lab is the lab as the run is to find it.
func (d doomed) lab(t *testing.T) Operator {
	t.Helper()
	if d.fault != "" {
		return faulty(t, d.fault)
	}
	o, err := theLab()
	require.NoError(t, err)
	return o
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

// told is one line of --output json, as far as it matters here.
type told struct {
	Event, Task, Host, Status, Msg string
	Recalled                       bool
	at                             time.Time
}

// undisturbed is the run that all is compared with. It says how long each of its
// tasks took.
func (o Operator) undisturbed(t *testing.T, d doomed) []time.Duration {
	t.Helper()
	l := o.live(t, d, nil)
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
func (o Operator) killedAtEveryTask(t *testing.T, d doomed, tasks []time.Duration, r *rand.Rand) {
	t.Helper()
	began := time.Now()
	for n := 1; n <= mostLives; n++ {
		end := &death{task: n, of: shortWhile, when: moments[r.IntN(len(moments))], part: r.Float64()}
		if n <= len(tasks) {
			end.of = tasks[n-1]
		}
		l := o.live(t, d, end)
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

// live begins the run, or resumes it, and lets it end by itself or as end says.
func (o Operator) live(t *testing.T, d doomed, end *death) *life {
	t.Helper()
	args := []string{"resume", "--output", "json", "--lock-timeout", "20s"}
	if runs, _ := filepath.Glob(filepath.Join(o.State(), "runs", "*")); len(runs) == 0 {
		args = append([]string{"apply", "--yes", d.playbook, "--output", "json"}, o.varsOf(t, d)...)
	}
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

func (o Operator) varsOf(t *testing.T, d doomed) []string {
	t.Helper()
	sites, err := Vars(o.Lab)
	require.NoError(t, err)
	all := maps.Clone(short)
	maps.Copy(all, d.vars)
	more, err := json.Marshal(all)
	require.NoError(t, err)
	return []string{"-i", o.Lab.Inventory(), "-e", sites, "-e", string(more)}
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
