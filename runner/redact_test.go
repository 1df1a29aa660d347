package runner

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

func TestNoEventHasASecret(t *testing.T) {
	const secret = "hunter2"
	item := secret
	s := &secrets{}
	s.add(secret)
	s.add("abc") // too short: it would garble every text
	result := Result{
		Status: Failed, Msg: "no " + secret, Err: fmt.Errorf("no %s", secret),
		Change: modules.Change{
			Diffs: []modules.Diff{{What: secret, Have: secret, Want: secret}},
			Steps: []modules.Step{modules.Run{Shell: "login " + secret}},
			Notes: []string{secret},
			Vars:  map[string]any{"a": secret},
		},
		Vars: map[string]any{
			"plain": secret, "list": []any{secret, 7}, "texts": []string{secret}, secret: true,
			"value": jinja.FromGo(map[string]any{"deep": []any{secret}}),
			"other": []map[string]string{{"k": secret}},
		},
	}
	for _, e := range []Event{
		PlayStarted{Name: secret}, TaskStarted{Name: secret}, TaskRetried{Task: secret},
		TaskWaiting{Task: secret, For: result.Change.Diffs},
		TaskDone{Task: secret, Item: &item, Result: result},
	} {
		clean := s.event(e)
		require.NotContains(t, fmt.Sprintf("%+v", clean), secret)
		if d, ok := clean.(TaskDone); ok {
			require.NotContains(t, *d.Item, secret)
			for _, step := range d.Result.Change.Steps {
				require.Equal(t, "login ********", step.String())
			}
			require.Equal(t, []any{hidden, 7}, d.Result.Vars["list"])
		}
	}
	require.Equal(t, secret, item, "the item itself is left as it is")
	require.Equal(t, "abc", s.text("abc"))
}

func TestAWaitingTaskWithNoLogSaysNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	got := carryIn(ctx, t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, wait_for: {path: /hunter2, state: absent}, no_log: true}
`, func(r *Runner, _ *fleet) {
		emit := r.Emit
		r.Emit = func(e Event) {
			emit(e)
			if _, waits := e.(TaskWaiting); waits {
				cancel()
			}
		}
	})
	require.NotEmpty(t, got.waits())
	require.NotContains(t, fmt.Sprint(got.events), "hunter2")
}

func TestThePasswordThatWasAskedForIsTheHostsWithoutOne(t *testing.T) {
	got := carry(t, `
- hosts: [h1, h2]
  gather_facts: false
  become: true
  tasks:
  - {name: a, command: "echo the password is hunter2", vars: {ansible_become_password: "{{ 'own-one' if colour == 'red' else none }}"}}
`, func(r *Runner, _ *fleet) { r.Defaults.Password = "hunter2" })
	require.NoError(t, got.err)
	require.ElementsMatch(t, []string{"own-one", "hunter2"}, got.fleet.passwords)
	for _, e := range got.events {
		if d, ok := e.(TaskDone); ok && d.Host == "h2" {
			require.Equal(t, "the password is ********", d.Result.Vars["stdout"])
		}
	}
}

func (r ran) waits() []TaskWaiting {
	var out []TaskWaiting
	for _, e := range r.events {
		if w, ok := e.(TaskWaiting); ok {
			out = append(out, w)
		}
	}
	return out
}
