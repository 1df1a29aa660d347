package local

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"runbook/modules"
	"runbook/runner/shell"
)

// TestMain keeps the tests away from what this machine keeps of real commands.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runbook-local-test")
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

func open(t *testing.T) (context.Context, *Host) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	h, err := Open(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return ctx, h
}

func TestHost(t *testing.T) {
	ctx, h := open(t)
	out, err := h.Query(ctx, modules.Run{Shell: "cat; echo err >&2; exit 3", Stdin: "in"})
	require.NoError(t, err)
	assert.Equal(t, modules.Output{Stdout: "in", Stderr: "err\n", Code: 3}, out)
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, h.Write(ctx, modules.Write{Path: name, Data: []byte("data"), Mode: 0o600}))
	f, err := h.ReadFile(ctx, name)
	require.NoError(t, err)
	assert.Equal(t, "data", string(f.Data))
	require.NoError(t, h.Remove(ctx, modules.Remove{Path: name}))
	assert.NoFileExists(t, name)
}

func TestDial(t *testing.T) {
	ctx, h := open(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	conn, err := h.DialContext(ctx, "tcp", listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestAs(t *testing.T) {
	ctx, h := open(t)
	_, err := h.As(ctx, shell.Become{User: "x; id"})
	assert.ErrorContains(t, err, `become_user "x; id"`)
	if os.Getuid() == 0 { // only root may become another without a password
		nobody, err := h.As(ctx, shell.Become{User: "nobody", Method: "su"})
		require.NoError(t, err)
		out, err := nobody.Query(ctx, modules.Command("id", "-un"))
		require.NoError(t, err)
		assert.Equal(t, "nobody\n", out.Stdout)
	}
}

func TestShellIsStartedAgain(t *testing.T) {
	ctx, h := open(t)
	place, err := h.Query(ctx, modules.Run{Shell: `dirname "$(readlink /proc/$$/fd/1)"`})
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(strings.TrimSpace(place.Stdout)) }) // what is killed leaves it behind
	// The answer may still come, as the command itself lives on.
	_, _ = h.Query(ctx, modules.Run{Shell: `kill -KILL "$(cut -d" " -f4 /proc/$PPID/stat)"`})
	require.Eventually(t, func() bool {
		out, err := h.Query(ctx, modules.Command("echo", "again"))
		var lost *shell.Lost
		if err != nil && !errors.As(err, &lost) {
			t.Error(err)
		}
		return out.Stdout == "again\n"
	}, 20*time.Second, 10*time.Millisecond)
}

func TestCloseEndsCommands(t *testing.T) {
	ctx, h := open(t)
	note := filepath.Join(t.TempDir(), "pid")
	_, err := h.Lock(ctx, shell.Holder{Run: "run1", Session: "s1", Who: "tester@here"})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Do(ctx, "stubborn", modules.Run{Shell: "trap '' TERM; echo $$ >" + note + "; sleep 604; sleep 604"})
		ended <- err
	}()
	var pid string
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(note)
		pid = strings.TrimSpace(string(data))
		return err == nil && pid != ""
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, h.Close())
	require.NoError(t, <-ended)
	assert.NoDirExists(t, "/proc/"+pid)
}

// TestALostShellIsALostConnection: the engine asks another shell what became of
// the command, and what minds it is not killed with the shell's remains.
func TestALostShellIsALostConnection(t *testing.T) {
	ctx, h := open(t)
	by := shell.Holder{Run: "run1", Session: "s1", Who: "tester@here"}
	_, err := h.Lock(ctx, by)
	require.NoError(t, err)
	id, note := rand.Text(), filepath.Join(t.TempDir(), "log")
	cmd := modules.Run{Shell: `echo did >>` + note + `; kill -KILL "$(cut -d" " -f4 /proc/$PPID/stat)"; sleep 2; echo out`}
	_, err = h.Do(ctx, id, cmd)
	var unreachable interface{ Unreachable() bool }
	require.ErrorAs(t, err, &unreachable)
	require.True(t, unreachable.Unreachable())
	var lost *shell.Lost
	require.ErrorAs(t, err, &lost)
	_, err = h.Lock(ctx, by)
	require.NoError(t, err)
	out, err := h.Do(ctx, id, cmd)
	require.NoError(t, err)
	assert.Equal(t, "out\n", out.Stdout)
	did, err := os.ReadFile(note)
	require.NoError(t, err)
	assert.Equal(t, "did\n", string(did))
}
