package modules

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newWaitFor(set func(*waitFor)) *waitFor {
	d, _ := Lookup("wait_for")
	m := d.New().(*waitFor)
	set(m)
	return m
}

func TestWaitForPort(t *testing.T) {
	const url = "tcp://[::1]:22"
	open := &fake{responses: map[string]Response{url: {}}}
	closed := &fake{errs: map[string]error{url: errors.New("connection refused")}}
	tests := []struct {
		name, state string
		target      *fake
		want        []Diff
	}{
		{"open as asked", "started", open, nil},
		{"present means open", "present", open, nil},
		{"not yet open", "started", closed, []Diff{{What: "port 22 of ::1", Have: "closed: connection refused", Want: "open"}}},
		{"closed as asked", "stopped", closed, nil},
		{"not yet closed", "absent", open, []Diff{{What: "port 22 of ::1", Have: "open", Want: "closed"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newWaitFor(func(m *waitFor) {
				m.Host, m.Port, m.State, m.Timeout, m.Delay, m.Msg = "::1", 22, tt.state, time.Minute, time.Second, "no ssh"
			})
			change := check(t, m, tt.target)
			assert.Equal(t, tt.want, change.Diffs)
			assert.Empty(t, change.Steps)
			assert.Equal(t, Wait{Delay: time.Second, Timeout: time.Minute, Interval: time.Second, Message: "no ssh"}, change.Wait)
			assert.Equal(t, 22, change.Vars["port"])
		})
	}
}

// lost is the error of a target that does not answer at all.
type lost struct{}

func (lost) Error() string     { return "host is gone" }
func (lost) Unreachable() bool { return true }

func TestWaitForPortOfLostTarget(t *testing.T) {
	m := newWaitFor(func(m *waitFor) { m.Port, m.State = 80, "stopped" })
	_, err := m.Check(t.Context(), &fake{errs: map[string]error{"tcp://127.0.0.1:80": lost{}}})
	assert.EqualError(t, err, "host is gone")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Check(ctx, &fake{errs: map[string]error{"tcp://127.0.0.1:80": context.Canceled}})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestWaitForPath(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "a log")
	require.NoError(t, os.WriteFile(log, []byte("start\nready id=7\n"), 0o600))
	tests := []struct {
		name, path, regex, state string
		have                     string // of the diff; empty: as asked
	}{
		{"there", log, "", "started", ""},
		{"missing", dir + "/no", "", "present", "absent"},
		{"gone as asked", dir + "/no", "", "absent", ""},
		{"not yet gone", log, "", "absent", "there"},
		{"matches", log, `^ready id=(?P<id>\d+)$`, "started", ""},
		{"does not match", log, "^id", "started", "there, without a match"},
		{"gone means the file, not the match", log, "nothing", "absent", "there"},
	}
	for shell, h := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				m := newWaitFor(func(m *waitFor) { m.Path, m.SearchRegex, m.State = tt.path, tt.regex, tt.state })
				change := check(t, m, h)
				if tt.have == "" {
					assert.Empty(t, change.Diffs)
				} else {
					require.Len(t, change.Diffs, 1)
					assert.Equal(t, tt.have, change.Diffs[0].Have)
				}
				if tt.name == "matches" {
					assert.Equal(t, []any{"7"}, change.Vars["match_groups"])
					assert.Equal(t, map[string]any{"id": "7"}, change.Vars["match_groupdict"])
				}
			})
		}
	}
}

func TestWaitForPathFails(t *testing.T) {
	m := newWaitFor(func(m *waitFor) { m.Path = "/x" })
	query := m.pathQuery(m.Path).String()
	_, err := m.Check(t.Context(), &fake{commands: map[string]Output{query: {Code: 1, Stderr: "denied"}}})
	assert.EqualError(t, err, `looking at "/x": exit code 1: denied`)
}

func TestWaitForNothingIsAPause(t *testing.T) {
	m := newWaitFor(func(m *waitFor) { m.Timeout = 3 * time.Second })
	change := check(t, m, &fake{})
	assert.Equal(t, []Step{Pause{For: 3 * time.Second}}, change.Steps)
}

func TestWaitForValidate(t *testing.T) {
	tests := []struct {
		set func(*waitFor)
		err string
	}{
		{func(m *waitFor) { m.Port, m.Path = 1, "/x" }, "port and path exclude each other; keep one of them"},
		{func(m *waitFor) { m.Port = 70000 }, "port 70000 is not between 1 and 65535"},
		{func(m *waitFor) { m.Port, m.State = 1, "drained" }, "state drained is not supported; look at the connections with the module command and until"},
		{func(m *waitFor) { m.Port, m.SearchRegex = 1, "x" }, "search_regex needs path; what a port sends cannot be searched"},
		{func(m *waitFor) { m.Timeout = 0 }, "timeout, sleep and connect_timeout must be positive, and delay not negative"},
		{func(m *waitFor) { m.Path, m.SearchRegex = "/x", "(" }, "search_regex \"(\": error parsing regexp: missing closing ): `(?m)(`"},
	}
	for _, tt := range tests {
		assert.EqualError(t, newWaitFor(tt.set).Validate(), tt.err)
	}
}
