package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func playbook(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir()) // where runs are kept
	t.Setenv("RUNBOOK_RUNS", t.TempDir())
	path := filepath.Join(t.TempDir(), "site.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAnInterruptedRunExitsWith130(t *testing.T) {
	path := playbook(t, `
- hosts: localhost
  gather_facts: false
  tasks:
  - {name: Sleep, shell: "touch {{ playbook_dir }}/begun; sleep 600"}
  - {name: Never, command: "true"}
`)
	// The bounds are for a run that does not heed the interruption.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	var stdout, stderr bytes.Buffer
	ended := make(chan int)
	go func() {
		ended <- Main(ctx, Env{
			Args:  []string{"apply", path, "-i", "localhost,"},
			Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" },
		})
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(path), "begun"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	interrupt()
	require.Equal(t, exitInterrupted, <-ended, stderr.String())
	require.Contains(t, stdout.String(), "how far it came is not known")
	require.Contains(t, stdout.String(), "INTERRUPTED")
	require.NotContains(t, stdout.String(), "Never")
	require.Contains(t, stderr.String(), "interrupted: runbook resume 2")
}

func TestAPasswordIsAskedForOnATerminalOnly(t *testing.T) {
	path := playbook(t, "- {hosts: localhost, gather_facts: false, tasks: [{ping: }]}\n")
	var stderr bytes.Buffer
	code := Main(t.Context(), Env{
		Args:  []string{"apply", path, "-i", "localhost,", "-K"},
		Stdin: strings.NewReader("hunter2\n"), Stdout: io.Discard, Stderr: &stderr, Getenv: func(string) string { return "" },
	})
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr.String(), "needs a terminal")
}

func TestAQuestionEndsWithTheProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	end := make(chan struct{})
	defer close(end)
	_, err := answer(ctx, func() (string, error) { <-end; return "late", nil })
	require.Equal(t, status(exitInterrupted), err)

	text, err := answer(t.Context(), func() (string, error) { return "yes\n", nil })
	require.NoError(t, err)
	require.Equal(t, "yes\n", text)
}
