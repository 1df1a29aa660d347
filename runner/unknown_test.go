package runner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPlanDoesNotGuessWhatChangedWhenWillSay(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: "true", register: r, changed_when: r.rc == 7, notify: may}
  - {name: b, command: "true", when: r is changed}
  - {name: c, command: "true", changed_when: false, notify: never}
  - {name: d, debug: {msg: x}, changed_when: true, notify: must}
  - {name: e, command: "{{ item }}", loop: ["true"], register: l, changed_when: l.rc == 7}
  - {name: f, command: "true", when: l is changed}
  - {name: g, command: "true", when: l is failed}
  handlers:
  - {name: may, command: "true"}
  - {name: never, command: "true"}
  - {name: must, command: "true"}
`, planning)
	require.NoError(t, got.err)
	require.Equal(t, []string{
		"a h1 run", "b h1 known after apply", "c h1 run", "d h1 change", "e h1 run", "e h1 run true",
		"f h1 known after apply", "g h1 known after apply", "may h1 known after apply", "must h1 run",
	}, got.lines())
	require.Empty(t, got.fleet.did)
}

// TestAFactThatAPlanCannotKnow is one that later tasks cannot know either: it is
// not undefined, and not what it was before.
func TestAFactThatAPlanCannotKnow(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  vars: {shade: red}
  tasks:
  - {name: a, command: "true", register: r}
  - {name: b, set_fact: {shade: "{{ r.stdout }}", other: "{{ r.stdout }}"}}
  - {name: c, command: "echo {{ shade }}"}
  - {name: d, command: "true", when: other == "x"}
  - {name: e, set_fact: {maybe: 1}, when: other == "x"}
  - {name: f, debug: {msg: "{{ maybe | default('none') }}"}}
`, planning)
	require.NoError(t, got.err)
	require.Equal(t, []string{"a h1 run", "b h1 known after apply", "c h1 known after apply", "d h1 known after apply",
		"e h1 known after apply", "f h1 known after apply"}, got.lines())
}
