package runner

import (
	"encoding/json"
	"math/big"
	"slices"
	"sort"
	"strings"
	"sync"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

// secrets are values that must not be shown. Shorter ones than four characters
// are not searched for: replacing them would garble every text.
type secrets struct {
	mu     sync.Mutex
	values []string // longest first, so that no part of one is left over
}

const (
	hidden       = "********"
	secretLength = 4
)

func (s *secrets) add(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(value) < secretLength {
		return
	}
	for _, v := range s.values {
		if v == value {
			return
		}
	}
	s.values = append(s.values, value)
	sort.Slice(s.values, func(i, j int) bool { return len(s.values[i]) > len(s.values[j]) })
}

// What a task with no_log printed is secret from then on, whoever hands it on: as
// a whole and line by line. Short ones are words of every text, and the number is
// bounded, as every text is searched for all of them.
const (
	printedLength = 8
	printedMost   = 1000
)

// learn makes secrets of what a task with no_log registered.
func (s *secrets) learn(v jinja.Value) {
	d, ok := v.(*jinja.Dict)
	if !ok {
		return
	}
	for _, key := range []string{"stdout", "content"} {
		found, _ := d.Get(key)
		if text, known := found.(jinja.Str); known {
			whole := jinja.Text(text)
			for _, line := range append(strings.Split(whole, "\n"), whole) {
				if line = strings.TrimSpace(line); len(line) >= printedLength && s.count() < printedMost {
					s.add(line)
				}
			}
		}
	}
}

func (s *secrets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values)
}

func (s *secrets) text(t string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.values {
		t = strings.ReplaceAll(t, v, hidden)
	}
	return t
}

func (s *secrets) diffs(in []modules.Diff) []modules.Diff {
	out := make([]modules.Diff, len(in))
	for i, d := range in {
		d.What, d.Have, d.Want = s.text(d.What), s.text(d.Have), s.text(d.Want)
		out[i] = d
	}
	return out
}

// value replaces secrets in plain data, copying what it changes.
func (s *secrets) value(v any) any {
	switch v := v.(type) {
	case string:
		return s.text(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.value(e)
		}
		return out
	case []string:
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = s.text(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[s.text(k)] = s.value(e)
		}
		return out
	case nil, bool, int, int64, float64, *big.Int:
		return v
	case jinja.Value:
		return s.value(jinja.ToGo(v))
	}
	return s.other(v)
}

// other is data of any other kind: as it is where it holds no secret, else what
// JSON has of it, without the secrets.
func (s *secrets) other(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return hidden
	}
	var plain any
	if s.text(string(text)) == string(text) || json.Unmarshal(text, &plain) != nil {
		return v
	}
	return s.value(plain)
}

// event is an event without secrets, in the names of plays and tasks too.
func (s *secrets) event(e Event) Event {
	switch e := e.(type) {
	case RunStarted:
		e.Pending = s.notifications(e.Pending)
		return e
	case RunDone:
		e.Pending = s.notifications(e.Pending)
		return e
	case PlayStarted:
		e.Name = s.text(e.Name)
		return e
	case TaskStarted:
		e.Name = s.text(e.Name)
		return e
	case TaskRetried:
		e.Task = s.text(e.Task)
		return e
	case TaskWaiting:
		e.Task, e.For = s.text(e.Task), s.diffs(e.For)
		return e
	case TaskDone:
		e.Task, e.Result = s.text(e.Task), s.result(e.Result)
		if e.Item != nil {
			item := s.text(*e.Item)
			e.Item = &item
		}
		return e
	}
	return e
}

func (s *secrets) notifications(in []Notification) []Notification {
	out := slices.Clone(in)
	for i := range out {
		out[i].Play, out[i].Handler, out[i].By = s.text(out[i].Play), s.text(out[i].Handler), s.text(out[i].By)
	}
	return out
}

// shownStep is a step of which only its words are left, for whoever shows it.
type shownStep struct {
	modules.Step
	words string
}

func (s shownStep) String() string { return s.words }

// Opaque says whether nobody can foresee or verify what the step does.
func (s shownStep) Opaque() bool { return opaque(s.Step) }

func (s *secrets) result(r Result) Result {
	r.Msg, r.Err = s.text(r.Msg), nil
	r.Change.Diffs = s.diffs(r.Change.Diffs)
	steps := make([]modules.Step, len(r.Change.Steps))
	for i, st := range r.Change.Steps {
		steps[i] = shownStep{st, s.text(st.String())}
	}
	r.Change.Steps = steps
	notes := make([]string, len(r.Change.Notes))
	for i, n := range r.Change.Notes {
		notes[i] = s.text(n)
	}
	r.Change.Notes, r.Change.Vars = notes, nil
	r.Vars, _ = s.value(r.Vars).(map[string]any)
	return r
}
