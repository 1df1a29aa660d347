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

// trigger calls a function once the text has been written to it.
type trigger struct {
	bytes.Buffer
	text string
	call func()
}

func (t *trigger) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if strings.Contains(t.String(), t.text) {
		t.call()
	}
	return n, err
}

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
  - {name: Sleep, command: sleep 600}
  - {name: Never, command: "true"}
`)
	// Both bounds are for a run that does not heed the interruption.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, interrupt := context.WithCancel(ctx)
	out := &trigger{text: "TASK [Sleep]", call: interrupt}
	var stderr bytes.Buffer
	code := Main(ctx, Env{
		Args:  []string{"apply", path, "-i", "localhost,"},
		Stdin: strings.NewReader(""), Stdout: out, Stderr: &stderr, Getenv: func(string) string { return "" },
	})
	require.Equal(t, exitInterrupted, code, stderr.String())
	require.Contains(t, out.String(), "how far it came is not known")
	require.Contains(t, out.String(), "INTERRUPTED")
	require.NotContains(t, out.String(), "Never")
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
