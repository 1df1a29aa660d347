package runner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const checkModes = `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: asks, command: do asks, check_mode: false, register: r}
  - {name: hangs, command: "do {{ r.stdout }}"}
  - {name: only looks, command: do only, check_mode: true, register: only}
  - block:
    - {name: in a block, command: do block}
    check_mode: "{{ r.rc == 0 }}"
  - {name: says, debug: {msg: "{{ only is skipped }} {{ ansible_check_mode }}"}}
`

// TestCheckMode: what check_mode says of one task comes before what the run is,
// with the results that Ansible has.
func TestCheckMode(t *testing.T) {
	plan := carry(t, checkModes, func(r *Runner, _ *fleet) { r.Plan = true })
	require.NoError(t, plan.err)
	require.Equal(t, []string{"h1: do asks"}, plan.fleet.did, "check_mode: false is done in a plan too, so that the rest can be known")
	require.Equal(t, []string{"asks h1 changed", "hangs h1 run", "only looks h1 skipped", "in a block h1 skipped", "says h1 ok"}, plan.lines())

	apply := carry(t, checkModes)
	require.Equal(t, []string{"h1: do asks", "h1: do asks"}, apply.fleet.did)
	require.Equal(t, []string{"asks h1 changed", "hangs h1 changed", "only looks h1 skipped", "in a block h1 skipped", "says h1 ok"}, apply.lines())
	require.Equal(t, "check_mode: nothing was done", apply.result("only looks", "h1").Msg)
}
