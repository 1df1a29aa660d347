package shell

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"runbook/modules"
)

// TestMain keeps the tests away from what this machine keeps of real commands.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runbook-shell-test")
	if err == nil {
		err = os.Chmod(dir, 0o1777)
	}
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("RUNBOOK_RUNS", dir) // fails for a bad name only
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// where sets the base of the directories that commands are kept in.
func where(base string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		if cmd.Env == nil {
			cmd.Env = os.Environ()
		}
		cmd.Env = append(cmd.Env, "RUNBOOK_RUNS="+base)
	}
}

// do is Do under a name that nobody else has.
func (s *Shell) do(ctx context.Context, cmd modules.Run) (modules.Output, error) {
	return s.Do(ctx, newMark(), cmd)
}

// me is a holder of its own.
func me() Holder {
	return Holder{Run: newMark(), Session: "s1", Who: "tester@here", Since: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
}

// opener starts lines on this machine, as sshd would: by a login shell, without
// a terminal. change may alter the command before it starts.
func opener(change func(*exec.Cmd)) Opener {
	return func(_ context.Context, line string) (Streams, error) {
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		change(cmd)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return Streams{}, err
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return Streams{}, err
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			return Streams{}, err
		}
		if err := cmd.Start(); err != nil {
			return Streams{}, err
		}
		return Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr, Close: func() error {
			_ = stdin.Close()
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_, _ = cmd.Process.Wait()
			_ = stdout.Close()
			return stderr.Close()
		}}, nil
	}
}

// shells are the programs that stand behind the name sh, here where they are
// installed, and always the one that this machine calls sh.
func shells(t testing.TB) map[string]Opener {
	keep := where(t.TempDir())
	found := map[string]Opener{"sh": opener(keep)}
	for _, name := range []string{"dash", "bash", "busybox"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dir := t.TempDir()
		require.NoError(t, os.Symlink(program, filepath.Join(dir, "sh")))
		path := os.Getenv("PATH")
		if name == "busybox" {
			applets := t.TempDir()
			require.NoError(t, exec.Command(program, "--install", "-s", applets).Run())
			path = applets
		}
		keep := where(t.TempDir())
		open := opener(func(cmd *exec.Cmd) {
			cmd.Env = append(os.Environ(), "PATH="+path)
			keep(cmd)
		})
		found[name] = func(ctx context.Context, line string) (Streams, error) {
			return open(ctx, strings.ReplaceAll(line, "/bin/sh", filepath.Join(dir, "sh")))
		}
	}
	return found
}

// onEach runs the test on a shell of every kind.
func onEach(t *testing.T, test func(*testing.T, *Shell)) {
	for name, open := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, open))
		})
	}
}

// start starts a shell that has the lock.
func start(t testing.TB, open Opener) *Shell {
	s := unlocked(t, open)
	_, err := s.Lock(timed(t), me())
	require.NoError(t, err)
	return s
}

func unlocked(t testing.TB, open Opener) *Shell {
	s, err := New(timed(t), open, Become{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// timed is a context that fails a test which hangs.
func timed(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
