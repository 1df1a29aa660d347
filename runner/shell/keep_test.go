package shell

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// target is a machine of its own: shells on it share what it keeps.
type target struct {
	open Opener
	runs string // where it keeps commands
}

// targets are machines with a shell of every kind. The words are what else is in
// the environment there. Some busyboxes have a flock and this one may not.
func targets(t *testing.T, words ...string) map[string]target {
	found := map[string]target{}
	for name, open := range shells(t) {
		base := t.TempDir()
		env := append([]string{"RUNBOOK_RUNS=" + base}, words...)
		found[name] = target{
			runs: filepath.Join(base, "runbook-"+strconv.Itoa(os.Getuid())),
			open: func(ctx context.Context, line string) (Streams, error) {
				return open(ctx, "export "+strings.Join(env, " ")+"; "+line)
			},
		}
	}
	return found
}

// killed is a shell that will be lost in the test.
func (m target) killed(t *testing.T, by Holder) *Shell {
	s, err := New(timed(t), m.open, Become{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // it is over already
	_, err = s.Lock(timed(t), by)
	require.NoError(t, err)
	return s
}

func (m target) locked(t *testing.T, by Holder) *Shell {
	s := unlocked(t, m.open)
	grip, err := s.Lock(timed(t), by)
	require.NoError(t, err)
	require.True(t, grip.Fresh)
	return s
}

// kill ends the shell itself as nothing else does, and what it left behind.
func kill(t *testing.T, s *Shell) {
	dir, err := s.Query(timed(t), whereOutputIs)
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(strings.TrimSpace(dir.Stdout)) })
	require.NoError(t, syscall.Kill(pid(t, s), syscall.SIGKILL))
}

// pid is that of the shell itself.
func pid(t *testing.T, s *Shell) int {
	out, err := s.Query(timed(t), modules.Run{Shell: `cut -d" " -f4 "/proc/$PPID/stat"`})
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(out.Stdout))
	require.NoError(t, err)
	return n
}

// held makes a pipe that commands can wait at, and lets one of them go on.
func held(t *testing.T) (pipe string, release func()) {
	pipe = filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	return pipe, func() { require.NoError(t, os.WriteFile(pipe, []byte("go\n"), 0)) }
}

// begun waits until the command has made the file.
func begun(t *testing.T, file string) {
	awaitFile(file)
	require.FileExists(t, file)
}

// later runs a Do beside the test.
func later(t *testing.T, s *Shell, id string, cmd modules.Run) <-chan error {
	ctx := timed(t)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Do(ctx, id, cmd)
		ended <- err
	}()
	return ended
}

func (m target) supervisor(t *testing.T, id string) int {
	text, err := os.ReadFile(filepath.Join(m.runs, id+".pid"))
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.Fields(string(text))[0])
	require.NoError(t, err)
	return n
}

func TestDoHasOneEffect(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by := me()
			first, second := m.locked(t, by), m.locked(t, by)
			log := filepath.Join(t.TempDir(), "log")
			cmd := modules.Run{Shell: "echo x >>" + log + "; sleep 0.3; echo out; echo err >&2; exit 3"}
			want := modules.Output{Stdout: "out\n", Stderr: "err\n", Code: 3}
			var all sync.WaitGroup
			for _, s := range []*Shell{first, first, second, second} {
				all.Go(func() {
					out, err := s.Do(timed(t), "only-once", cmd)
					assert.NoError(t, err)
					assert.Equal(t, want, out)
				})
			}
			all.Wait()
			out, err := second.Do(timed(t), "only-once", cmd)
			require.NoError(t, err)
			assert.Equal(t, want, out)
			text, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.Equal(t, "x\n", string(text))
			fate, out, err := first.Collect(timed(t), "only-once")
			require.NoError(t, err)
			assert.Equal(t, Finished, fate)
			assert.Equal(t, want, out)

			require.NoError(t, first.Forget(timed(t), []string{"only-once", "neverwas"}))
			left, err := filepath.Glob(filepath.Join(m.runs, "only-once*"))
			require.NoError(t, err)
			assert.Empty(t, left)
			fate, _, err = second.Collect(timed(t), "only-once")
			require.NoError(t, err)
			assert.Equal(t, Never, fate)
		})
	}
}

func TestDoRefuses(t *testing.T) {
	s := unlocked(t, shells(t)["sh"])
	_, err := s.Do(timed(t), "unlocked", modules.Command("true"))
	require.ErrorIs(t, err, ErrUnlocked)
	for _, id := range []string{"", "lock", "../../etc", "with space", "-rf-slash", "lock.holder"} {
		_, err := s.Do(timed(t), id, modules.Command("true"))
		assert.ErrorContains(t, err, "is not the name of a command")
		_, _, err = s.Collect(timed(t), id)
		assert.ErrorContains(t, err, "is not the name of a command")
		assert.ErrorContains(t, s.Forget(timed(t), []string{id}), "is not the name of a command")
	}
}

