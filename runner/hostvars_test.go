package runner

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostvars(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  vars:
    mine: "{{ inventory_hostname }}-{{ colour }}"
    second: "{{ hostvars.h2.mine }}"
    ring: "{{ hostvars.h2.ring }}"
  tasks:
  - {command: "say {{ hostvars.h3.mine }} {{ hostvars.h3.second }}"}
  - {set_fact: {colour: pink}}
  - {command: "say {{ hostvars.h1.mine }}"}
  - {command: "say {{ ring | default('endless') }}"}
`)
	require.NoError(t, got.err)
	require.Equal(t, []string{"say h3-green h2-blue", "say h1-pink", "say endless"}, got.said(), "%v", got.messages())
}

func TestATaskOutOfTimeSaysNothingOfTheMachine(t *testing.T) {
	dials := 0
	m := machines{dial: func(ctx context.Context, a Address) (Machine, error) {
		if dials++; dials == 1 {
			return nil, ctx.Err()
		}
		return &fleetHost{fleet: &fleet{}, name: a.Name}, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.get(ctx, Address{Name: "h1"})
	require.ErrorIs(t, err, context.Canceled)
	_, err = m.get(t.Context(), Address{Name: "h1"})
	require.NoError(t, err)
}
