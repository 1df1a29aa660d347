package modules

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The script is written, run and removed by the shells that will do it.
func TestScriptReallyRuns(t *testing.T) {
	tests := []struct {
		name string
		m    script
		want string // stdout
		code int
	}{
		{"arguments", script{Script: Local{Path: "x/a b.sh", Args: `one "two  three" $NOPE '*'`, Data: []byte("#!/bin/sh\nprintf '<%s>' \"$@\"")}},
			"<one><two  three><$NOPE><*>", 0},
		{"no interpreter line", script{Script: Local{Path: "x.sh", Data: []byte("echo plain")}}, "plain\n", 0},
		{"own name", script{Script: Local{Path: "deep/it's.sh", Data: []byte("echo ${0##*/}")}}, "it's.sh\n", 0},
		{"interpreter", script{Executable: "/bin/sh -e", Script: Local{Path: "x", Data: []byte("#!/no/such\nfalse\necho on")}}, "", 1},
		{"directory", script{Chdir: "/usr", Script: Local{Path: "x", Data: []byte("pwd")}}, "/usr\n", 0},
		{"missing directory", script{Chdir: "/no/such", Script: Local{Path: "x", Data: []byte("pwd")}}, "", 1},
		{"reads no script", script{Script: Local{Path: "x", Data: []byte("cat\necho end")}}, "end\n", 0},
		{"exit code", script{Script: Local{Path: "x", Data: []byte("exit 7")}}, "", 7},
	}
	for shell, h := range shells(t) {
		temp := t.TempDir()
		h.env = append(h.env, "TMPDIR="+temp)
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				require.NoError(t, tt.m.Validate())
				outs := h.take(check(t, &tt.m, h))
				require.Len(t, outs, 1)
				assert.Equal(t, tt.want, outs[0].Stdout, outs[0].Stderr)
				assert.Equal(t, tt.code, outs[0].Code)
				left, err := os.ReadDir(temp)
				require.NoError(t, err)
				assert.Empty(t, left, "the script is left on the target")
			})
		}
	}
}

// The script is private, but what it makes is not.
func TestScriptKeepsMask(t *testing.T) {
	for shell, h := range shells(t) {
		before, err := h.Query(t.Context(), Run{Shell: "umask"})
		require.NoError(t, err)
		m := &script{Script: Local{Path: "x", Data: []byte("umask; stat -c %a \"$0\"")}}
		outs := h.take(check(t, m, h))
		assert.Equal(t, before.Stdout+"700\n", outs[0].Stdout, shell)
	}
}

func TestScriptShowsWhatWasWritten(t *testing.T) {
	m := &script{Script: Local{Path: "fix.sh", Args: "--all", Data: []byte("TOKEN=secret")}}
	change := check(t, m, &fake{})
	assert.Equal(t, []string{"script fix.sh --all"}, stepLines(change))
	assert.Equal(t, "TOKEN=secret", change.Steps[0].(Run).Stdin)
	assert.NotContains(t, change.Steps[0].(Run).Shell, "secret")
}

func TestScriptGuard(t *testing.T) {
	m := &script{Script: Local{Path: "fix.sh"}, Creates: "/done"}
	query := guard{creates: "/done"}.query().String()
	change := check(t, m, &fake{commands: map[string]Output{query: {Stdout: "creates\n"}}})
	assert.Empty(t, change.Steps)
	assert.Equal(t, "fix.sh", change.Vars["cmd"])
	assert.Equal(t, true, change.Vars["skipped"])
	_, err := m.Check(t.Context(), &fake{errs: map[string]error{query: errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

func TestScriptValidate(t *testing.T) {
	assert.EqualError(t, (&script{Script: Local{Path: "x", Args: "'open"}}).Validate(),
		`arguments "'open": the quote ' is never closed`)
	assert.EqualError(t, (&script{Script: Local{Path: "x"}, Executable: `"`}).Validate(),
		`executable "\"": the quote " is never closed`)
}
