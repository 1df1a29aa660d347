package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
	"runbook/runner/plan"
)

func TestRoundTrip(t *testing.T) {
	p := newProject(t)
	in := p.gather(t, p.load(t).ran(t), ours)
	made := p.planned(t, in, runner.Summary{Changes: true})
	path := p.path("fix.plan")
	assert.False(t, plan.Is(path))
	digest, err := plan.Write(path, made, ours)
	require.NoError(t, err)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, digest)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.True(t, plan.Is(path))

	got, err := plan.Read(path)
	require.NoError(t, err)
	assert.Equal(t, digest, got.Digest)
	require.NoError(t, got.Verify(ours))
	require.NoError(t, got.Check(ours, p.gather(t, p.load(t), ours)))
	opened, err := got.Inputs(ours)
	require.NoError(t, err)
	assert.Equal(t, in.Digests(), opened.Digests())
	assert.Equal(t, in.Files, opened.Files)
	assert.JSONEq(t, `{"limit": "web"}`, string(opened.Settings))
	assert.Equal(t, `{"limit":"web"}`, string(got.Header.Settings))
	copied, err := plan.Write(p.path("copy.plan"), got, ours)
	require.NoError(t, err)
	assert.Equal(t, digest, copied, "a copy is the same plan")
	require.NoError(t, made.Sign(ours))
	assert.Equal(t, digest, made.Digest)

	made.Header.Settings = got.Header.Settings // that of the file has no space in it
	made.Work[0].Diffs[0].Want = strings.ToValidUTF8(made.Work[0].Diffs[0].Want, "\uFFFD")
	assert.Equal(t, made, got)

	assert.Equal(t, plan.Counts{OK: 1, Change: 1, Run: 1, Unknown: 1, Hosts: 2, Batches: 1, Handlers: []string{"restart web", "reload", "flush cache"}}, got.Summary)
	assert.Equal(t, []plan.Batch{{Play: 1, Name: "web", Batch: 1, Batches: 1, Hosts: []string{"node1", "node2"}}}, got.Header.Batches)
	work := got.Signed().Work
	assert.Len(t, work, 5)
	assert.Equal(t, runner.WouldChange, work[runner.Key{Play: 1, Task: "tasks/0", Host: "node1"}].Status)
	assert.Equal(t, runner.Digest{Steps: []string{"abc"}, Diffs: []string{"def"}}, work[runner.Key{Play: 1, Task: "tasks/0", Host: "node1"}].Digest)
	assert.Equal(t, runner.WouldRun, work[runner.Key{Play: 1, Task: "tasks/1", Host: "node2", Item: 2}].Status)
	assert.False(t, got.Signed().Replan)
}

// The same plan has the same digest, whichever host answered first; when and by
// whom it was made belongs to it.
func TestDigest(t *testing.T) {
	p := newProject(t)
	in := p.gather(t, p.load(t), ours)
	digest := func(change func(*plan.Plan)) string {
		made := p.planned(t, in, runner.Summary{})
		change(made)
		d, err := plan.Write(p.path("fix.plan"), made, ours)
		require.NoError(t, err)
		return d
	}
	same := digest(func(*plan.Plan) {})
	assert.Equal(t, same, digest(func(*plan.Plan) {}))

	var c plan.Collector
	records := verdicts()
	slices.Reverse(records[1:3]) // the two hosts of the first task
	slices.Reverse(records[3:6]) // of the second
	for _, r := range records {
		require.NoError(t, c.Put(t.Context(), r, false))
	}
	assert.Equal(t, same, digest(func(made *plan.Plan) {
		again, err := c.Plan(made.Header, in, runner.Summary{}, made.Pending, ours)
		require.NoError(t, err)
		*made = *again
	}), "the hosts answered in another order")

	for name, change := range map[string]func(*plan.Plan){
		"time":     func(p *plan.Plan) { p.Header.Created = noon.Add(1) },
		"who":      func(p *plan.Plan) { p.Header.By = "you@here" },
		"settings": func(p *plan.Plan) { p.Header.Settings = json.RawMessage(`{"limit":"all"}`) },
		"input":    func(p *plan.Plan) { p.Digests["inventory"] = "x" },
		"verdict":  func(p *plan.Plan) { p.Work[0].Status = runner.OK },
		"step":     func(p *plan.Plan) { p.Work[0].Steps[0] += " " },
		"order":    func(p *plan.Plan) { slices.Reverse(p.Work) },
		"pending":  func(p *plan.Plan) { p.Pending = nil },
		"sealed":   func(p *plan.Plan) { p.Sealed += "=" },
		"complete": func(p *plan.Plan) { p.Complete = false },
		"counts":   func(p *plan.Plan) { p.Summary.Change++ },
	} {
		assert.NotEqual(t, same, digest(change), name)
	}
}

