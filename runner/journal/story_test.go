package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
)

const runDir = "runs/x"

var began = time.Date(2026, 11, 23, 0, 45, 12, 0, time.UTC)

func clock(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }

func aHead() Header {
	return Header{
		Run: "20261123-004512-k3f9", Turn: 7, Playbook: "playbooks/site.yaml", Args: json.RawMessage(`{"limit":"web"}`),
		Inputs: map[string]string{"playbooks/site.yaml": "sha256:aa"}, Inventory: "sha256:bb", Version: "1.2.3", Who: "ann@desk", PID: 42, At: clock(0),
	}
}

func aResumption(turn int) Resumed {
	return Resumed{Turn: turn, Who: "bob@desk", PID: 43, Version: "1.2.3", At: clock(100)}
}

func key(host string, n int) runner.Key {
	return runner.Key{Play: 1, Task: fmt.Sprintf("tasks/%d", n), Host: host}
}

func anIntention(host string, n int) runner.Intent {
	return runner.Intent{Key: key(host, n), Name: "Upgrade", Of: 1, Command: "apt-get install <ipset>", ID: fmt.Sprintf("id%d", n), Seen: json.RawMessage(`{"boot":"b1"}`), At: clock(10 + n)}
}

func aResult(host string, n int) runner.Outcome {
	return runner.Outcome{
		Key: key(host, n), Name: "Upgrade", Module: "apt", Pos: "site.yaml:4:7", Status: runner.Changed, Changed: true,
		Diffs: []modules.Diff{{What: "package ipset", Have: "7.1", Want: "7.2"}}, Steps: []string{"apt-get install ipset=7.2"},
		Notified: []runner.Called{{Task: "handlers/0", Name: "Restart"}}, Value: json.RawMessage(`{"rc":0,"stdout":"é"}`), Took: time.Second, At: clock(20 + n),
	}
}

func aDrop() Dropped {
	return Dropped{Playbook: "playbooks/site.yaml", Play: "Nodes", Handler: "Restart", Host: "web2", Who: "ann@desk", At: clock(90)}
}

// step is one thing that a story does, and what a journal should say of it.
type step struct {
	record  any
	durable bool
}

// lives is a run with all there is: two lives, files beside, records that are
// durable and records that are not.
func lives() [][]step {
	noisy := aResult("web1", 1)
	noisy.Stdout, noisy.Stderr = "Setting up ipset\n", "warning\n"
	large := aResult("web2", 1)
	large.Value, large.Facts = json.RawMessage(`"`+strings.Repeat("v", inlineCap)+`"`), json.RawMessage(`{"a":1}`)
	again := aResult("web1", 1)
	again.At, again.Stdout = clock(120), "again\n"
	return [][]step{{
		{aHead(), true},
		{runner.Adopted{Pending: []runner.Notification{{Handler: "Restart", Host: "web9"}}, At: clock(1)}, true},
		{runner.BatchBegun{Play: 1, Name: "Nodes", Batch: 1, Batches: 2, Hosts: []string{"web1", "web2"}, At: clock(1)}, false},
		{anIntention("web1", 1), true},
		{noisy, true},
		{anIntention("web2", 1), true},
		{large, true},
		{runner.Halted{Reason: "interrupted", At: clock(30)}, true},
		{aDrop(), true},
	}, {
		{aResumption(8), true},
		{anIntention("web1", 2), true},
		{again, false},
		{aResult("web1", 2), true},
		{runner.Ended{Recap: []runner.Recap{{Host: "web1", OK: 2, Changed: 1}}, Summary: runner.Summary{Changes: true}, Took: time.Minute, At: clock(130)}, true},
	}}
}

// tale is what came of a story that a disk may have ended.
type tale struct {
	told  []any // what was put, in order
	acked int   // so many of them are durable, by the journal's word
	err   error // what ended it
	after error // what a Put after that said
}

// tell lives the lives on a disk, and stops at the first error.
func tell(m *memory, lives [][]step) *tale {
	t := &tale{}
	for i, life := range lives {
		w, err := t.begin(m, i, life[0].record)
		if err != nil {
			t.err = err
			return t
		}
		for _, s := range life[1:] {
			t.told = append(t.told, s.record)
			if t.err = put(w, s); t.err != nil {
				t.after = w.Put(context.Background(), runner.Halted{Reason: "after the end"}, true)
				_ = w.Close()
				return t
			}
			if s.durable {
				t.acked = len(t.told)
			}
		}
		if t.err = w.Close(); t.err != nil {
			return t
		}
		t.acked = len(t.told)
	}
	return t
}

func (t *tale) begin(m *memory, life int, opening any) (w *Writer, err error) {
	t.told = append(t.told, opening)
	if life == 0 {
		w, err = create(m.open, runDir, opening.(Header))
	} else {
		w, _, err = reopen(m.open, runDir, opening.(Resumed))
	}
	if err == nil {
		t.acked = len(t.told)
	}
	return w, err
}

func put(w *Writer, s step) error {
	if d, ok := s.record.(Dropped); ok {
		return w.Drop(d)
	}
	return w.Put(context.Background(), s.record.(runner.Record), s.durable)
}

// flat is a journal's contents in the order of a story.
func flat(t *testing.T, c *Contents) []any {
	t.Helper()
	all := []any{c.Header}
	for i, l := range c.Lives {
		if i > 0 {
			all = append(all, *l.Resumed)
		}
		for _, r := range l.Records {
			if o, ok := r.(runner.Outcome); ok {
				out, stderr, err := c.Output(o)
				if err == nil {
					o.Stdout, o.Stderr = out, stderr
				}
				r = o
			}
			all = append(all, r)
		}
		for _, d := range l.Drops {
			all = append(all, d)
		}
	}
	return all
}

// bare is a record without what steps printed, which no sync protects.
func bare(records []any) []any {
	out := make([]any, len(records))
	for i, r := range records {
		if o, ok := r.(runner.Outcome); ok {
			o.Stdout, o.Stderr = "", ""
			r = o
		}
		out[i] = r
	}
	return out
}

// smallRun is the journal of a small run, and its disk.
func smallRun(t *testing.T) (data []byte, m *memory) {
	t.Helper()
	m = newMemory("runs")
	tale := tell(m, [][]step{{
		{aHead(), true},
		{anIntention("web1", 1), true},
		{aResult("web1", 1), true},
		{runner.Ended{At: clock(30)}, true},
	}})
	require.NoError(t, tale.err)
	return bytes.Clone(m.names[runDir+"/"+fileName].data), m
}

// holding is a disk with a journal of these bytes.
func holding(data []byte) *memory {
	m := newMemory("runs", runDir)
	m.put(runDir+"/"+fileName, data)
	return m
}
