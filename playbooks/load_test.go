package playbooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// parse reads a playbook whose files are in a fresh directory.
func parse(t *testing.T, text string) (*playbooks.Playbook, source.Errors) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "files"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "files", "motd"), []byte("hello\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.sh"), []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more.yml"), []byte("b: 2\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yml"), []byte("a: 1\na: 2\n"), 0o644))
	return playbooks.Parse(&source.File{Name: "x.yml", Data: []byte(text)}, dir)
}

func load(t *testing.T, text string) *playbooks.Play {
	t.Helper()
	book, errs := parse(t, text)
	require.NoError(t, errs.Err())
	return book.Plays[0]
}

// task reads a play of one task.
func task(t *testing.T, text string) *playbooks.Task {
	t.Helper()
	p := load(t, "- hosts: all\n  tasks:\n    - "+strings.ReplaceAll(text, "\n", "\n      "))
	return p.Tasks[0].(*playbooks.Task)
}

// scope is variables for a test.
type scope map[string]jinja.Value

func (s scope) Lookup(name string) (jinja.Value, bool) { v, ok := s[name]; return v, ok }

func TestPlayKeywords(t *testing.T) {
	p := load(t, `
- name: everything
  hosts: [web, "!web1"]
  gather_facts: no
  serial: [1, "30%"]
  max_fail_percentage: 20
  any_errors_fatal: true
  strategy: linear
  order: inventory
  become: yes
  become_user: app
  become_method: sudo
  become_flags: -H
  remote_user: root
  port: 2222
  connection: ssh
  environment: {A: 1}
  tags: a, b
  run_once: false
  ignore_errors: no
  no_log: no
  timeout: 1m
  vars: {a: 1}
  vars_files: more.yml
  pre_tasks: [{ping: }]
  tasks: [{ping: }]
  post_tasks: [{ping: }]
  handlers: [{name: h, ping: }]
`)
	assert.Equal(t, "everything", p.Name.String())
	assert.Equal(t, "web,!web1", p.Hosts.String())
	assert.Equal(t, []playbooks.Batch{{Count: 1}, {Percent: 30}}, p.Serial)
	assert.Equal(t, "20", p.MaxFailPercentage.String())
	assert.Equal(t, []string{"a", "b"}, p.Tags)
	assert.Equal(t, time.Minute, p.Timeout)
	assert.Equal(t, "x.yml:2:3", p.Pos.String())
	require.Len(t, p.Vars, 2)
	assert.Contains(t, p.Vars[0], "a")
	assert.Contains(t, p.Vars[1], "b")
	on, err := p.GatherFacts.On(scope{})
	require.NoError(t, err)
	assert.False(t, on)
	for _, list := range [][]playbooks.Node{p.PreTasks, p.Tasks, p.PostTasks} {
		require.Len(t, list, 1)
		assert.Equal(t, "ping", list[0].(*playbooks.Task).Title())
	}
	assert.Equal(t, "h", p.Handlers[0].Title())
}

func TestKeywordsAreInherited(t *testing.T) {
	p := load(t, `
- hosts: all
  become: yes
  become_user: play
  tags: play
  environment: {A: play}
  tasks:
    - block:
        - block:
            - name: inner
              ping:
              when: c
              tags: [task, play]
              environment: {A: task}
              vars: {y: 2}
          when: [b1, b2]
          become_user: block
      when: a
      tags: block
      vars: {x: 1}
      no_log: yes
      rescue:
        - ping:
      always:
        - ping:
    - name: after
      ping:
`)
	outer := p.Tasks[0].(*playbooks.Block)
	inner := outer.Tasks[0].(*playbooks.Block).Tasks[0].(*playbooks.Task)
	assert.Len(t, inner.When, 3)
	assert.Equal(t, []string{"play", "block", "task"}, inner.Tags)
	assert.Len(t, inner.Environment, 2)
	assert.Len(t, inner.Layers, 2)
	assert.Equal(t, "block", inner.BecomeUser.String())
	assert.NotNil(t, inner.NoLog)

	rescue := outer.Rescue[0].(*playbooks.Task)
	assert.Len(t, rescue.When, 1)
	assert.Equal(t, []string{"play", "block"}, rescue.Tags)

	after := p.Tasks[1].(*playbooks.Task)
	assert.Empty(t, after.When, "what a block says ends with the block")
	assert.Equal(t, []string{"play"}, after.Tags)
	assert.Nil(t, after.NoLog)
	assert.Len(t, after.Environment, 1)
}

func TestTaskKeywords(t *testing.T) {
	p := load(t, `
- hosts: all
  tasks:
    - name: try {{ item }}
      ansible.builtin.command: "true"
      loop: [1, 2]
      loop_control: {loop_var: n, index_var: i, label: "{{ n }}", pause: 2}
      register: result
      until: result.rc == 0
      retries: 5
      delay: "{{ wait }}"
      changed_when: false
      failed_when: ["result.rc != 0", "true"]
      notify: [h, topic]
      delegate_to: localhost
  handlers:
    - name: h
      command: "true"
    - command: "true"
      listen: topic
`)
	k := p.Tasks[0].(*playbooks.Task)
	assert.Equal(t, "command", k.Def.Name)
	assert.Equal(t, "x.yml:4:7", k.Pos.String())
	assert.Equal(t, "result", k.Register)
	assert.Equal(t, "n", k.LoopControl.Var)
	assert.Equal(t, "i", k.LoopControl.Index)
	assert.Equal(t, 2*time.Second, k.LoopControl.Pause)
	assert.Equal(t, "h", k.Notify[0].String())
	assert.Equal(t, []string{"topic"}, p.Handlers[1].Listen)
	items, err := k.Loop.Resolve(scope{})
	require.NoError(t, err)
	assert.Equal(t, []any{int64(1), int64(2)}, jinja.ToGo(items))
	v, err := k.ChangedWhen.Eval(scope{})
	require.NoError(t, err)
	assert.True(t, v.Known && !v.Holds)
	title, err := k.Name.Render(scope{"item": jinja.FromGo("it")})
	require.NoError(t, err)
	assert.Equal(t, "try it", title)
}

func TestMetaHasItsAction(t *testing.T) {
	assert.Equal(t, "flush_handlers", task(t, "meta: flush_handlers").Action)
	assert.Equal(t, "end_play", task(t, "meta: {action: end_play}").Action)
}

func TestLoadNamesThePathAndTheDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("site.yml", []byte("- hosts: all\n"), 0o600))
	book, errs := playbooks.Load("site.yml")
	require.NoError(t, errs.Err())
	assert.Equal(t, "site.yml", book.Path)
	assert.Equal(t, dir, book.Dir)

	_, errs = playbooks.Load("none.yml")
	assert.EqualError(t, errs.Err(), "playbook: open none.yml: no such file or directory")
}
