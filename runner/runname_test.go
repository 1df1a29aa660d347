package runner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheRunsName: what a play makes can be called after the run that made it. A
// plan does not make it up.
func TestTheRunsName(t *testing.T) {
	const book = `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: made, command: "make it-{{ runbook_run }}"}
  - {name: seen, debug: {msg: "{{ hostvars.h1.runbook_run | default('not here') }}"}}
`
	named := func(r *Runner, _ *fleet) { r.Holder.Run = "20260131-a" }
	apply := carry(t, book, named)
	require.Equal(t, []string{"h1: make it-20260131-a"}, apply.fleet.did)

	plan := carry(t, book, named, func(r *Runner, _ *fleet) { r.Plan = true })
	require.NoError(t, plan.err)
	require.Equal(t, "made h1 known after apply", plan.lines()[0])
}
