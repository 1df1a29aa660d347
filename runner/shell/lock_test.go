package shell

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// lockables are targets with and without flock(1).
func lockables(t *testing.T, words ...string) map[string]target {
	found := map[string]target{}
	for name, m := range targets(t, words...) {
		found[name] = m
	}
	if len(found) > 1 {
		delete(found, "sh") // one of the others
	}
	if flock, err := exec.LookPath("flock"); err == nil {
		dir := t.TempDir()
		require.NoError(t, os.Symlink(flock, filepath.Join(dir, "flock")))
		if m, ok := targets(t, append(words, "PATH=$PATH:"+dir)...)["busybox"]; ok {
			found["busybox with flock"] = m
		}
	}
	if busybox, err := exec.LookPath("busybox"); err == nil {
		dir := t.TempDir()
		require.NoError(t, exec.Command(busybox, "--install", "-s", dir).Run())
		if err := os.Remove(filepath.Join(dir, "flock")); !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
		}
		for _, name := range []string{"dash", "bash"} {
			if m, ok := targets(t, append(words, "PATH="+dir)...)[name]; ok {
				found[name+" without flock"] = m
			}
		}
	}
	return found
}

// life is another life of the same run.
func life(of Holder, session string) Holder {
	of.Session = session
	return of
}

func TestLock(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, theirs := me(), me()
			s := m.killed(t, mine)
			grip, err := s.Lock(timed(t), mine)
			require.NoError(t, err)
			assert.False(t, grip.Fresh)
			assert.Equal(t, strings.TrimSpace(string(must(os.ReadFile("/proc/sys/kernel/random/boot_id")))), grip.Boot)

			other := unlocked(t, m.open)
			_, err = other.Lock(timed(t), theirs)
			var held *Held
			require.ErrorAs(t, err, &held)
			assert.Equal(t, mine, held.By)
			assert.ErrorContains(t, err, "locked by run "+mine.Run+" of tester@here since 2026-07-01 12:00:00")
			_, err = other.Do(timed(t), "not-locked", modules.Command("true"))
			require.ErrorIs(t, err, ErrUnlocked)
			_, err = s.Do(timed(t), "is-locked", modules.Command("true"))
			require.NoError(t, err, "the other's attempt took nothing away")

			kill(t, s)
			require.Eventually(t, func() bool {
				grip, err = other.Lock(timed(t), theirs)
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			assert.True(t, grip.Fresh)
		})
	}
}

func TestUnlock(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, theirs := me(), me()
			s, sibling, other := m.locked(t, mine), m.locked(t, mine), unlocked(t, m.open)
			require.NoError(t, s.Unlock(timed(t)))
			require.NoError(t, s.Unlock(timed(t)), "it is as asked")
			_, err := s.Do(timed(t), "not-locked", modules.Command("true"))
			require.ErrorIs(t, err, ErrUnlocked)
			_, err = other.Lock(timed(t), theirs)
			require.Error(t, err, "the sibling has it")
			require.NoError(t, sibling.Unlock(timed(t)))
			grip, err := other.Lock(timed(t), theirs)
			require.NoError(t, err)
			assert.True(t, grip.Fresh)
			var held *Held
			_, err = s.Lock(timed(t), mine)
			require.ErrorAs(t, err, &held)
			assert.Equal(t, theirs, held.By)
			require.NoError(t, other.Unlock(timed(t)))
			grip, err = s.Lock(timed(t), mine)
			require.NoError(t, err)
			assert.True(t, grip.Fresh, "it was another's meanwhile")
		})
	}
}

func TestLockRefuses(t *testing.T) {
	s := unlocked(t, shells(t)["sh"])
	for _, text := range []string{"", "two\nlines", "bell\a", " spaces ", "\xff", strings.Repeat("x", 300)} {
		for _, by := range []Holder{{text, "s", "w", time.Time{}}, {"r", text, "w", time.Time{}}, {"r", "s", text, time.Time{}}} {
			_, err := s.Lock(timed(t), by)
			assert.ErrorContains(t, err, "printable text")
		}
	}
	odd := Holder{Run: "it's $HOME", Session: "`id`", Who: `"quoted" \back -n %s`, Since: time.Unix(1e9, 0).UTC()}
	_, err := s.Lock(timed(t), odd)
	require.NoError(t, err)
	_, err = s.Lock(timed(t), me())
	var held *Held
	require.ErrorAs(t, err, &held)
	assert.Equal(t, odd, held.By)
}

