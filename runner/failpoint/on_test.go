//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var here, there = New("test.here"), New("test.there")

// TestMain is also the process that the tests let die.
func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	for n := 1; n <= 3; n++ {
		here.Hit()
		there.Hit()
		fmt.Println("round", n)
	}
}

func child(t *testing.T, env ...string) (string, syscall.WaitStatus) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), append(env, "FAILPOINT_TEST_CHILD=1")...)
	out, _ := cmd.CombinedOutput() // how it ended is in the state
	return string(out), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestTheProcessDiesAtTheHitThatWasAskedFor(t *testing.T) {
	for _, c := range []struct{ at, out string }{
		{"test.here@1", ""},
		{"test.there@1", ""},
		{"test.here@2", "round 1\n"},
		{"test.there@3", "round 1\nround 2\n"},
	} {
		out, status := child(t, "RUNBOOK_FAILPOINT="+c.at)
		require.True(t, status.Signaled(), c.at)
		require.Equal(t, syscall.SIGKILL, status.Signal(), c.at)
		require.Equal(t, c.out, out, c.at)
	}
}

func TestAnotherNameOrMoreHitsThanThereAreLetItLive(t *testing.T) {
	for _, at := range []string{"test.nowhere@1", "test.here@4", ""} {
		out, status := child(t, "RUNBOOK_FAILPOINT="+at)
		require.Equal(t, 0, status.ExitStatus(), at)
		require.Equal(t, "round 1\nround 2\nround 3\n", out, at)
	}
}

func TestAMistakeInTheVariableIsSaid(t *testing.T) {
	for _, at := range []string{"test.here", "test.here@0", "test.here@x", "@1"} {
		out, status := child(t, "RUNBOOK_FAILPOINT="+at)
		require.Equal(t, 70, status.ExitStatus(), at)
		require.Contains(t, out, "wanted NAME@N", at)
	}
}

func TestEveryHitPointIsNotedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hit")
	_, status := child(t, "RUNBOOK_FAILPOINTS_FILE="+path, "RUNBOOK_FAILPOINT=test.there@1")
	require.True(t, status.Signaled())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "test.here\ntest.there\n", string(got), "the one it died at too")

	_, status = child(t, "RUNBOOK_FAILPOINTS_FILE="+path)
	require.Equal(t, 0, status.ExitStatus())
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "test.here\ntest.there\ntest.here\ntest.there\n", string(got), "once a process")
}

func TestNamesAreListedAndUnique(t *testing.T) {
	require.Equal(t, []string{"test.here", "test.there"}, Names())
	require.PanicsWithValue(t, "failpoint: test.here is registered twice", func() { New("test.here") })
}
