package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"runbook/runner"
)

// RunRow is a run in a list of runs.
type RunRow struct {
	ID       string    `json:"run"`
	Playbook string    `json:"playbook"`
	Who      string    `json:"who"` // user@controller
	Began    time.Time `json:"began"`
	Last     time.Time `json:"last"`            // when it was last heard of
	State    string    `json:"state"`           // done, failed, interrupted, died, running
	Lives    int       `json:"lives,omitempty"` // 1 where it was never resumed
	Hosts    HostCount `json:"hosts"`
	Pending  int       `json:"pending,omitempty"` // handlers on hosts that it left, and that have not run since
	Damage   string    `json:"damage,omitempty"`  // why its journal cannot be read
}

// HostCount counts hosts by the worst that became of them: one that failed is
// not among the changed.
type HostCount struct {
	OK          int `json:"ok"`
	Changed     int `json:"changed"`
	Failed      int `json:"failed"`
	Unreachable int `json:"unreachable"`
}

// CountHosts counts the hosts of a run by its recap.
func CountHosts(recap []runner.Recap) HostCount {
	var c HostCount
	for _, r := range recap {
		switch {
		case r.Unreachable > 0:
			c.Unreachable++
		case r.Failed > 0:
			c.Failed++
		case r.Changed > 0:
			c.Changed++
		default:
			c.OK++
		}
	}
	return c
}

// String has the worst first: what a narrow table cuts is the rest.
func (c HostCount) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{c.Unreachable, "unreachable"}, {c.Failed, "failed"}, {c.Changed, "changed"}, {c.OK, "ok"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// Runs lists runs in the order given. The error is that of writing.
func Runs(w io.Writer, rows []RunRow, o Options) error {
	t := NewTerminal(w, o)
	if len(rows) == 0 {
		t.printf(plain, "No runs yet.")
		return t.err
	}
	columns := []column{{head: "RUN"}, {head: "BEGAN"}, {head: "PLAYBOOK", shrinks: true}, {head: "BY", shrinks: true, spare: 1},
		{head: "STATE"}, {head: "HOSTS", shrinks: true}, {}}
	var lines []row
	for _, r := range rows {
		pending := ""
		if r.Pending > 0 {
			pending = strconv.Itoa(r.Pending)
			columns[len(columns)-1] = column{head: "PENDING", right: true}
		}
		state, tone := r.state()
		cells := []string{r.ID, when(r.Began, o.now()), r.Playbook, r.Who, state, r.Hosts.String(), pending}
		lines = append(lines, row{cells: cells, tone: tone})
	}
	t.table(o.Width, columns, lines)
	for _, r := range rows {
		if r.Damage != "" {
			t.printf(red, "%s: %s", r.ID, r.Damage)
		}
	}
	return t.err
}

func (r RunRow) state() (string, color) {
	if r.Damage != "" {
		return "damaged", red
	}
	state := r.State
	if r.Lives > 1 {
		state += fmt.Sprintf(" (life %d)", r.Lives)
	}
	switch r.State {
	case "failed", "died":
		return state, red
	case "interrupted", "running":
		return state, yellow
	case "done":
		return state, green
	}
	return state, plain
}