func TestHolderThatCannotBeRead(t *testing.T) {
	for name, m := range lockables(t) {
		if name == "busybox" || strings.Contains(name, "without") {
			continue // there the note itself is the lock
		}
		t.Run(name, func(t *testing.T) {
			odd := Holder{Run: "it's $HOME", Session: "`id`", Who: `"quoted" \back -n %s`, Since: time.Unix(1e9, 0).UTC()}
			m.locked(t, odd)
			other := unlocked(t, m.open)
			_, err := other.Lock(timed(t), me())
			var held *Held
			require.ErrorAs(t, err, &held)
			assert.Equal(t, odd, held.By)
			for _, text := range []string{"", "1 1 x\nrun\n", "1 1 x\nru\x1bn\ns\nw\n2026-07-01T12:00:00Z\n"} {
				require.NoError(t, os.WriteFile(filepath.Join(m.runs, "lock.holder"), []byte(text), 0o600))
				_, err := other.Lock(timed(t), me())
				require.ErrorAs(t, err, &held)
				assert.ErrorContains(t, err, "cannot be read")
				assert.Zero(t, held.By)
			}
		})
	}
}

// The lock is kept while a command runs whose shell is gone, and no longer: what
// a command leaves behind does not keep it.
func TestLockIsKeptByCommands(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, theirs := me(), me()
			s := m.killed(t, mine)
			pipe, release := held(t)
			begin := filepath.Join(t.TempDir(), "begun")
			later(t, s, "keeps-it", modules.Run{
				Shell: "sleep 606 & echo $! >" + begin + "; read x <" + pipe, Stdin: "unread",
			})
			begun(t, begin)
			daemon, err := strconv.Atoi(strings.TrimSpace(string(must(os.ReadFile(begin)))))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, syscall.Kill(daemon, syscall.SIGKILL)) })
			kill(t, s)
			other := unlocked(t, m.open)
			for range 3 {
				_, err := other.Lock(timed(t), theirs)
				var by *Held
				require.ErrorAs(t, err, &by)
				assert.Equal(t, mine, by.By)
			}
			release()
			require.Eventually(t, func() bool {
				_, err := other.Lock(timed(t), theirs)
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			s.end(errors.New("the test ends it"))
		})
	}
}

// A query does not keep the lock of a shell that was killed.
func TestLockIsNotKeptByQueries(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := m.killed(t, me())
			begin := filepath.Join(t.TempDir(), "begun")
			ctx := timed(t)
			go func() { _, _ = s.Query(ctx, modules.Run{Shell: "echo $$ >" + begin + "; sleep 607"}) }()
			begun(t, begin)
			kill(t, s)
			other := unlocked(t, m.open)
			require.Eventually(t, func() bool {
				_, err := other.Lock(timed(t), me())
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			leader, err := strconv.Atoi(strings.TrimSpace(string(must(os.ReadFile(begin)))))
			require.NoError(t, err)
			assert.NoError(t, syscall.Kill(-leader, syscall.SIGKILL), "it was still there")
			s.end(errors.New("the test ends it"))
		})
	}
}

// A life of the run that seems to be alive (its connection is half open) is ended
// by the next, and its commands are not.
func TestNextLifeTakesOver(t *testing.T) {
	for name, m := range lockables(t) {
		for _, working := range []bool{false, true} { // on the same target, one after the other
			t.Run(fmt.Sprintf("%s/working %v", name, working), func(t *testing.T) {
				mine := me()
				s := m.killed(t, mine)
				pipe, release := held(t)
				begin := filepath.Join(t.TempDir(), "begun")
				if working {
					later(t, s, "goes-on-2", modules.Run{Shell: "echo >" + begin + "; read x <" + pipe + "; echo done"})
					begun(t, begin)
				}
				old := pid(t, s)
				again := m.locked(t, life(mine, "s2"))
				stat, err := os.ReadFile("/proc/" + strconv.Itoa(old) + "/stat")
				assert.True(t, err != nil || strings.Contains(string(stat), ") Z "), "the old shell is still there: %s", stat)
				other := unlocked(t, m.open)
				_, err = other.Lock(timed(t), me())
				var by *Held
				require.ErrorAs(t, err, &by)
				assert.Equal(t, life(mine, "s2"), by.By)
				if working {
					release()
					fate, out, err := again.Collect(timed(t), "goes-on-2")
					require.NoError(t, err)
					assert.Equal(t, Finished, fate)
					assert.Equal(t, "done\n", out.Stdout)
				}
				_, err = again.Do(timed(t), "it-is-mine", modules.Command("true"))
				require.NoError(t, err)
				s.end(errors.New("the test ends it"))
			})
		}
	}
}

