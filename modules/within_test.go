package modules

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hold starts a command that says ready and then reads its input until the test
// ends, so that its namespaces live as long, and returns its process id.
func hold(t *testing.T, argv ...string) string {
	t.Helper()
	holder := exec.Command(argv[0], argv[1:]...)
	holder.Stderr = os.Stderr
	stdin, err := holder.StdinPipe()
	require.NoError(t, err)
	stdout, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	t.Cleanup(func() {
		assert.NoError(t, stdin.Close())
		assert.NoError(t, holder.Wait())
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return strconv.Itoa(holder.Process.Pid)
}

// within is a target that is entered by putting words before every command.
type within struct {
	*here
	enter []string
}

func (w within) words(r Run) Run {
	if r.Shell != "" {
		r.Argv, r.Shell = []string{"/bin/sh", "-c", r.Shell}, ""
	}
	r.Argv = append(append([]string{}, w.enter...), r.Argv...)
	return r
}

func (w within) Query(ctx context.Context, r Run) (Output, error) {
	return w.here.Query(ctx, w.words(r))
}

// take takes the steps of a change, which must succeed.
func (w within) take(c Change) {
	w.t.Helper()
	for _, s := range c.Steps {
		out, err := w.Query(context.Background(), s.(Run))
		require.NoError(w.t, err)
		require.Zero(w.t, out.Code, "%s\n%s\n%s", s, out.Stdout, out.Stderr)
	}
}

func (w within) sh(script string) string {
	w.t.Helper()
	out, err := w.Query(context.Background(), Run{Shell: script, Env: aptEnv()})
	require.NoError(w.t, err)
	require.Zero(w.t, out.Code, "%s\n%s\n%s", script, out.Stdout, out.Stderr)
	return out.Stdout
}

// needsRoot ends a test that only root can run. Where CI runs it, that is a
// failure.
func needsRoot(t *testing.T, tools ...string) {
	t.Helper()
	why := ""
	if os.Getuid() != 0 {
		why = "not root"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			why = tool + " is not installed"
		}
	}
	if why != "" {
		cannot(t, why)
	}
}

// cannot ends a test that this machine cannot run, with the reason.
func cannot(t *testing.T, why string) {
	t.Helper()
	require.Empty(t, os.Getenv("CI"), why)
	t.Skip("not confirmed with the real tools: " + why)
}
