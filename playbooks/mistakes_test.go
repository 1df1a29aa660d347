package playbooks_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each mistake is one play. The text stands at line 1; tasks at column 7.
func TestMistakesArePositioned(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"not a list":                {"hosts: all", `x.yml:1:1: a playbook is a list of plays, found a mapping; start a play with "- hosts: ..."`},
		"empty":                     {"", `x.yml:1:1: a playbook is a list of plays, found nothing; start a play with "- hosts: ..."`},
		"no play":                   {"[]", `x.yml:1:1: the playbook has no play; start one with "- hosts: ..."`},
		"play is text":              {"- all", `x.yml:1:3: a play is a mapping of keywords, found text; start it with "hosts:"`},
		"hosts missing":             {"- tasks: []", `x.yml:1:3: "hosts" is missing in the play; name hosts or groups, or "all"`},
		"hosts misspelt":            {"- host: all", `x.yml:1:3: unknown keyword "host" in a play; did you mean "hosts"?`},
		"hosts empty":               {"- hosts: ''", `x.yml:1:10: "hosts" is empty; name hosts or groups, or "all"`},
		"unknown keyword":           {"- hosts: all\n  whne: x", `x.yml:2:3: unknown keyword "whne" in a play; allowed: any_errors_fatal, become`},
		"roles":                     {"- hosts: all\n  roles: [x]", `x.yml:2:3: keyword "roles" is not supported yet in a play`},
		"strategy":                  {"- hosts: all\n  strategy: free", `x.yml:2:13: strategy "free" is not supported yet; want "linear"`},
		"serial":                    {"- hosts: all\n  serial: 0", `x.yml:2:11: "serial" wants a number of hosts or a percentage such as "30%", found "0"`},
		"serial in a list":          {"- hosts: all\n  serial: [1, x]", `x.yml:2:15: "serial" wants a number of hosts`},
		"flag":                      {"- hosts: all\n  become: maybe", `x.yml:2:11: "become" wants yes or no, found "maybe"`},
		"variable name":             {"- hosts: all\n  vars: {a-b: 1}", `x.yml:2:10: "a-b" cannot be the name of a variable; use letters, digits and underscores`},
		"vars_files missing":        {"- hosts: all\n  vars_files: [none.yml]", `x.yml:2:16: variables: open`},
		"vars_files with a mistake": {"- hosts: all\n  vars_files: bad.yml", `bad.yml:2:1: key "a" stands here twice`},
		"template in vars":          {"- hosts: all\n  vars: {a: '{{ 1 + }}'}", `x.yml:2:`},
		"template in a name":        {"- hosts: all\n  name: '{{ x'", `x.yml:2:`},
		"duplicate key":             {"- hosts: all\n  hosts: web", `x.yml:2:3: key "hosts" stands here twice; the first is at x.yml:1:3`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := parse(t, tt.text)
			require.Len(t, errs, 1)
			assert.Contains(t, errs.Error(), tt.want)
		})
	}
}

