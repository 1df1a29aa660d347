package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnInterruptedTaskSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	got := carryIn(ctx, t, `
- hosts: web
  gather_facts: false
  tasks:
  - block:
    - {name: a, command: hang, register: r, until: r.stdout == 'x', when: colour == 'red'}
    rescue:
    - {name: r, command: "true"}
  - {name: b, command: "true"}
  handlers:
  - {name: h, command: "true"}
`, func(_ *Runner, f *fleet) {
		f.hung = func() { cancel(errors.New("signal 2")) }
	})
	require.NoError(t, got.err)
	require.True(t, got.summary.Interrupted)
	lines := slices.DeleteFunc(got.lines(), func(l string) bool { return strings.HasSuffix(l, "skipped") }) // where it came to that
	require.Equal(t, []string{"a h1 failed", "interrupted"}, lines)
	require.Equal(t, "interrupted (signal 2): how far it came is not known", got.messages()["a h1"])
}
