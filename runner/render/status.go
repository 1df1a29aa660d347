package render

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"runbook/runner"
)

// StatusRow is what a host was last found to be. The counts are those of the
// run that saw it last.
type StatusRow struct {
	Host        string    `json:"host"`
	Found       string    `json:"found"` // ok, changed, failed, unreachable
	OK          int       `json:"ok"`
	Changed     int       `json:"changed"`
	Failed      int       `json:"failed"`
	Unreachable int       `json:"unreachable"`
	At          time.Time `json:"at"`
	Run         string    `json:"run"`
	Playbook    string    `json:"playbook"`
}

// Status shows what hosts were last found to be, those with the same in one
// line, and the handlers that are pending. The error is that of writing.
func Status(w io.Writer, rows []StatusRow, pending []runner.Notification, o Options) error {
	t := NewTerminal(w, o)
	if len(rows) == 0 {
		t.printf(plain, "No run has seen a host yet.")
	} else {
		columns := []column{{head: "HOST", shrinks: true}, {head: "FOUND"}, {head: "OK", right: true, spare: 2}, {head: "CHANGED", right: true, spare: 3},
			{head: "FAILED", right: true}, {head: "WHEN"}, {head: "RUN"}, {head: "PLAYBOOK", shrinks: true, spare: 1}}
		t.table(o.Width, columns, foldRows(rows, o))
	}
	if len(pending) > 0 {
		t.printf(plain, "")
		t.left(pending)
	}
	return t.err
}

// foldRows is one line for all hosts of which the same would be said, in the
// order of the names.
func foldRows(rows []StatusRow, o Options) []row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b StatusRow) int { return byNumber(a.Host, b.Host) })
	hosts := map[string][]string{}
	var lines []row
	var keys []string
	for _, r := range rows {
		tone := green
		switch r.Found {
		case "failed", "unreachable":
			tone = red
		case "changed":
			tone = yellow
		}
		cells := []string{"", r.Found, strconv.Itoa(r.OK), strconv.Itoa(r.Changed), strconv.Itoa(r.Failed + r.Unreachable),
			when(r.At, o.now()), r.Run, r.Playbook}
		k := strings.Join(cells, "\x00")
		if hosts[k] == nil {
			lines, keys = append(lines, row{cells: cells, tone: tone}), append(keys, k)
		}
		hosts[k] = append(hosts[k], r.Host)
	}
	for i, k := range keys {
		lines[i].cells[0] = strings.Join(foldNames(hosts[k]), ", ")
	}
	return lines
}

// Label is a line of a heading: what a run or a plan is, who made it, when.
type Label struct{ Name, Text string }

// Heading prints labels above what they are about. An empty text has no line.
// The error is that of writing.
func Heading(w io.Writer, labels []Label, o Options) error {
	t := NewTerminal(w, o)
	var rows []row
	for _, l := range labels {
		if l.Text != "" {
			rows = append(rows, row{cells: []string{l.Name + ":", l.Text}})
		}
	}
	t.table(0, []column{{}, {}}, rows)
	return t.err
}

// When is a time as the tables have it: short, in the zone of o.Now, with its
// age.
func When(at time.Time, o Options) string { return when(at, o.now()) }
