package modules

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newCommand(set func(*command)) *command {
	d, _ := Lookup("command")
	m := d.New().(*command)
	set(m)
	return m
}

func TestCommandStep(t *testing.T) {
	empty, text := "", "a\nb"
	tests := []struct {
		name string
		set  func(*command)
		want Run
	}{
		{"free text", func(m *command) { m.Cmd = `echo "a  b" | cat` },
			Run{Argv: []string{"echo", "a  b", "|", "cat"}}},
		{"list", func(m *command) { m.Argv = []string{"echo", "a  b"} },
			Run{Argv: []string{"echo", "a  b"}}},
		{"directory", func(m *command) { m.Cmd, m.Chdir = "ls", "/srv/a b" },
			Run{Argv: []string{"ls"}, Dir: "/srv/a b"}},
		{"stdin ends its line", func(m *command) { m.Cmd, m.Stdin = "cat", &text },
			Run{Argv: []string{"cat"}, Stdin: "a\nb\n"}},
		{"stdin as it is", func(m *command) { m.Cmd, m.Stdin, m.StdinAddNewline = "cat", &text, false },
			Run{Argv: []string{"cat"}, Stdin: "a\nb"}},
		{"empty stdin is a line", func(m *command) { m.Cmd, m.Stdin = "cat", &empty },
			Run{Argv: []string{"cat"}, Stdin: "\n"}},
		{"ends kept", func(m *command) { m.Cmd, m.StripEmptyEnds = "cat", false },
			Run{Argv: []string{"cat"}, KeepEnds: true}},
		{"variable", func(m *command) { m.Cmd = "echo $HOME 'a b'" },
			Run{Shell: `exec echo "${HOME-\$HOME}" 'a b'`, Show: "echo '$HOME' 'a b'"}},
		{"variable kept", func(m *command) { m.Cmd, m.ExpandArgumentVars = "echo $HOME", false },
			Run{Argv: []string{"echo", "$HOME"}}},
		{"home directory", func(m *command) { m.Cmd, m.Chdir = "ls", "~/x" },
			Run{Shell: "cd -- ~/x || exit 1\nexec ls", Show: "ls"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newCommand(tt.set)
			require.NoError(t, m.Validate())
			change := check(t, m, &fake{})
			tt.want.Opaque = true
			assert.Equal(t, []Step{tt.want}, change.Steps)
			assert.Empty(t, change.Diffs)
		})
	}
}

func TestCommandValidate(t *testing.T) {
	tests := []struct {
		set func(*command)
		err string
	}{
		{func(*command) {}, "no command given; write it as free text, as cmd or as argv"},
		{func(m *command) { m.Cmd = " " }, "no command given; write it as free text, as cmd or as argv"},
		{func(m *command) { m.Cmd, m.Argv = "a", []string{"b"} }, "cmd and argv exclude each other; keep one of them"},
		{func(m *command) { m.Cmd = `echo "a` }, `command "echo \"a": the quote " is never closed`},
	}
	for _, tt := range tests {
		assert.EqualError(t, newCommand(tt.set).Validate(), tt.err)
	}
}

// The guards are looked at by the shells that will look at them.
func TestCommandGuards(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"there", "a b.log", "$HOME"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	tests := []struct {
		name, chdir, creates, removes string
		want                          string // stdout of the skip; empty: runs
	}{
		{name: "created already", creates: dir + "/there", want: "skipped, since " + dir + "/there exists"},
		{name: "not created", creates: dir + "/missing"},
		{name: "dangling link counts", creates: dir + "/dangling", want: "skipped, since " + dir + "/dangling exists"},
		{name: "pattern", creates: dir + "/*.log", want: "skipped, since " + dir + "/*.log exists"},
		{name: "pattern of letters", creates: dir + "/[s-u]here", want: "skipped, since " + dir + "/[s-u]here exists"},
		{name: "pattern without a match", creates: dir + "/*.txt"},
		{name: "literal dollar", creates: dir + "/$NOPE"},
		{name: "relative to chdir", chdir: dir, creates: "there", want: "skipped, since there exists"},
		{name: "chdir missing", chdir: dir + "/missing", removes: "there"},
		{name: "removed already", removes: dir + "/missing", want: "skipped, since " + dir + "/missing does not exist"},
		{name: "not removed", removes: dir + "/there"},
		{name: "both, created", creates: dir + "/there", removes: dir + "/there", want: "skipped, since " + dir + "/there exists"},
		{name: "both, neither there", creates: dir + "/no", removes: dir + "/no", want: "skipped, since " + dir + "/no does not exist"},
	}
	for shell, h := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				m := newCommand(func(m *command) {
					m.Cmd, m.Chdir, m.Creates, m.Removes = "true", tt.chdir, tt.creates, tt.removes
				})
				change := check(t, m, h)
				if tt.want == "" {
					assert.Equal(t, []string{"true"}, stepLines(change))
					return
				}
				assert.Empty(t, change.Steps)
				assert.Equal(t, tt.want, change.Vars["stdout"])
				assert.Equal(t, 0, change.Vars["rc"])
			})
		}
	}
}

func TestCommandReallyRuns(t *testing.T) {
	for shell, h := range shells(t) {
		m := newCommand(func(m *command) { m.Cmd, m.Chdir = `printf %s,%s "$PWD" 'x $NOPE'`, "~" })
		outs := h.take(check(t, m, h))
		require.Len(t, outs, 1, shell)
		home := strings.TrimPrefix(h.env[1], "HOME=")
		assert.Equal(t, home+",x $NOPE", outs[0].Stdout, shell)
	}
}

func TestCommandGuardFails(t *testing.T) {
	m := newCommand(func(m *command) { m.Cmd, m.Creates = "true", "/x" })
	query := guard{creates: "/x"}.query().String()
	t.Run("unreachable", func(t *testing.T) {
		_, err := m.Check(t.Context(), &fake{errs: map[string]error{query: errors.New("connection lost")}})
		assert.EqualError(t, err, "connection lost")
	})
	t.Run("no answer", func(t *testing.T) {
		_, err := m.Check(t.Context(), &fake{commands: map[string]Output{query: {Code: 2, Stderr: "sh: syntax\n"}}})
		assert.EqualError(t, err, `looking for creates "/x" and removes "": exit code 2: sh: syntax`)
	})
}
