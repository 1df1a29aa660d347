package playbooks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// FuzzParse holds the reader to its promises: it never panics, every mistake has
// a place, and what has no mistake can be made into modules or says why not.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"- hosts: all\n  tasks:\n    - command: echo {{ x }} creates=/y\n      when: [a, b == 1]\n",
		"- hosts: [a, '{{ b }}']\n  serial: ['30%', 2]\n  handlers: [{name: h, ping: }]\n  tasks: [{ping: , notify: h}]\n",
		"- hosts: all\n  tasks:\n    - block: [{debug: {var: x}}]\n      rescue: [{fail: msg=no}]\n      always: [{meta: noop}]\n",
		"- hosts: all\n  vars: {a: !!int '3'}\n  tasks: [{set_fact: {b: '{{ a }}'}, loop: [1], loop_control: {label: x}}]\n",
		"- hosts: all\n  tasks: [{assert: {that: [x, y]}}, {command: {argv: [a]}, args: {chdir: /}, environment: {A: b}}]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		book, errs := playbooks.Parse(&source.File{Name: "x.yml", Data: data}, t.TempDir())
		for _, e := range errs {
			require.NotEmpty(t, e.Msg)
			require.Positive(t, e.Pos.Line, e.Msg)
		}
		if book == nil {
			return
		}
		for _, p := range book.Plays {
			for _, node := range p.Tasks {
				if task, ok := node.(*playbooks.Task); ok {
					_, err := task.Module(scope{"x": jinja.FromGo(1)})
					_ = err // most have variables that are not there
				}
			}
		}
	})
}
