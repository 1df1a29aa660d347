package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// sandbox is this machine as a host: real shells look at a folder of its own and
// change it. Its packages and units are the stubs in testdata/chain.
type sandbox struct {
	*world
	dir   string
	stubs string
}

func (h *sandbox) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	return h.Do(ctx, "", r)
}

func (h *sandbox) Do(ctx context.Context, _ string, r modules.Run) (modules.Output, error) {
	argv := r.Argv
	if r.Shell != "" {
		argv = []string{"/bin/sh", "-c", r.Shell}
	}
	c := exec.CommandContext(ctx, "/usr/bin/env", argv...)
	c.Env = append(os.Environ(), "PATH="+h.stubs+":"+os.Getenv("PATH"), "STATE="+h.dir+"/.state", "LC_ALL=C")
	c.Dir = cmp.Or(r.Dir, "/")
	c.Stdin = strings.NewReader(r.Stdin)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return modules.Output{}, err
	}
	return modules.Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: c.ProcessState.ExitCode()}, nil
}

func (h *sandbox) ReadFile(_ context.Context, name string) (modules.File, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return modules.File{}, nil
	}
	if err != nil {
		return modules.File{}, err
	}
	data, err := os.ReadFile(name)
	return modules.File{Exists: true, Data: data, Size: info.Size(), Mode: info.Mode()}, err
}

func (h *sandbox) Write(_ context.Context, w modules.Write) error {
	mode := w.Mode
	if info, err := os.Stat(w.Path); mode == 0 && err == nil {
		mode = info.Mode().Perm()
	}
	if mode == 0 {
		mode = 0o644
	}
	if err := os.WriteFile(w.Path+".new", w.Data, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(w.Path+".new", mode); err != nil {
		return err
	}
	return os.Rename(w.Path+".new", w.Path)
}

func (h *sandbox) Remove(_ context.Context, r modules.Remove) error {
	if r.Recursive {
		return os.RemoveAll(r.Path)
	}
	return os.Remove(r.Path)
}

func (h *sandbox) As(context.Context, Become) (Machine, error) { return h, nil }

// files lists what is in the sandbox, with modes and contents.
func (h *sandbox) files(t *testing.T) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(h.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(name, h.dir) + " " + info.Mode().String()
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += " " + string(data)
		}
		all = append(all, line)
		return nil
	}))
	return all
}