// Whatever happens to a byte of the file, it is found out, unless the plan says
// the same as before.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "small.plan")
	small := &plan.Plan{
		Format: plan.Format, Header: plan.Header{Playbook: "a", Created: noon, By: "me", Version: "v1.0.0", Key: ours.ID(), Hosts: []string{"h"}, Settings: json.RawMessage(`{"n":1.50}`)},
		Digests: map[string]string{"inventory": "d"}, Complete: true, Sealed: "QQ==",
		Work: []runner.Outcome{{Key: runner.Key{Play: 1, Task: "tasks/0", Host: "h"}, Name: "<é>\ufffd", Status: runner.WouldChange, At: noon}},
	}
	_, err := plan.Write(path, small, ours)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	good, err := plan.Read(path)
	require.NoError(t, err)

	tried, passed := 0, 0
	try := func(damaged []byte, what string) {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		tried++
		got, err := plan.Read(path)
		if err == nil {
			err = got.Verify(ours)
		}
		if err == nil {
			passed++
			require.Equal(t, good, got, what)
			return
		}
		require.Contains(t, err.Error(), "plan again", what)
	}
	for i := range text {
		if len(bytes.TrimSpace(text[i:])) > 0 {
			try(text[:i], fmt.Sprintf("cut at byte %d", i))
		}
		for _, bit := range []byte{0x01, 0x02, 0x04, 0x10, 0x20, 0x80} {
			flipped := bytes.Clone(text)
			flipped[i] ^= bit
			try(flipped, fmt.Sprintf("byte %d %q became %q", i, text[i], flipped[i]))
		}
		try(slices.Concat(text[:i], text[i+1:]), fmt.Sprintf("without byte %d", i))
		try(slices.Concat(text[:i], []byte("0"), text[i:]), fmt.Sprintf("0 before byte %d", i))
	}
	for _, more := range []string{"{}", "x", "\x00"} {
		try(append(bytes.Clone(text), more...), "more behind it")
	}
	t.Logf("%d bytes, %d changes; after %d of them, in white space, the plan said the same", len(text), tried, passed)
}

