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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	found := map[string]Opener{"sh": opener(func(*exec.Cmd) {})}
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
		open := opener(func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "PATH="+path) })
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

func start(t testing.TB, open Opener) *Shell {
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
