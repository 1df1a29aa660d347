package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShellStep(t *testing.T) {
	text := "in"
	tests := []struct {
		name string
		m    shell
		want Run
	}{
		{"text", shell{Cmd: "a | b > c\n"}, Run{Shell: "a | b > c\n"}},
		{"everything", shell{Cmd: "cat", Executable: "/bin/bash", Chdir: "/srv", Stdin: &text, StdinAddNewline: true},
			Run{Shell: "cat", Exe: "/bin/bash", Dir: "/srv", Stdin: "in\n"}},
		{"home directory", shell{Cmd: " ls ", Chdir: "~"},
			Run{Shell: "cd -- ~ || exit 1\n ls ", Show: "ls"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.m.Validate())
			change := check(t, &tt.m, &fake{})
			tt.want.Opaque = true
			assert.Equal(t, []Step{tt.want}, change.Steps)
			assert.Equal(t, tt.m.Cmd, change.Vars["cmd"])
		})
	}
}

func TestShellValidate(t *testing.T) {
	assert.EqualError(t, (&shell{Cmd: "\n"}).Validate(), "cmd is empty; write the shell text to run")
	assert.EqualError(t, (&shell{Cmd: "a", Executable: "bash"}).Validate(),
		"executable must be an absolute path, such as /bin/bash")
}

func TestShellGuard(t *testing.T) {
	m := &shell{Cmd: "make", Chdir: "/src", Creates: "a.out"}
	query := guard{"/src", "a.out", ""}.query().String()
	t.Run("created already", func(t *testing.T) {
		change := check(t, m, &fake{commands: map[string]Output{query: {Stdout: "creates\n"}}})
		assert.Empty(t, change.Steps)
		assert.Equal(t, "skipped, since a.out exists", change.Vars["stdout"])
	})
	t.Run("query fails", func(t *testing.T) {
		_, err := m.Check(t.Context(), &fake{commands: map[string]Output{query: {Code: 127, Stderr: "no shell"}}})
		assert.ErrorContains(t, err, "exit code 127: no shell")
	})
}
