package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"runbook/modules"
	"runbook/runner"
)

// JSON prints every event as one line of JSON: its kind under "event", and its
// fields in snake case.
type JSON struct {
	w   io.Writer
	err error
}

// NewJSON prints to w.
func NewJSON(w io.Writer) *JSON { return &JSON{w: w} }

// Err is the first error of writing, if there was one.
func (j *JSON) Err() error { return j.err }

// Event prints one event. After an error of writing it prints nothing more. A
// result that JSON cannot hold (a number that is none) is left out, and only it.
func (j *JSON) Event(e runner.Event) {
	if j.err != nil {
		return
	}
	fields := line(e)
	text, err := encoded(fields)
	if err != nil {
		fields["result"] = map[string]string{"error": err.Error()}
		text, err = encoded(fields)
	}
	if err == nil {
		_, err = j.w.Write(text)
	}
	j.err = err
}

func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// line is an event's fields by the names that programs read; documented in
// `runbook doc events`.
func line(e runner.Event) map[string]any {
	m := map[string]any{"event": snake(reflect.TypeOf(e).Name())}
	switch e := e.(type) {
	case runner.RunStarted:
		m["playbook"], m["plan"], m["tasks"], m["at"] = e.Playbook, e.Plan, e.Tasks, stamp(e.At)
		m["resumed"] = e.Resumed
		pending(m, e.Pending)
	case runner.PlayStarted:
		m["play"], m["hosts"], m["batch"], m["batches"], m["at"] = e.Name, e.Hosts, e.Batch, e.Batches, stamp(e.At)
	case runner.TaskStarted:
		m["task"], m["module"], m["handler"], m["pos"], m["at"] = e.Name, e.Module, e.Handler, e.Pos.String(), stamp(e.At)
	case runner.TaskDone:
		taskDone(m, e)
	case runner.TaskRetried:
		m["task"], m["host"], m["left"], m["at"] = e.Task, e.Host, e.Left, stamp(e.At)
	case runner.TaskWaiting:
		m["task"], m["host"], m["for"], m["at"] = e.Task, e.Host, diffs(e.For), stamp(e.At)
	case runner.PlayStopped:
		m["reason"], m["at"] = e.Reason, stamp(e.At)
	case runner.RunDone:
		runDone(m, e)
	}
	return m
}

func taskDone(m map[string]any, e runner.TaskDone) {
	r := e.Result
	m["task"], m["host"], m["pos"], m["status"] = e.Task, e.Host, e.Pos.String(), string(r.Status)
	m["took_ms"], m["at"] = e.Took.Milliseconds(), stamp(e.At)
	if e.Delegate != "" {
		m["delegate"] = e.Delegate
	}
	if e.Item != nil {
		m["item"] = *e.Item
	}
	if e.Handler {
		m["handler"] = true
	}
	if e.Recalled {
		m["recalled"] = true
	}
	if e.Looped {
		m["looped"], m["part"] = true, e.Part
	}
	if r.Ignored {
		m["ignored"] = true
	}
	if r.Msg != "" {
		m["msg"] = r.Msg
	}
	if len(r.Change.Diffs) > 0 {
		m["diffs"] = diffs(r.Change.Diffs)
	}
	if len(r.Change.Steps) > 0 {
		steps := make([]string, len(r.Change.Steps))
		for i, s := range r.Change.Steps {
			steps[i] = s.String()
		}
		m["steps"] = steps
		if slices.Contains(opaque(r), true) {
			m["opaque"] = true
		}
	}
	if len(r.Change.Notes) > 0 {
		m["notes"] = r.Change.Notes
	}
	if len(r.Vars) > 0 {
		m["result"] = r.Vars
	}
}

func runDone(m map[string]any, e runner.RunDone) {
	recap := map[string]any{}
	for _, r := range e.Recap {
		counts := map[string]int{}
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			if f := v.Field(i); f.CanInt() {
				counts[snake(v.Type().Field(i).Name)] = int(f.Int())
			}
		}
		recap[r.Host] = counts
	}
	m["recap"], m["plan"], m["took_ms"], m["at"] = recap, e.Plan, e.Took.Milliseconds(), stamp(e.At)
	if e.Rescues > 0 {
		m["rescues"] = e.Rescues
	}
	pending(m, e.Pending)
}

// pending is handlers that were notified and have not run; left out where there
// are none.
func pending(m map[string]any, in []runner.Notification) {
	if len(in) == 0 {
		return
	}
	out := make([]runner.Notification, len(in))
	for i, n := range in {
		n.At = n.At.UTC()
		out[i] = n
	}
	m["pending"] = out
}

func diffs(in []modules.Diff) []map[string]any {
	out := make([]map[string]any, len(in))
	for i, d := range in {
		out[i] = map[string]any{"what": d.What, "have": d.Have, "want": d.Want}
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// snake turns TaskDone into task_done, and OK into ok.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && !(name[i-1] >= 'A' && name[i-1] <= 'Z') {
			b.WriteByte('_')
		}
		fmt.Fprint(&b, strings.ToLower(string(r)))
	}
	return b.String()
}