func TestMistakesInTasksArePositioned(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no module":             {"name: x", `x.yml:3:7: the task has no module; add what is to be done, such as "command: ..."`},
		"text":                  {"ping", `x.yml:3:7: a task is a mapping of keywords, found "ping"`},
		"unknown module":        {"pign:", `x.yml:3:7: unknown module "pign"; did you mean "ping"?`},
		"full name":             {"ansible.builtin.pign:", `x.yml:3:7: unknown module "ansible.builtin.pign"; did you mean "ping"?`},
		"two modules":           {"ping:\ncommand: x", `x.yml:4:7: the task has two modules, "ping" and "command"; make two tasks of it`},
		"misspelt keyword":      {"ping:\nwhne: x", `x.yml:4:7: unknown keyword "whne" in a task; did you mean "when"?`},
		"misspelt, no module":   {"wehn: x", `x.yml:3:7: unknown keyword "wehn" in a task; did you mean "when"?`},
		"with_items":            {"ping:\nwith_items: [1]", `x.yml:4:7: keyword "with_items" is not supported; use loop in place of with_items`},
		"async":                 {"ping:\nasync: 5", `x.yml:4:7: keyword "async" is not supported yet in a task; use timeout to bound a long task`},
		"include_tasks":         {"include_tasks: x.yml", `x.yml:3:7: keyword "include_tasks" is not supported yet in a task`},
		"action":                {"action: ping", `x.yml:3:7: keyword "action" is not supported yet in a task; write the module's name as the key`},
		"listen on a task":      {"ping:\nlisten: x", `x.yml:4:7: "listen" belongs to handlers`},
		"loop on a block":       {"block: [{ping: }]\nloop: [1]", `x.yml:4:7: "loop" is not allowed on a block; put it on the tasks of the block`},
		"module on a block":     {"block: [{ping: }]\nping:", `x.yml:4:7: a block cannot have the module "ping"; put it into a task of the block`},
		"empty block":           {"block: []", `x.yml:3:7: the block has no tasks`},
		"bare loop":             {"ping:\nloop: items", `x.yml:4:13: "loop" wants a list or a template that gives one, found "items"; write "{{ items }}"`},
		"loop_control":          {"ping:\nloop: [1]\nloop_control: {lable: x}", `x.yml:5:22: unknown keyword "lable" in a loop_control; did you mean "label"?`},
		"register":              {"ping:\nregister: a.b", `x.yml:4:17: "register" wants the name of a variable, found "a.b"; use letters, digits and underscores`},
		"retries":               {"ping:\nretries: many", `x.yml:4:16: "retries" wants a whole number that is not negative, found "many"`},
		"retries below zero":    {"ping:\nretries: -1", `x.yml:4:16: "retries" wants a whole number that is not negative, found "-1"`},
		"when is a mapping":     {"ping:\nwhen: {a: 1}", `x.yml:4:13: "when" wants an expression, found a mapping`},
		"when is empty":         {"ping:\nwhen:", `x.yml:4:12: "when" wants an expression, found nothing`},
		"when does not parse":   {"ping:\nwhen: a ==", `x.yml:4:`},
		"when with braces":      {"ping:\nwhen: \"{{ a }}\"", `x.yml:4:`},
		"environment":           {"ping:\nenvironment: x", `x.yml:4:20: "environment" wants a mapping of names to values, found "x"`},
		"timeout":               {"ping:\ntimeout: long", `x.yml:4:16: "timeout" wants a number of seconds or a time such as 90s, 5m, 2h, found "long"`},
		"notify of nobody":      {"ping:\nnotify: reload", `x.yml:4:15: no handler is called "reload" or listens to it`},
		"argument":              {"command:\n  cmd: x\n  chidr: /", `x.yml:5:9: unknown key "chidr"; did you mean "chdir"?`},
		"argument twice":        {"command: x chdir=/\nargs: {chdir: /tmp}", `x.yml:4:14: argument "chdir" stands beside the module too; keep one of them`},
		"arguments are a list":  {"command: [a]", `x.yml:3:16: the arguments of "command" are a mapping, found a list`},
		"text for a mapping":    {"stat: /etc", `x.yml:3:13: want name=value, found "/etc"; or write the arguments as a mapping`},
		"template in arguments": {"command:\n  cmd: echo {{ x | nope }}", `x.yml:4:`},
		"missing argument":      {"stat: {follow: yes}", `x.yml:3:7: "path" is missing`},
		"missing file":          {"script: none.sh", `x.yml:3:15: no file "none.sh", neither in files beside the playbook nor beside it`},
		"expression argument":   {"assert: {that: [a ==]}", `x.yml:3:`},
		"meta":                  {"meta: flush_handler", `x.yml:3:13: "action" cannot be "flush_handler"; want one of flush_handlers, end_play`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := parse(t, "- hosts: all\n  tasks:\n    - "+strings.ReplaceAll(tt.text, "\n", "\n      "))
			require.Len(t, errs, 1, "%s", errs)
			assert.Contains(t, errs.Error(), tt.want)
		})
	}
}

func TestHandlersAreChecked(t *testing.T) {
	tests := map[string]struct{ notify, handler, want string }{
		"block":       {"", "block: [{ping: }]", "x.yml:5:7: a handler is a task, not a block"},
		"nameless":    {"", "ping:", "x.yml:5:7: a handler needs a name or listen: nobody can notify it"},
		"other name":  {"notify: reload", "{name: relaod, ping: }", `x.yml:3:22: no handler is called "reload" or listens to it; did you mean "relaod"?`},
		"by name":     {"notify: reload", "{name: reload, ping: }", ""},
		"by topic":    {"notify: reload", "{name: x, listen: [a, reload], ping: }", ""},
		"by template": {"notify: reload", "{name: 're{{ x }}', ping: }", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := parse(t, "- hosts: all\n  tasks:\n  - {ping: , "+tt.notify+"}\n  handlers:\n    - "+tt.handler)
			assert.Equal(t, tt.want, errs.Error())
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, errs := parse(t, `
- host: all
  tasks:
    - nme: x
      ping:
    - comand: x
- hosts: all
  tasks:
    - command: x
      when: a ==
      notify: none
`)
	var lines []int
	for _, e := range errs {
		lines = append(lines, e.Pos.Line)
	}
	assert.Equal(t, []int{2, 4, 6, 10, 11}, lines)
}
