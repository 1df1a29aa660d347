package runner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestObserved holds what ansible-core was seen to do with the same playbooks:
// the commands in the order of their arrival, and h1's recap.
func TestObserved(t *testing.T) {
	const one = "- hosts: h1\n  gather_facts: false\n  tasks:\n"
	for _, c := range []struct {
		name, play string
		did        []string // the commands that begin with "say"
		recap      Recap
	}{
		{name: "a command that fails has run: it counts as changed where it is ignored", play: one + `
  - {command: "false", register: r, ignore_errors: true}
  - {command: "say {{ r.changed }} {{ r.failed }} {{ r.msg }}"}
`, did: []string{"say True True non-zero return code"}, recap: Recap{OK: 2, Changed: 2, Ignored: 1}},
		{name: "one that is said neither to fail nor to change is ok", play: one + `
  - {command: "false", register: r, changed_when: false, failed_when: false, notify: h}
  - {command: "say {{ r.changed }} {{ r.failed }}"}
  handlers:
  - {name: h, command: say never}
`, did: []string{"say False False"}, recap: Recap{OK: 2, Changed: 1}},
		{name: "a failure that is ignored notifies nobody", play: one + `
  - {command: "false", ignore_errors: true, notify: h}
  handlers:
  - {name: h, command: say never}
`, recap: Recap{OK: 1, Changed: 1, Ignored: 1}},
		{name: "facts of a task that failed are not kept", play: one + `
  - {set_fact: {b: 1}, failed_when: true, ignore_errors: true}
  - {command: "say {{ b | default('unset') }}"}
`, did: []string{"say unset"}, recap: Recap{OK: 2, Changed: 1, Ignored: 1}},
		{name: "an item sees the facts of those before it", play: one + `
  - {set_fact: {acc: "{{ acc | default([]) + [item] }}"}, loop: [a, b, c]}
  - {command: "say {{ acc | join('-') }}"}
`, did: []string{"say a-b-c"}, recap: Recap{OK: 2, Changed: 1}},
		{name: "register wins over a fact of the same name", play: one + `
  - {set_fact: {x: 1}, register: x}
  - {command: "say {{ x.ansible_facts.x }}"}
`, did: []string{"say 1"}, recap: Recap{OK: 2, Changed: 1}},
		{name: "a loop over nothing", play: one + `
  - {command: "true", loop: [], register: r}
  - {command: "say {{ r.results | length }} {{ r.skipped }} {{ r.skipped_reason }}"}
`, did: []string{"say 0 True No items in the list"}, recap: Recap{OK: 1, Changed: 1, Skipped: 1}},
		{name: "what a loop registers", play: one + `
  - {command: "true", loop: [a, b], when: item == 'a', loop_control: {index_var: i}, register: r}
  - {command: "say {{ r.skipped }} {{ r.failed is defined }} {{ r.results[1].skip_reason }} {{ r.results[0].i }} {{ r.results[0].ansible_index_var }}"}
`, did: []string{"say False False Conditional result was False 0 i"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "a list that cannot be had is no matter where the condition does not hold", play: one + `
  - {command: "true", loop: "{{ nothere }}", when: false}
  - {command: "true", loop: "{{ nothere }}", ignore_errors: true}
`, recap: Recap{OK: 1, Skipped: 1, Ignored: 1}},
		{name: "failed_when sees the attempts", play: one + `
  - {command: "true", register: r, until: r is succeeded, retries: 1, delay: 0, failed_when: r.attempts == 1}
  - {command: "say {{ r.attempts }} {{ r.failed }}"}
`, did: []string{"say 2 False"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "failed_when has the last word, after until", play: one + `
  - {command: "true", register: r, until: false, retries: 1, delay: 0, failed_when: false}
  - {command: "say {{ r.attempts }} {{ r.failed }}"}
`, did: []string{"say 1 True"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "rescue reads what failed, and the innermost is the last", play: one + `
  - block:
    - {name: outer, command: "false"}
    rescue:
    - {command: "say {{ ansible_failed_task.name }} {{ ansible_failed_result.rc }}"}
    - block: [{name: inner, fail: {msg: boo}}]
      rescue: [{command: "say {{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}"}]
`, did: []string{"say outer 1", "say inner boo"}, recap: Recap{OK: 2, Changed: 2, Rescued: 2}},
		{name: "a run_once task notifies for one host", play: strings.Replace(one, "h1", "web", 1) + `
  - {command: "true", run_once: true, notify: h}
  handlers:
  - {name: h, command: "say {{ inventory_hostname }}"}
`, did: []string{"say h1"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "of two handlers of one name the first runs", play: one + `
  - {command: "true", notify: h}
  handlers:
  - {name: h, command: say first}
  - {name: h, command: say second}
`, did: []string{"say first"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "any_errors_fatal leaves to a rescue what it can take back", play: strings.Replace(one, "h1", "web", 1) + `
  - any_errors_fatal: true
    block:
    - {command: only h1}
    - {command: say going}
    rescue:
    - {command: say rescued}
`, did: []string{"say going", "say rescued", "say rescued"}, recap: Recap{OK: 2, Changed: 2}},
		{name: "the play's hosts are those that it still has, and all that it had", play: strings.Replace(one, "h1", "web", 1) + `
  - {command: "false", when: colour == 'blue'}
- hosts: web
  gather_facts: false
  tasks:
  - {meta: end_host, when: colour == 'green'}
  - {command: "say {{ ansible_play_hosts | join(',') }} {{ ansible_play_hosts_all | join(',') }}"}
`, did: []string{"say h1 h1,h2,h3"}, recap: Recap{OK: 1, Changed: 1, Skipped: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := carry(t, c.play)
			require.NoError(t, got.err)
			c.recap.Host = "h1"
			assert.Equal(t, c.recap, got.recap(t, "h1"), "%v", got.lines())
			assert.Equal(t, c.did, got.said())
		})
	}
}
