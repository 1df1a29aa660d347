package project

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner/journal"
)

const (
	holdEnv    = "RUNBOOK_TEST_HOLD"
	childEnv   = "RUNBOOK_TEST_CHILD"
	holderTask = "runbook apply site.yaml"
)

// holdForever is the other process: it takes the lock, begins a run, says so and
// waits to be killed.
func holdForever(dir string) {
	p, err := Open(dir)
	if err == nil {
		_, err = p.Lock(context.Background(), Info{Command: holderTask}, 0, nil)
	}
	var id string
	if err == nil {
		_, id, err = p.Begin(journal.Header{Playbook: "site.yaml"})
	}
	var child *exec.Cmd
	if err == nil && os.Getenv(childEnv) != "" {
		child = exec.Command("sleep", "60")
		err = child.Start()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(id)
	if child != nil {
		fmt.Println(child.Process.Pid)
	}
	select {}
}

// other starts it; kill ends it with SIGKILL.
func other(t *testing.T, dir string, env ...string) (out *bufio.Scanner, pid int, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, holdEnv+"="+dir)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var dead atomic.Bool
	kill = func() {
		if dead.CompareAndSwap(false, true) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	out = bufio.NewScanner(stdout)
	require.True(t, out.Scan(), "the other process says what it has")
	require.False(t, strings.HasPrefix(out.Text(), "error"), out.Text())
	return out, cmd.Process.Pid, kill
}

func TestTheLockIsFreeWhenItsHolderIsKilled(t *testing.T) {
	w := bareWorld(t)
	out, pid, kill := other(t, w.Dir())
	run := out.Text()

	_, err := w.Lock(t.Context(), Info{}, 0, nil)
	var locked *Locked
	require.ErrorAs(t, err, &locked)
	require.Equal(t, pid, locked.By.PID)
	require.Equal(t, run, locked.By.Run)
	require.True(t, locked.Alive && locked.Here)
	for _, part := range []string{run, fmt.Sprint(pid), holderTask, "--lock-timeout", locked.By.Host, locked.By.User} {
		require.ErrorContains(t, err, part)
	}
	runs, err := w.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, Running, runs[0].State)
	_, ok, err := w.Resumable()
	require.NoError(t, err)
	require.False(t, ok, "a run that is at work is not resumed")

	kill()
	unlock, err := w.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err)
	runs, err = w.Runs()
	require.NoError(t, err)
	require.Equal(t, Died, runs[0].State)
	got, ok, err := w.Resumable()
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, run, got.ID)
	require.NoError(t, unlock())
	require.NoError(t, unlock(), "twice does no harm")
	require.NoFileExists(t, w.path(infoFile), "it says nothing of who is not there")
}

func TestALockIsWaitedFor(t *testing.T) {
	w := bareWorld(t)
	_, pid, kill := other(t, w.Dir())
	var told []Info
	unlock, err := w.Lock(t.Context(), Info{}, time.Minute, func(by Info) {
		told = append(told, by)
		kill()
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, unlock()) }()
	require.Len(t, told, 1)
	require.Equal(t, pid, told[0].PID)
}

func TestWaitingEnds(t *testing.T) {
	w := newWorld(t)
	second, err := Open(w.Dir())
	require.NoError(t, err)

	began := time.Now()
	_, err = second.Lock(t.Context(), Info{}, 100*time.Millisecond, func(Info) {})
	var locked *Locked
	require.ErrorAs(t, err, &locked)
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)

	gone := errors.New("gone home")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err = second.Lock(ctx, Info{}, time.Minute, func(Info) { cancel(gone) })
	require.ErrorIs(t, err, gone)
}

// A process that the run starts, and that outlives it, does not hold its lock.
func TestChildrenDoNotInheritTheLock(t *testing.T) {
	w := bareWorld(t)
	out, _, kill := other(t, w.Dir(), childEnv+"=1")
	require.True(t, out.Scan())
	var child int
	_, err := fmt.Sscan(out.Text(), &child)
	require.NoError(t, err)
	process, err := os.FindProcess(child)
	require.NoError(t, err)
	defer func() { _ = process.Kill() }()

	kill()
	unlock, err := w.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err)
	require.NoError(t, unlock())
}

// Who lists the runs looks at the lock by sharing it for a moment.
func TestListingRunsDoesNotStandInTheWayOfALock(t *testing.T) {
	w := bareWorld(t)
	unlock, err := w.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err)
	require.NoError(t, unlock())
	look, err := os.Open(w.path(lockFile))
	require.NoError(t, err)
	require.NoError(t, flock(look, syscall.LOCK_SH|syscall.LOCK_NB))
	time.AfterFunc(15*time.Millisecond, func() { _ = look.Close() })

	unlock, err = w.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err, "not even without patience")
	require.NoError(t, unlock())
}

func TestALockFileThatWasReplacedDoesNotCount(t *testing.T) {
	w := bareWorld(t)
	f, err := w.seize()
	require.NoError(t, err)
	require.NotNil(t, f)
	defer func() { require.NoError(t, f.Close()) }()
	check := func(want bool) {
		t.Helper()
		ok, err := stands(f, w.path(lockFile))
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	check(true)
	require.NoError(t, os.Remove(w.path(lockFile)))
	check(false)
	require.NoError(t, os.WriteFile(w.path(lockFile), nil, 0o600))
	check(false)
}

func TestALockThatAChildHolds(t *testing.T) {
	l := &Locked{By: Info{PID: 4711, Host: "here", User: "ann"}, Here: true}
	require.ErrorContains(t, l, "fuser")
	l.Here = false
	require.ErrorContains(t, l, "--lock-timeout", "of a process of another machine nobody can say whether it lives")
	require.ErrorContains(t, &Locked{}, "another run has the lock")
}

func TestWhatNeedsTheLock(t *testing.T) {
	w := bareWorld(t)
	for name, do := range map[string]func() error{
		"Begin":      func() error { _, _, err := w.Begin(journal.Header{}); return err },
		"Resume":     func() error { _, _, err := w.Resume("last", journal.Resumed{}); return err },
		"Checkpoint": w.Checkpoint,
		"Drop":       func() error { _, err := w.Drop("restart", nil, "ann"); return err },
		"Prune":      func() error { _, err := w.Prune(0, time.Time{}, false); return err },
		"Remove":     func() error { _, err := w.Remove("last"); return err },
	} {
		require.ErrorContainsf(t, do(), "not locked", name)
	}
	unlock, err := w.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err)
	require.NoError(t, unlock())
	require.ErrorIs(t, w.Checkpoint(), errUnlocked, "the lock is over")
}
