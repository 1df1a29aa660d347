package plan_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/inventory"
	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/vars"
	"runbook/runner"
	"runbook/runner/plan"
)

const ours, theirs = testKey("ours"), testKey("theirs")

// project is a directory with a playbook and all that it is made of.
type project struct {
	dir, book, inventory string
	extra                []string
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), extra: []string{"release=7", "@more.yml"}}
	p.book, p.inventory = p.path("books/site.yaml"), p.path("hosts.yml")
	p.write(t, "books/site.yaml", `- hosts: web
  gather_facts: false
  vars_files: [vars.yml]
  tasks:
  - copy: {src: motd, dest: /etc/motd}
  - copy: {src: "{{ which }}", dest: /etc/issue}
  - script: setup.sh
`)
	p.write(t, "books/vars.yml", "which: issue\n")
	p.write(t, "books/files/motd", "hello\n")
	p.write(t, "books/files/issue", "Debian\n")
	p.write(t, "books/setup.sh", "#!/bin/sh\n")
	p.write(t, "books/group_vars/web.yml", "port: 80\n")
	p.write(t, "hosts.yml", "web:\n  hosts:\n    node1: {rack: a}\n    node2: {rack: b}\n")
	p.write(t, "host_vars/node1.yml", "spare: true\n")
	p.write(t, "more.yml", "release: 8\nmode: fast\n")
	return p
}

func (p *project) path(name string) string { return filepath.Join(p.dir, name) }

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(p.path(name)), 0o700))
	require.NoError(t, os.WriteFile(p.path(name), []byte(text), 0o700))
}

// loaded is what the command line makes of the project.
type loaded struct {
	book  *playbooks.Playbook
	inv   *inventory.Inventory
	extra vars.Layer
}

func (p *project) load(t *testing.T) loaded {
	t.Helper()
	t.Chdir(p.dir) // -e @more.yml is relative
	book, errs := playbooks.Load(p.book)
	require.NoError(t, errs.Err())
	inv, errs := inventory.Load(t.Context(), []string{p.inventory})
	require.NoError(t, errs.Err())
	inv, errs = inv.Beside(book.Dir)
	require.NoError(t, errs.Err())
	extra, errs := vars.Extra(p.extra)
	require.NoError(t, errs.Err())
	return loaded{book, inv, extra}
}

// ran renders every task's arguments, as a run does.
func (l loaded) ran(t *testing.T) loaded {
	t.Helper()
	for _, play := range l.book.Plays {
		for _, node := range play.Tasks {
			_, err := node.(*playbooks.Task).Module(scope{})
			require.NoError(t, err)
		}
	}
	return l
}

func (p *project) gather(t *testing.T, l loaded, key plan.Key) plan.Inputs {
	t.Helper()
	in, err := plan.Gather(p.dir, l.book, l.inv, l.extra, json.RawMessage(`{"limit":"web"}`), key)
	require.NoError(t, err)
	return in
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// verdicts are what a plan of the project found.
func verdicts() []runner.Record {
	at := func(host, task string, status runner.Status) runner.Outcome {
		return runner.Outcome{
			Key: runner.Key{Play: 1, Task: task, Host: host}, Name: "task <" + task + ">", Module: "copy", Pos: "books/site.yaml:5:5", Status: status, At: noon,
		}
	}
	change := at("node1", "tasks/0", runner.WouldChange)
	change.Changed = true
	change.Diffs = []modules.Diff{{What: "/etc/motd", Have: "", Want: "hello\n\x1b[1m & \"more\"\xff", Text: true}}
	change.Steps = []string{"write /etc/motd"}
	change.Digest = runner.Digest{Steps: []string{"abc"}, Diffs: []string{"def"}}
	change.Notified = []runner.Called{{Task: "handlers/0", Name: "restart web"}, {Task: "handlers/1", Name: "reload", May: true}}
	first, second := at("node2", "tasks/1", runner.OK), at("node2", "tasks/1", runner.WouldRun)
	first.Item, second.Item = 1, 2
	return []runner.Record{
		runner.BatchBegun{Play: 1, Name: "web", Batch: 1, Batches: 1, Hosts: []string{"node1", "node2"}, At: noon},
		at("node2", "tasks/0", runner.OK), change,
		second, first, at("node1", "tasks/1", runner.Unknown),
		runner.Ended{At: noon},
	}
}

// planned is a plan of the project.
func (p *project) planned(t *testing.T, in plan.Inputs, sum runner.Summary, records ...runner.Record) *plan.Plan {
	t.Helper()
	var c plan.Collector
	for _, r := range append(verdicts(), records...) {
		require.NoError(t, c.Put(t.Context(), r, false))
	}
	pending := []runner.Notification{{Playbook: "books/site.yaml", Play: "web", Handler: "flush cache", Host: "node2", By: "old", Run: "r1", At: noon}}
	made, err := c.Plan(plan.Header{Playbook: "books/site.yaml", By: "me@here", Created: noon, Settings: json.RawMessage(`{"limit": "web"}`)}, in, sum, pending, ours)
	require.NoError(t, err)
	return made
}

// pipe puts a pipe, which nobody writes into, in a file's place.
func (p *project) pipe(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.Remove(p.path(name)))
	require.NoError(t, syscall.Mkfifo(p.path(name), 0o600))
}
