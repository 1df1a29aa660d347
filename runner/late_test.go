package runner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostsThatAPlanCannotKnow: they hang on what a command prints.
func TestHostsThatAPlanCannotKnow(t *testing.T) {
	const text = `
- hosts: h1
  gather_facts: false
  tasks: [{name: who, command: echo h2, register: who}]
- hosts: "{{ hostvars['h1'].who.stdout }}"
  gather_facts: false
  tasks: [{name: a, command: "true"}]
`
	plan := carry(t, text, planning)
	require.NoError(t, plan.err)
	require.Equal(t, []string{"who h1 run", `which hosts it is for is known after apply: the result of "who"`}, plan.lines())
	require.Equal(t, []string{"who h1 changed", "a h2 changed"}, carry(t, text).lines())

	wrong := carry(t, strings.Replace(text, ".who.stdout", ".stdout", 1))
	require.ErrorContains(t, wrong.err, "site.yaml:5:14: ")
	wrong = carry(t, strings.Replace(text, "who.stdout }}", "who.stdout }}x", 1))
	require.ErrorContains(t, wrong.err, `site.yaml:5:11: no host or group is called "h2x"`)
	wrong = carry(t, strings.Replace(text, "gather_facts: false\n  tasks: [{name: a", "serial: '{{ who | default(0) }}'\n  tasks: [{name: a", 1))
	require.ErrorContains(t, wrong.err, `"serial" wants a number of hosts or a percentage such as "30%", found "0"`)
}

// TestALostHostIsLostAndNotFailed: whatever becomes of cleaning up after it.
func TestALostHostIsLostAndNotFailed(t *testing.T) {
	got := carry(t, `
- hosts: h2
  gather_facts: false
  tasks:
  - block: [{name: a, ping: }]
    rescue: [{name: stop, fail: }]
`, func(_ *Runner, f *fleet) { f.away = []string{"h2"} })
	require.Equal(t, Summary{Unreachable: true}, got.summary)
	require.Equal(t, Recap{Host: "h2", Unreachable: 1, Failed: 1}, got.recap(t, "h2"))
}