// A chain of tasks is planned as it is then done: what each verdict says, task by
// task, the apply does, and a second plan finds nothing left.
func TestChainsArePlannedAsTheyAreDone(t *testing.T) {
	stubs, err := filepath.Abs("testdata/chain")
	require.NoError(t, err)
	root := t.TempDir()
	for i, c := range []struct {
		name  string
		tasks string // DIR is the sandbox
		plan  string // verdict of each task
		again string // of the second plan; ok for all where empty
	}{
		{name: "a directory, a file in it, its mode", plan: "change change change", tasks: `
  - file: {path: DIR/app/conf, state: directory, mode: "0750"}
  - copy: {content: "a\n", dest: DIR/app/conf/app.ini}
  - file: {path: DIR/app/conf/app.ini, mode: "0600"}
`, again: "ok ok ok"},
		{name: "the same twice", plan: "change ok change ok", tasks: `
  - file: {path: DIR/d, state: directory, mode: "0700"}
  - file: {path: DIR/d, state: directory, mode: "0700"}
  - copy: {content: x, dest: DIR/d/x, mode: "0640"}
  - copy: {content: x, dest: DIR/d/x, mode: "0640"}
`},
		{name: "written over, and over", plan: "change change change", again: "change change ok", tasks: `
  - copy: {content: one, dest: DIR/old}
  - copy: {content: two, dest: DIR/old}
  - copy: {content: two, dest: DIR/old, mode: "0640"}
`},
		{name: "removed and made anew", plan: "change change ok change", again: "change change ok change", tasks: `
  - file: {path: DIR/full, state: absent}
  - file: {path: DIR/full, state: directory}
  - file: {path: DIR/full/x, state: absent}
  - copy: {content: new, dest: DIR/full/y}
`},
		{name: "a link to what is made, and through it", plan: "change change change change ok", tasks: `
  - file: {path: DIR/releases/2, state: directory}
  - file: {path: DIR/current, src: releases/2, state: link}
  - copy: {content: x, dest: DIR/current/x}
  - file: {path: DIR/releases/2/x, mode: "0600"}
  - file: {path: DIR/current/x, mode: "0600"}
`},
		{name: "by two names of one thing", plan: "change change ok", tasks: `
  - file: {path: DIR/tied/new, state: directory, mode: "0755"}
  - copy: {content: x, dest: DIR/full/new/x}
  - copy: {content: x, dest: DIR/tied/new/x}
`},
		{name: "what all get below", plan: "change change change ok", again: "ok change change ok", tasks: `
  - file: {path: DIR/d, state: directory, mode: "0750"}
  - copy: {content: x, dest: DIR/d/x, mode: "0644"}
  - file: {path: DIR/d, state: directory, recurse: true, mode: "0750"}
  - file: {path: DIR/d/x, mode: "0750"}
`},
		{name: "what stat finds decides", plan: "change ok change skipped", again: "ok ok ok skipped", tasks: `
  - copy: {content: x, dest: DIR/flag}
  - {stat: {path: DIR/flag}, register: st}
  - {copy: {content: "{{ st.stat.checksum }}", dest: DIR/sum}, when: st.stat.exists}
  - {copy: {content: no, dest: DIR/none}, when: not st.stat.exists or st.stat.isdir}
`},
		{name: "what is gone is not found", plan: "change ok change", again: "ok ok ok", tasks: `
  - file: {path: DIR/old, state: absent}
  - {stat: {path: DIR/old}, register: st}
  - {copy: {content: gone, dest: DIR/note}, when: not st.stat.exists}
`},
		{name: "guards see what is made", plan: "change ok ok run", again: "ok ok ok run", tasks: `
  - copy: {content: x, dest: DIR/made.done}
  - command: {cmd: touch DIR/never, creates: DIR/made.done}
  - command: {cmd: touch DIR/never, creates: DIR/*.done}
  - command: {cmd: touch DIR/ran, removes: DIR/made.done}
`},
		{name: "waited for", plan: "change ok ok", tasks: `
  - copy: {content: "is ready", dest: DIR/log}
  - wait_for: {path: DIR/log, search_regex: ready}
  - wait_for: {path: DIR/none, state: absent}
`},
		{name: "install, configure, start", plan: "change change change ok ok", tasks: `
  - apt: {name: web}
  - copy: {content: "listen 80", dest: DIR/web.conf}
  - service: {name: web, state: started, enabled: true}
  - apt: {name: [web, weblib]}
  - service: {name: web, state: started, enabled: true}
`},
		{name: "install, stop, remove", plan: "change change change change change", again: "change change change change change", tasks: `
  - apt: {name: web}
  - service: {name: web, state: started}
  - service: {name: web, state: stopped}
  - apt: {name: web, state: absent}
  - apt: {name: weblib, state: absent}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &sandbox{world: &world{}, dir: fmt.Sprintf("%s/%d", root, i), stubs: stubs}
			require.NoError(t, os.MkdirAll(h.dir+"/.state/package", 0o755))
			require.NoError(t, os.MkdirAll(h.dir+"/.state/unit", 0o755))
			require.NoError(t, os.MkdirAll(h.dir+"/full", 0o755))
			require.NoError(t, os.WriteFile(h.dir+"/old", []byte("old"), 0o644))
			require.NoError(t, os.WriteFile(h.dir+"/full/x", []byte("x"), 0o644))
			require.NoError(t, os.Symlink("full", h.dir+"/tied"))
			here := func(r *Runner, _ *fleet) {
				r.Dial = func(context.Context, Address) (Machine, error) { return h, nil }
			}
			book := "- hosts: h1\n  gather_facts: false\n  tasks:" + strings.ReplaceAll(c.tasks, "DIR", h.dir)
			before := h.files(t)
			planned := carry(t, book, planning, here)
			require.NoError(t, planned.err)
			assert.Equal(t, c.plan, strings.Join(statuses(planned), " "), "%v", planned.messages())
			require.Equal(t, before, h.files(t), "a plan changes nothing")

			done := carry(t, book, here)
			require.NoError(t, done.err)
			assert.Equal(t, asDone(statuses(planned)), statuses(done), "%v", done.messages())
			requireSameSteps(t, planned, done)

			again := c.again
			if again == "" {
				again = strings.TrimSpace(strings.Repeat("ok ", len(statuses(planned))))
			}
			assert.Equal(t, again, strings.Join(statuses(carry(t, book, planning, here)), " "))
		})
	}
}

// What a plan cannot know of a path it says, and makes nothing of it up.
func TestChainsThatAPlanCannotKnow(t *testing.T) {
	h := &sandbox{world: &world{}, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(h.dir+"/old", []byte("old"), 0o644))
	got := carry(t, strings.ReplaceAll(`
- hosts: h1
  gather_facts: false
  tasks:
  - {name: make, command: {cmd: true, creates: DIR/made}, register: made}
  - {name: made, stat: {path: DIR/made}, register: st}
  - {name: use, copy: {content: x, dest: DIR/use}, when: st.stat.exists}
  - {name: used, stat: {path: DIR/use}}
  - {name: touch, file: {path: DIR/new, state: touch}}
  - {name: new, file: {path: DIR/new, state: file}}
  - {name: stat, stat: {path: DIR/new}, register: new}
  - {name: time, copy: {content: "{{ new.stat.mtime }}", dest: DIR/time}}
  - {name: size, copy: {content: "{{ new.stat.size }}", dest: DIR/size}}
  - {name: old, file: {path: DIR/old, state: absent}, when: made.rc == 0}
  - {name: keep, copy: {content: old, dest: DIR/old}}
  - {name: other, copy: {content: y, dest: DIR/y}}
`, "DIR", h.dir), planning, func(r *Runner, _ *fleet) {
		r.Dial = func(context.Context, Address) (Machine, error) { return h, nil }
	})
	require.NoError(t, got.err)
	const unknown = " h1 known after apply"
	assert.Equal(t, []string{"make h1 run", "made" + unknown, "use" + unknown, "used" + unknown, "touch h1 run", "new h1 ok", "stat h1 ok",
		"time" + unknown, "size h1 change", "old" + unknown, "keep" + unknown, "other h1 change"}, got.lines(), "%v", got.messages())
	assert.Nil(t, got.result("stat", "h1").Vars["stat"].(map[string]any)["mtime"])
}

// Nobody here may have a user made, so this chain is only planned.
func TestAFileOfAUserThatIsYetToBeMade(t *testing.T) {
	h := &sandbox{world: &world{}, dir: t.TempDir()}
	require.NoError(t, os.Mkdir(h.dir+"/sub", 0o755))
	got := carry(t, strings.ReplaceAll(`
- hosts: h1
  gather_facts: false
  tasks:
  - {name: group, group: {name: runbook-test}}
  - {name: user, user: {name: runbook-test, group: runbook-test}}
  - {name: file, copy: {content: x, dest: DIR/x, owner: runbook-test, group: runbook-test}}
  - {name: again, file: {path: DIR/x, owner: runbook-test}}
  - {name: below, file: {path: DIR/sub, state: directory, recurse: true, owner: runbook-test}}
`, "DIR", h.dir), planning, func(r *Runner, _ *fleet) {
		r.Dial = func(context.Context, Address) (Machine, error) { return h, nil }
	})
	require.NoError(t, got.err)
	assert.Equal(t, []string{"group h1 change", "user h1 change", "file h1 change", "again h1 ok", "below h1 change"}, got.lines(), "%v", got.messages())
}

func statuses(r ran) []string {
	var all []string
	for _, e := range r.events {
		if d, ok := e.(TaskDone); ok {
			all = append(all, string(d.Result.Status))
		}
	}
	return all
}

// asDone is what an apply reports of what a plan has said.
func asDone(verdicts []string) []string {
	all := slices.Clone(verdicts)
	for i, v := range all {
		if v == string(WouldChange) || v == string(WouldRun) {
			all[i] = string(Changed)
		}
	}
	return all
}

// requireSameSteps holds the steps of each task that were planned against those
// that were taken.
func requireSameSteps(t *testing.T, planned, done ran) {
	t.Helper()
	steps := func(r ran) [][]string {
		var all [][]string
		for _, e := range r.events {
			if d, ok := e.(TaskDone); ok {
				var lines []string
				for _, s := range d.Result.Change.Steps {
					lines = append(lines, s.String())
				}
				all = append(all, lines)
			}
		}
		return all
	}
	assert.Equal(t, steps(done), steps(planned))
}