// A command goes on without its shell, with all of its standard input, and
// another shell has its result.
func TestShellIsKilled(t *testing.T) {
	big := strings.Repeat(allBytes, 1<<20/len(allBytes))
	for size, stdin := range map[string]string{"small": "it's 12 bytes", "big": big} {
		for name, m := range targets(t) {
			t.Run(name+"/"+size, func(t *testing.T) {
				t.Parallel()
				by := me()
				s := m.killed(t, by)
				pipe, release := held(t)
				begin := filepath.Join(t.TempDir(), "begun")
				later(t, s, "goes-on-1", modules.Run{
					Shell: "echo one; echo >" + begin + "; read x <" + pipe + "; cat; echo two >&2; exit 7", Stdin: stdin,
				})
				begun(t, begin)
				kill(t, s)
				again := m.locked(t, life(by, "s2"))
				release()
				fate, out, err := again.Collect(timed(t), "goes-on-1")
				require.NoError(t, err)
				assert.Equal(t, Finished, fate)
				assert.True(t, modules.Output{Stdout: "one\n" + stdin, Stderr: "two\n", Code: 7} == out, "%.200q", out)
				s.end(errors.New("the test ends it"))
			})
		}
	}
}

func TestSupervisorIsKilled(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by := me()
			s, other := m.locked(t, by), m.locked(t, by)
			pipe, release := held(t)
			begin := filepath.Join(t.TempDir(), "begun")
			ended := later(t, s, "orphaned", modules.Run{Shell: "echo one; echo >" + begin + "; read x <" + pipe + "; echo two"})
			begun(t, begin)
			require.NoError(t, syscall.Kill(m.supervisor(t, "orphaned"), syscall.SIGKILL))

			ctx, cancel := context.WithTimeout(timed(t), time.Second)
			defer cancel()
			_, _, err := other.Collect(ctx, "orphaned")
			require.ErrorIs(t, err, context.DeadlineExceeded, "the command is still at work")
			release()
			fate, out, err := other.Collect(timed(t), "orphaned")
			require.NoError(t, err)
			assert.Equal(t, Gone, fate)
			assert.Equal(t, "one\ntwo\n", out.Stdout)
			assert.ErrorContains(t, <-ended, "how it ended is not known")
		})
	}
}

func TestCommandIsKilled(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			s := m.locked(t, me())
			for id, stdin := range map[string]string{"without-stdin": "", "with-stdin": "text"} {
				out, err := s.Do(timed(t), id, modules.Run{Shell: "echo one; kill -KILL $$", Stdin: stdin})
				require.NoError(t, err)
				assert.Equal(t, modules.Output{Stdout: "one\n", Code: 137}, out)
			}
		})
	}
}

// Signals for a supervisor do not end its wait, and the command has none of its
// handling.
func TestSupervisorIsSignalled(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := m.locked(t, me())
			for id, stdin := range map[string]string{"signal-1": "", "signal-2": "text"} {
				pipe, release := held(t)
				begin := filepath.Join(t.TempDir(), "begun")
				cmd := modules.Run{Shell: "echo >" + begin + "; read x <" + pipe + "; kill -HUP $$", Stdin: stdin}
				ended := make(chan modules.Output, 1)
				go func() {
					out, err := s.Do(timed(t), id, cmd)
					assert.NoError(t, err)
					ended <- out
				}()
				begun(t, begin)
				for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
					require.NoError(t, syscall.Kill(m.supervisor(t, id), signal))
				}
				release()
				assert.Equal(t, 129, (<-ended).Code)
			}
		})
	}
}

// What was found of a command that this boot did not see, or that was never
// begun, is not called finished.
func TestCollectDoubts(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := m.locked(t, me())
			for id, files := range map[string]map[string]string{
				"claim-only": {"pid": ""},
				"other-boot": {"pid": strconv.Itoa(os.Getpid()) + " 1 other\n", "group": "-1\n"},
				"reused-pid": {"pid": strconv.Itoa(os.Getpid()) + " 1 " + s.boot + "\n"},
				"torn-rcode": {"pid": "1 1 " + s.boot + "\n", "rc": ""},
			} {
				for file, text := range files {
					require.NoError(t, os.WriteFile(filepath.Join(m.runs, id+"."+file), []byte(text), 0o600))
				}
			}
			for _, id := range []string{"claim-only", "other-boot", "reused-pid", "torn-rcode"} {
				fate, _, err := s.Collect(timed(t), id)
				require.NoError(t, err)
				assert.Equal(t, Gone, fate, id)
				_, err = s.Do(timed(t), id, modules.Command("true"))
				assert.ErrorContains(t, err, "how it ended is not known", id)
			}
			fate, _, err := s.Collect(timed(t), "not-there")
			require.NoError(t, err)
			assert.Equal(t, Never, fate)
		})
	}
}

// Only a command that printed far too much is ended for it.
func TestFlood(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		pipe := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		ended := make(chan error, 1)
		flood := `"$rb_runs/flooding." "$rb_runs/flooding.group"`
		go func() {
			_, err := s.Do(timed(t), "flooding", modules.Run{Shell: "head -c 10240 /dev/zero; echo printed >" + pipe + "; sleep 605"})
			ended <- err
		}()
		_, err := os.ReadFile(pipe)
		require.NoError(t, err)
		s.tell("rb_flood " + flood + " 21\n") // blocks of 512 bytes
		_, err = s.Query(timed(t), modules.Command("true"))
		require.NoError(t, err)
		assert.Empty(t, ended, "10240 bytes are not more than 21 blocks")
		s.tell("rb_flood " + flood + " 19\n")
		assert.ErrorContains(t, <-ended, "send its output to a file")
	})
}
