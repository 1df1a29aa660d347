package render

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
)

func TestTheFieldsOfResumedAndPendingRuns(t *testing.T) {
	var b bytes.Buffer
	j := NewJSON(&b)
	owed := owes("n1")
	owed.At = time.Date(2026, 11, 23, 1, 0, 0, 0, time.FixedZone("here", 3600))
	for _, e := range []runner.Event{
		runner.RunStarted{Playbook: "p", Resumed: true, Pending: []runner.Notification{owed}},
		runner.TaskDone{Task: "t", Host: "n1", Recalled: true, Handler: true, Result: runner.Result{Status: runner.WouldRun,
			Change: modules.Change{Steps: []modules.Step{modules.Command("x")}}}},
		runner.RunDone{Plan: true, Rescues: 2, Pending: []runner.Notification{owed}},
		runner.RunStarted{}, runner.RunDone{},
	} {
		j.Event(e)
	}
	require.NoError(t, j.Err())
	lines := strings.Split(b.String(), "\n")
	const pending = `"pending":[{"playbook":"site.yaml","play":"Nodes","handler":"restart kubelet","host":"n1","by":"Configure","run":"r1","at":"2026-11-23T00:00:00Z"}]`
	for i, want := range []string{
		`{"event":"run_started","playbook":"p","plan":false,"tasks":0,"resumed":true,` + pending + `,"at":"0001-01-01T00:00:00Z"}`,
		`{"event":"task_done","task":"t","host":"n1","pos":"","status":"run","took_ms":0,"at":"0001-01-01T00:00:00Z","handler":true,"recalled":true,"steps":["x"],"opaque":true}`,
		`{"event":"run_done","recap":{},"plan":true,"took_ms":0,"rescues":2,` + pending + `,"at":"0001-01-01T00:00:00Z"}`,
		`{"event":"run_started","playbook":"","plan":false,"tasks":0,"resumed":false,"at":"0001-01-01T00:00:00Z"}`,
		`{"event":"run_done","recap":{},"plan":false,"took_ms":0,"at":"0001-01-01T00:00:00Z"}`,
	} {
		require.JSONEq(t, want, lines[i])
	}
}

func TestAResultThatJSONCannotHoldDoesNotEndTheStream(t *testing.T) {
	var b bytes.Buffer
	j := NewJSON(&b)
	j.Event(runner.TaskDone{Task: "t", Result: runner.Result{Vars: map[string]any{"x": math.NaN()}}})
	j.Event(runner.RunDone{})
	require.NoError(t, j.Err())
	require.Contains(t, b.String(), `"result":{"error":"json: unsupported value: NaN"}`)
	require.Contains(t, b.String(), `"event":"run_done"`)
}

func TestJSONWritesNothingAfterAnError(t *testing.T) {
	w := &breaks{after: 1}
	j := NewJSON(w)
	for range 3 {
		j.Event(runner.PlayStopped{})
	}
	require.EqualError(t, j.Err(), "broken pipe")
	require.Equal(t, 1, strings.Count(w.String(), "play_stopped"))
	require.True(t, strings.HasSuffix(w.String(), "\n!"))
}
