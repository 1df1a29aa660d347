package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func planning(r *Runner, _ *fleet) { r.Plan = true }

func TestFlow(t *testing.T) {
	const head = "- hosts: web\n  gather_facts: false\n"
	for _, c := range []struct {
		name, play string
		with       func(*Runner, *fleet)
		want       string
	}{
		{name: "a failed host is out, the others go on", play: head + `
  tasks:
  - {name: a, command: only h1}
  - {name: b, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, b h1 changed"},
		{name: "no task is begun before the last is over", play: head + `
  tasks:
  - {name: a, command: "true"}
  - {name: b, command: "true", when: colour == 'blue'}
`, want: "a h1 changed, a h2 changed, a h3 changed, b h1 skipped, b h2 changed, b h3 skipped"},
		{name: "rescue takes failed hosts back, always runs on all", play: head + `
  tasks:
  - block:
    - {name: a, command: only h1}
    - {name: b, command: "true"}
    rescue:
    - {name: r, command: "true"}
    always:
    - {name: z, command: "true"}
  - {name: after, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, b h1 changed, r h2 changed, r h3 changed, " +
			"z h1 changed, z h2 changed, z h3 changed, after h1 changed, after h2 changed, after h3 changed"},
		{name: "always runs, and a failure stays one", play: head + `
  tasks:
  - block:
    - {name: a, command: only h1}
    always:
    - {name: z, command: "true"}
  - {name: after, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, z h1 changed, z h2 changed, z h3 changed, after h1 changed"},
		{name: "handlers run once, in the order of their definition", play: head + `
  tasks:
  - {name: a, command: "true", notify: [second, first]}
  - {name: b, command: "true", notify: first, when: colour == 'red'}
  handlers:
  - {name: first, command: "true"}
  - {name: second, command: "true"}
`, want: "a h1 changed, a h2 changed, a h3 changed, b h1 changed, b h2 skipped, b h3 skipped, " +
			"first h1 changed, first h2 changed, first h3 changed, second h1 changed, second h2 changed, second h3 changed"},
		{name: "handlers listen, and may be flushed", play: head + `
  tasks:
  - {name: a, command: "true", notify: topic, when: colour == 'red'}
  - meta: flush_handlers
  - {name: b, command: "true", changed_when: false, notify: topic}
  handlers:
  - {name: first, command: "true", listen: topic}
`, want: "a h1 changed, a h2 skipped, a h3 skipped, first h1 changed, b h1 ok, b h2 ok, b h3 ok"},
		{name: "what can be done without a lost host is done, and it stays lost", play: head + `
  tasks:
  - block:
    - {name: a, ping: }
    rescue:
    - {name: why, debug: {msg: "{{ ansible_failed_task.name }}: {{ ansible_failed_result.msg }}"}}
    - {name: on it, ping: }
    - {name: elsewhere, ping: , delegate_to: h1}
    - {name: so it ends, fail: }
    always:
    - {name: z, debug: {msg: z}}
    - {name: once, command: "true", run_once: true}
  - {name: after, command: "true"}
`, with: func(_ *Runner, f *fleet) { f.away = []string{"h2"} },
			want: "a h1 ok, a h2 unreachable, a h3 ok, why h2 ok, on it h2 unreachable, elsewhere h2 ok, so it ends h2 failed, z h1 ok, z h2 ok, z h3 ok, " +
				"once h1 changed, after h1 changed, after h3 changed"},
		{name: "a block around has its turn too", play: head + `
  tasks:
  - block:
    - block:
      - {name: a, ping: }
      always:
      - {name: inner, debug: {msg: z}, when: colour == 'blue'}
    - {name: b, command: "true"}
    rescue:
    - {name: outer, debug: {msg: z}}
    always:
    - {name: last, debug: {msg: z}}
`, with: func(_ *Runner, f *fleet) { f.away = []string{"h2"} },
			want: "a h1 ok, a h2 unreachable, a h3 ok, inner h1 skipped, inner h2 ok, inner h3 skipped, b h1 changed, b h3 changed, outer h2 ok, last h1 ok, last h2 ok, last h3 ok"},
		{name: "no rescue takes a lost host back: it is fatal where any error is", play: head + `
  any_errors_fatal: true
  tasks:
  - block:
    - {name: a, ping: }
    - {name: b, command: "true"}
    rescue:
    - {name: r, debug: {msg: r}}
    always:
    - {name: z, debug: {msg: z}}
  - {name: after, command: "true"}
- hosts: web
  gather_facts: false
  tasks:
  - {name: next play, command: "true"}
`, with: func(_ *Runner, f *fleet) { f.away = []string{"h2"} },
			want: "a h1 ok, a h2 unreachable, a h3 ok, r h2 ok, z h1 ok, z h2 ok, z h3 ok, no more hosts left"},
		{name: "a batch that loses a host is cleaned up, and the next begins", play: head + `
  serial: 2
  tasks:
  - block:
    - {name: a, ping: }
    always:
    - {name: z, debug: {msg: z}}
`, with: func(_ *Runner, f *fleet) { f.away = []string{"h2"} },
			want: "a h1 ok, a h2 unreachable, z h1 ok, z h2 ok, a h3 ok, z h3 ok"},
		{name: "hosts in the order that an earlier play has found, in batches of a size that a variable gives", play: head + `
  tasks:
  - {name: order, set_fact: {turns: [h3, h1, h2]}, run_once: true}
- hosts: "{{ hostvars['h1'].turns }}"
  gather_facts: false
  vars: {size: 2}
  serial: ["{{ size }}", "100%"]
  tasks:
  - {name: a, command: "true"}
  - {name: b, command: "true"}
- hosts: "{{ hostvars['h1'].turns[:2] | join(':') }}:!h1"
  gather_facts: false
  serial: "{{ [1, '50%'] }}"
  tasks:
  - {name: c, command: "true"}
`, want: "order h1 ok, a h1 changed, a h3 changed, b h1 changed, b h3 changed, a h2 changed, b h2 changed, c h3 changed"},
		{name: "any_errors_fatal stops all", play: head + `
  any_errors_fatal: true
  tasks:
  - {name: a, command: only h1}
  - {name: b, command: "true"}
- hosts: web
  gather_facts: false
  tasks:
  - {name: c, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, no more hosts left"},
		{name: "max_fail_percentage must be exceeded", play: head + `
  max_fail_percentage: 66
  tasks:
  - {name: a, command: only h1}
  - {name: b, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, no more hosts left"},
		{name: "reaching it is not enough", play: head + `
  max_fail_percentage: 67
  tasks:
  - {name: a, command: only h1}
  - {name: b, command: "true"}
`, want: "a h1 changed, a h2 failed, a h3 failed, b h1 changed"},
		{name: "a batch that fails as a whole ends the run", play: head + `
  serial: 1
  tasks:
  - {name: a, command: only h1}
  - {name: b, command: "true"}
`, want: "a h1 changed, b h1 changed, a h2 failed, no more hosts left"},
		{name: "run_once is for all", play: head + `
  tasks:
  - {name: a, command: echo hello, run_once: true, register: r}
  - {name: b, command: "{{ r.stdout }}"}
`, want: "a h1 changed, b h1 changed, b h2 changed, b h3 changed"},
		{name: "a failed run_once fails all", play: head + `
  tasks:
  - {name: a, command: "false", run_once: true}
  - {name: b, command: "true"}
`, want: "a h1 failed, no more hosts left"},
		{name: "ignore_errors, failed_when, changed_when", play: head + `
  tasks:
  - {name: a, command: "false", ignore_errors: true, when: colour == 'red'}
  - {name: b, command: "false", failed_when: false, when: colour == 'red'}
  - {name: c, command: "true", failed_when: r.stdout == '', register: r, when: colour == 'red'}
`, want: "a h1 failed ignored, a h2 skipped, a h3 skipped, b h1 changed, b h2 skipped, b h3 skipped, c h1 failed, c h2 skipped, c h3 skipped"},
		{name: "loops go on after an item that fails", play: head + `
  tasks:
  - name: a
    command: "{{ item }}"
    loop: ["true", "false", "true"]
    when: colour == 'red' and item != 'x'
    ignore_errors: true
`, want: "a h1 changed true, a h1 changed true, a h1 failed false ignored, a h1 failed ignored, " +
			"a h2 skipped, a h2 skipped false, a h2 skipped true, a h2 skipped true, " +
			"a h3 skipped, a h3 skipped false, a h3 skipped true, a h3 skipped true"},
		{name: "until", play: "- hosts: h1\n  gather_facts: false\n" + `
  tasks:
  - {name: a, command: third, register: r, until: r.stdout == '3', retries: 2, delay: 0}
  - {name: b, command: third, register: r, until: r.stdout == '9', retries: 1, delay: 0}
`, want: "a h1 changed, b h1 failed, no more hosts left"},
		{name: "tags", play: head + `
  tasks:
  - {name: a, command: "true", tags: x}
  - {name: b, command: "true", tags: [y, always], run_once: true}
  - {name: c, command: "true", tags: never}
`, with: func(r *Runner, _ *fleet) { r.Selection.Tags = []string{"x"} },
			want: "a h1 changed, a h2 changed, a h3 changed, b h1 changed"},
		{name: "end_host and end_play", play: head + `
  tasks:
  - {meta: end_host, when: colour == 'red'}
  - {name: a, command: "true"}
  - meta: end_play
  - {name: b, command: "true"}
`, want: "a h2 changed, a h3 changed"},
		{name: "limit", play: head + `
  tasks:
  - {name: a, command: "true"}
`, with: func(r *Runner, _ *fleet) { r.Limit = "h2" }, want: "a h2 changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			with := c.with
			if with == nil {
				with = func(*Runner, *fleet) {}
			}
			got := carry(t, c.play, with)
			require.NoError(t, got.err)
			require.Equal(t, c.want, strings.Join(got.lines(), ", "))
		})
	}
}

func TestPlanTakesNoStepAndGuessesNothing(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: echo x, register: r}
  - {name: b, command: "true", when: r.rc == 0}
  - {name: c, debug: {msg: "{{ r.stdout | default('made up') }}"}}
  - {name: d, debug: {msg: known}, when: r is changed}
  - {name: e, assert: {that: r.stdout == 'x'}}
  - {name: f, command: "true", loop: "{{ r.stdout_lines }}"}
  - {name: g, command: "true", notify: h, when: r.rc == 0}
  handlers:
  - {name: h, command: "true"}
`, planning)
	require.NoError(t, got.err)
	require.Equal(t, []string{
		"a h1 run", "b h1 known after apply", "c h1 known after apply", "d h1 ok", "e h1 known after apply",
		"f h1 known after apply", "g h1 known after apply", "h h1 known after apply",
	}, got.lines())
	require.Empty(t, got.fleet.did)
	require.Equal(t, "true", got.result("b", "h1").Change.Steps[0].String(), "what it would do if it ran")
	require.True(t, got.summary.Changes)
	require.False(t, got.summary.Failed)
}

func TestRecapCountsAsAnsibleDoes(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: "false", ignore_errors: true}
  - {name: b, command: "true", when: false}
  - block:
    - {name: c, command: "false"}
    rescue:
    - {name: d, command: "true"}
  - {name: e, debug: {msg: x}}
`)
	require.Equal(t, Recap{Host: "h1", OK: 3, Changed: 2, Skipped: 1, Rescued: 1, Ignored: 1}, got.recap(t, "h1"))
	require.False(t, got.summary.Failed)
}

func TestTheEndOfARunIsThatOfItsHosts(t *testing.T) {
	got := carry(t, `
- hosts: web
  gather_facts: false
  tasks:
  - {name: a, command: only h1}
  - meta: clear_host_errors
- hosts: web
  gather_facts: false
  serial: 1
  tasks:
  - {name: b, command: only h3}
`)
	require.NoError(t, got.err)
	require.Equal(t, []string{"a h1 changed", "a h2 failed", "a h3 failed", "b h1 failed", "no more hosts left"}, got.lines())
	require.True(t, got.summary.Failed)
	require.Equal(t, 1, got.recap(t, "h2").Failed)

	cleared := carry(t, `
- hosts: web
  gather_facts: false
  serial: [2, 1]
  tasks:
  - {name: a, command: only h1}
  - meta: clear_host_errors
  - meta: end_play
`)
	require.False(t, cleared.summary.Failed, "nobody is left in failure")
	var hosts []string
	for _, r := range cleared.events[len(cleared.events)-1].(RunDone).Recap {
		hosts = append(hosts, r.Host)
	}
	require.Equal(t, []string{"h1", "h2"}, hosts, "the batch of h3 was never begun")
}

func TestWhereATaskRunsAndAsWhom(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  environment: {STAGE: play}
  tasks:
  - {name: a, command: "do {{ colour }}", delegate_to: h2, become: true}
  - {name: b, command: do it, environment: {STAGE: task}, become: true, become_user: web}
`)
	require.NoError(t, got.err)
	require.Equal(t, []string{"h2: do red STAGE=play", "h1: do it STAGE=task"}, got.fleet.did)
	require.Equal(t, []string{"h2:root", "h1:web"}, got.fleet.became)
}

func TestNoLogHidesTheResult(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: echo hunter2, no_log: true, register: r}
  - {name: b, command: "{{ r.stdout }}", failed_when: true, no_log: true}
`)
	require.NotContains(t, fmt.Sprint(got.events), "hunter2")
	require.Contains(t, got.fleet.did, "h1: hunter2", "the value itself is there for later tasks")
}

func TestWhatATargetPrintsIsNoTemplate(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: "echo {{ '{{' }} colour {{ '}}' }}", register: r}
  - {name: b, set_fact: {kept: "{{ r.stdout }}"}}
  - {name: c, command: "echo {{ kept }} {{ hostvars.h1.kept }}"}
`)
	require.NoError(t, got.err)
	require.Len(t, got.fleet.did, 2, "%v", got.lines())
	require.Equal(t, "h1: echo '{{' colour '}}' '{{' colour '}}'", got.fleet.did[1])
}

func TestPatternsThatNameNobodyAreFoundBeforeAHostIsContacted(t *testing.T) {
	got := carry(t, `
- hosts: web
  gather_facts: false
  tasks: [{command: "true"}]
- hosts: wbe
  tasks: [{ping: }]
- hosts: "{{ nowhere }}"
  tasks: [{ping: }]
`, func(r *Runner, _ *fleet) { r.Limit = "h9" })
	require.ErrorContains(t, got.err, `site.yaml:5:10: `)
	require.ErrorContains(t, got.err, `"wbe"`)
	require.ErrorContains(t, got.err, `did you mean "web"?`)
	require.ErrorContains(t, got.err, `"nowhere" is undefined`)
	require.ErrorContains(t, got.err, `--limit: `)
	require.Empty(t, got.fleet.did)
	require.Empty(t, got.events)
}

func TestACommandThatNeverRanHasNoExitCode(t *testing.T) {
	got := carry(t, `
- hosts: h1,h2
  gather_facts: false
  tasks:
  - {name: a, command: lost, when: inventory_hostname == 'h1'}
  - {name: b, command: "false"}
`)
	require.NotContains(t, got.result("a", "h1").Vars, "rc")
	require.Equal(t, 1, got.result("b", "h2").Vars["rc"])
}
