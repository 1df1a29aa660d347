//go:build linux

// Package lives lets the program live, and kills it at a chosen moment of its course.
package lives

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Told is one line of --output json, as far as it matters here.
type Told struct {
	Event, Task, Host, Status, Msg string
	Recalled                       bool
	At                             time.Time `json:"-"` // when it was heard
}

// Moment is when a life ends, seen from the task that it is to end at.
type Moment string

// The moments.
const (
	AsItBegins Moment = "as it begins, at"
	Amid       Moment = "in the middle of"
	AsItEnds   Moment = "with the first result of"
)

// Moments are all of them.
var Moments = []Moment{AsItBegins, Amid, AsItEnds}

// Death is the end that a life is to have.
type Death struct {
	Task int           // from 1: the task, in the order in which they begin
	Of   time.Duration // that the task takes
	When Moment
	Part float64 // of its time, for Amid
	At   string  // the task's name, once it has begun
}

// Life is one call of the program.
type Life struct {
	Told   []Told
	Errs   string
	Took   time.Duration
	Killed bool
	Code   int
}

// Live runs the program, which tells what it does as JSON, to its end or to its
// death.
func Live(t testing.TB, cmd *exec.Cmd, end *Death) *Life {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, cmd.Start())
	l := &Life{}
	l.listen(t, out, cmd, end)
	_ = cmd.Wait() // how it ended is seen below
	l.Took, l.Errs = time.Since(began), errs.String()
	l.Code = cmd.ProcessState.ExitCode()
	l.Killed = l.Code < 0
	return l
}

// listen reads what the program says until it has ended, and kills it where its
// end has come.
func (l *Life) listen(t testing.TB, out io.Reader, cmd *exec.Cmd, end *Death) {
	t.Helper()
	kill := func() { _ = cmd.Process.Kill() } // it may have ended by itself
	begun := 0
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e Told
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e), lines.Text())
		e.At = time.Now()
		l.Told = append(l.Told, e)
		if e.Event == "task_started" {
			begun++
		}
		switch {
		case end == nil:
		case begun > end.Task:
			kill() // the moment has passed by
		case begun < end.Task:
		case e.Event == "task_started":
			end.At = e.Task
			switch end.When {
			case AsItBegins:
				kill()
			case Amid:
				timer := time.AfterFunc(time.Duration(end.Part*float64(end.Of)), kill)
				defer timer.Stop()
			}
		case e.Event == "task_done" && end.When == AsItEnds:
			kill()
		}
	}
	require.NoError(t, lines.Err())
}

// Tasks is how long each task took, in the order in which they began.
func (l *Life) Tasks() []time.Duration {
	var begun []time.Time
	for _, e := range l.Told {
		if e.Event == "task_started" || e.Event == "run_done" {
			begun = append(begun, e.At)
		}
	}
	var tasks []time.Duration
	for i := range len(begun) - 1 {
		tasks = append(tasks, begun[i+1].Sub(begun[i]).Round(time.Millisecond))
	}
	return tasks
}

// Begun is how many tasks have.
func (l *Life) Begun() int {
	n := 0
	for _, e := range l.Told {
		if e.Event == "task_started" {
			n++
		}
	}
	return n
}

// Printed is the results, a line each, and what was said beside them.
func (l *Life) Printed() string {
	var b strings.Builder
	for _, e := range l.Told {
		if e.Event == "task_done" {
			b.WriteString(strings.TrimSpace(e.Task+": "+e.Host+" "+e.Status+" "+e.Msg) + "\n")
		}
	}
	return b.String() + l.Errs
}

// Failures are the results that are bad ones.
func (l *Life) Failures() string {
	var b strings.Builder
	for _, e := range l.Told {
		if e.Status == "failed" || e.Status == "unreachable" {
			b.WriteString(e.Task + ": " + e.Host + ": " + e.Msg + "\n")
		}
	}
	return b.String() + l.Errs
}