func TestReadRefuses(t *testing.T) {
	p := newProject(t)
	made := p.planned(t, p.gather(t, p.load(t), ours), runner.Summary{})
	path := p.path("fix.plan")
	_, err := plan.Write(path, made, ours)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	tests := map[string]struct{ old, new, want string }{
		"edited":        {`"task": "tasks/0"`, `"task": "tasks/9"`, "was edited or damaged"},
		"a name twice":  {`"by": "me@here"`, `"by": "you@here", "by": "me@here"`, "was edited or damaged"},
		"another case":  {`"complete": true`, `"Complete": true`, "was edited or damaged"},
		"newer":         {`"runbook plan 1"`, `"runbook plan 2"`, `made by a newer one: update this one`},
		"another thing": {`"runbook plan 1"`, `"runbook journal 1"`, "no plan, or a damaged one"},
		"no format":     {`"format"`, `"fromat"`, "no plan, or a damaged one"},
		"added":         {`"complete": true`, `"complete": true, "more": 1`, "was edited or damaged"},
		"deep":          {`"complete": true`, `"complete": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "the plan is damaged"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(text), tt.old)
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), tt.old, tt.new, 1)), 0o600))
			_, err := plan.Read(path)
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, path)
		})
	}
	t.Run("its lines broken otherwise", func(t *testing.T) {
		var b bytes.Buffer
		require.NoError(t, json.Compact(&b, text))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		got, err := plan.Read(path)
		require.NoError(t, err)
		assert.NoError(t, got.Verify(ours))
	})
	t.Run("a directory", func(t *testing.T) {
		_, err := plan.Read(p.dir)
		assert.ErrorContains(t, err, "not a regular file")
	})
	t.Run("nothing", func(t *testing.T) {
		_, err := plan.Read(p.path("no.plan"))
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

// Of one format, what a later version adds is not overlooked.
func TestReadOfALaterVersion(t *testing.T) {
	p := newProject(t)
	made := p.planned(t, p.gather(t, p.load(t), ours), runner.Summary{})
	made.Header.Version = "v1.9.0"
	path := p.path("fix.plan")
	_, err := plan.Write(path, made, ours)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text = bytes.Replace(text, []byte(`"complete": true`), []byte(`"complete": true, "unless": "noon"`), 1)
	_, digest, found := strings.Cut(readError(t, path, text), "and it is \"")
	require.True(t, found)
	text = bytes.Replace(text, []byte(made.Digest), []byte(digest[:len(made.Digest)]), 1)
	assert.Contains(t, readError(t, path, text), `what this version of runbook does not know (json: unknown field "unless"): it was made by runbook v1.9.0`)
}

func readError(t *testing.T, path string, text []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err := plan.Read(path)
	require.Error(t, err)
	return err.Error()
}

func TestWriteReplacesPlansOnly(t *testing.T) {
	p := newProject(t)
	made := p.planned(t, p.gather(t, p.load(t), ours), runner.Summary{})
	path := p.path("fix.plan")
	for range 2 {
		_, err := plan.Write(path, made, ours)
		require.NoError(t, err)
	}
	entries, err := filepath.Glob(p.path(".fix.plan*"))
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing is left over")

	p.write(t, "empty", "")
	assert.NoError(t, plan.Free(p.path("empty")))
	require.NoError(t, os.Symlink(path, p.path("link")))
	for name, want := range map[string]string{
		p.book:                 "is not a plan",
		p.dir:                  "is not a regular file",
		p.path("link"):         "is not a regular file",
		p.path("none/x.plan"):  "no such file or directory",
		p.path("hosts.yml/x"):  "not a directory",
		p.path("more.yml/../"): "is not a regular file",
	} {
		before, _ := os.ReadFile(p.book)
		_, err := plan.Write(name, made, ours)
		assert.ErrorContains(t, err, want, name)
		after, _ := os.ReadFile(p.book)
		assert.Equal(t, before, after)
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		"{\n  \"format\": \"runbook plan 1\", ":        true,
		`{"a":{"format":1},"format":"runbook plan 7"}`: true,
		`{"format":"runbook journal 1"}`:               false,
		`{"format":["runbook plan 1"]}`:                false,
		"- hosts: all\n":                               false,
		"{":                                            false,
		"":                                             false,
		`["runbook plan 1"]`:                           false,
	} {
		path := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		assert.Equal(t, want, plan.Is(path), text)
	}
}

// A plan of a hundred tasks on a hundred hosts.
func BenchmarkWriteAndRead(b *testing.B) {
	big := &plan.Plan{Format: plan.Format, Header: plan.Header{Key: ours.ID()}}
	for i := range 10_000 {
		big.Work = append(big.Work, runner.Outcome{
			Key: runner.Key{Play: 1, Task: fmt.Sprintf("tasks/%d", i/100), Host: fmt.Sprintf("node%d", i%100)}, Name: "install", Module: "apt",
			Pos: "site.yaml:1:1", Status: runner.WouldChange, Steps: []string{"apt-get install -y ipset=7.15-1"}, At: noon,
			Diffs: []modules.Diff{{What: "package ipset", Have: "6.38-1", Want: "7.15-1"}}, Digest: runner.Digest{Steps: []string{"0123456789abcdef"}},
		})
	}
	path := filepath.Join(b.TempDir(), "big.plan")
	for b.Loop() {
		_, err := plan.Write(path, big, ours)
		require.NoError(b, err)
		got, err := plan.Read(path)
		require.NoError(b, err)
		require.NoError(b, got.Verify(ours))
	}
}
