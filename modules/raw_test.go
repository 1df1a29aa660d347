package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRaw(t *testing.T) {
	m := &raw{Cmd: "echo hi", Executable: "/bin/bash"}
	require.NoError(t, m.Validate())
	change := check(t, m, &fake{})
	assert.Equal(t, []Step{Run{Shell: "echo hi", Exe: "/bin/bash", Opaque: true, KeepEnds: true}}, change.Steps)
	assert.Empty(t, change.Diffs)
}

func TestRawValidate(t *testing.T) {
	assert.EqualError(t, (&raw{}).Validate(), "cmd is empty; write the shell text to run")
	assert.EqualError(t, (&raw{Cmd: "x", Executable: "sh"}).Validate(),
		"executable must be an absolute path, such as /bin/bash")
}