// Shells of one life have the lock together, and it is theirs until the last of
// them ends, whichever that is.
func TestSiblings(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := me()
			first, second := m.killed(t, mine), m.killed(t, mine)
			grip, err := second.Lock(timed(t), mine)
			require.NoError(t, err)
			assert.False(t, grip.Fresh)
			other := unlocked(t, m.open)
			var by *Held
			kill(t, first)
			<-first.Done()
			for range 3 {
				_, err := other.Lock(timed(t), me())
				require.ErrorAs(t, err, &by)
				assert.Equal(t, mine, by.By)
			}
			_, err = second.Do(timed(t), "still-mine", modules.Command("true"))
			require.NoError(t, err)
			kill(t, second)
			require.Eventually(t, func() bool {
				_, err := other.Lock(timed(t), me())
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// Of many runs that want a target at the same time one has it.
func TestOneOfManyGetsIt(t *testing.T) {
	for name, m := range lockables(t) {
		t.Run(name, func(t *testing.T) {
			const many = 6
			shells := make([]*Shell, many)
			for i := range shells {
				shells[i] = unlocked(t, m.open)
			}
			results := make(chan error, many)
			for _, s := range shells {
				go func() {
					_, err := s.Lock(timed(t), me())
					results <- err
				}()
			}
			got := 0
			for range many {
				err := <-results
				var by *Held
				if err == nil {
					got++
				} else {
					assert.ErrorAs(t, err, &by)
				}
			}
			if strings.Contains(name, "without") || name == "busybox" {
				assert.LessOrEqual(t, got, 1) // each may have seen another that wanted it
			} else {
				assert.Equal(t, 1, got)
			}
		})
	}
}

// A shell that hears nothing of its controller ends, and its commands do not.
func TestSilence(t *testing.T) {
	for name, m := range lockables(t, "RUNBOOK_TICK=0.5") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := me()
			heard, silent := m.killed(t, mine), m.killed(t, mine)
			go heard.beat(20 * time.Millisecond)
			pipe, release := held(t)
			begin := filepath.Join(t.TempDir(), "begun")
			later(t, silent, "goes-on-3", modules.Run{Shell: "echo >" + begin + "; read x <" + pipe + "; echo done"})
			begun(t, begin)
			gone := pid(t, silent)
			require.Eventually(t, func() bool {
				stat, err := os.ReadFile("/proc/" + strconv.Itoa(gone) + "/stat")
				return err != nil || strings.Contains(string(stat), ") Z ")
			}, 20*time.Second, 10*time.Millisecond)
			release()
			fate, out, err := heard.Collect(timed(t), "goes-on-3")
			require.NoError(t, err)
			assert.Equal(t, Finished, fate)
			assert.Equal(t, "done\n", out.Stdout)
			<-silent.Done()
		})
	}
}

// What a killed shell leaves behind is cleared away.
func TestKilledShellIsClearedAway(t *testing.T) {
	for name, m := range lockables(t, "RUNBOOK_TICK=0.1") {
		t.Run(name, func(t *testing.T) {
			s := m.killed(t, me())
			dir, err := s.Query(timed(t), whereOutputIs)
			require.NoError(t, err)
			begin := filepath.Join(t.TempDir(), "begun")
			ctx := timed(t)
			go func() { _, _ = s.Query(ctx, modules.Run{Shell: "echo $$ >" + begin + "; sleep 608"}) }()
			begun(t, begin)
			require.NoError(t, syscall.Kill(pid(t, s), syscall.SIGKILL))
			require.Eventually(t, func() bool {
				_, err := os.Stat(strings.TrimSpace(dir.Stdout))
				return errors.Is(err, fs.ErrNotExist) && len(group(t, begin)) == 0
			}, 20*time.Second, 10*time.Millisecond)
			s.end(errors.New("the test ends it"))
		})
	}
}
