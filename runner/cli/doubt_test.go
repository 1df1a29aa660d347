package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

func TestDoubtIsDecidedByTheFlag(t *testing.T) {
	env := &Env{Stdin: strings.NewReader("rerun\n")}
	for _, want := range []runner.Doubt{runner.Rerun, runner.Skip, runner.Fail} {
		decide, err := doubts(env, string(want))
		require.NoError(t, err)
		got, err := decide(t.Context(), runner.Intent{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	decide, err := doubts(env, "")
	require.NoError(t, err)
	require.Nil(t, decide, "nobody to ask: the task fails")
	_, err = doubts(env, "perhaps")
	require.EqualError(t, err, `--unknown is "perhaps", want rerun, skip or fail`)
}

func TestDoubtIsAskedAbout(t *testing.T) {
	intent := runner.Intent{Key: at("tasks/0", "node3"), Name: "Grow it", Command: "lvextend \x1b[31m", At: time.Now()}
	for typed, want := range map[string]runner.Doubt{
		"rerun\n":                runner.Rerun,
		"what?\nskip\n":          runner.Skip,
		"fail\n":                 runner.Fail,
		"\n":                     runner.Fail,
		"":                       runner.Fail,
		"a\nb\nc\nd\ne\nrerun\n": runner.Fail,
	} {
		var stderr bytes.Buffer
		got, err := askDoubt(t.Context(), &Env{Stdin: strings.NewReader(typed), Stderr: &stderr}, intent)
		require.NoError(t, err)
		require.Equalf(t, want, got, "typed %q", typed)
		for _, word := range []string{"node3", "Grow it", `lvextend \x1b[31m`, "just now", "rerun, skip or fail?"} {
			require.Contains(t, stderr.String(), word)
		}
	}
}
