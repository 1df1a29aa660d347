package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// The directory is refused unless it is ours alone.
func TestRunsMustBePrivate(t *testing.T) {
	tests := map[string]func(t *testing.T, runs string){
		"open to others": func(t *testing.T, runs string) {
			require.NoError(t, os.Mkdir(runs, 0o700))
			require.NoError(t, os.Chmod(runs, 0o750))
		},
		"a link": func(t *testing.T, runs string) { require.NoError(t, os.Symlink(t.TempDir(), runs)) },
		"a file": func(t *testing.T, runs string) { require.NoError(t, os.WriteFile(runs, nil, 0o600)) },
	}
	if asRoot(t) { // who alone can give a directory away
		tests["somebody's own"] = func(t *testing.T, runs string) {
			require.NoError(t, os.Mkdir(runs, 0o700))
			require.NoError(t, os.Chown(runs, 65534, 65534))
		}
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			for kind, m := range targets(t) {
				spoil(t, m.runs)
				s := unlocked(t, m.open)
				_, err := s.Lock(timed(t), me())
				assert.ErrorContains(t, err, "must be a directory of user", kind)
				_, _, err = s.Collect(timed(t), "whatever")
				assert.ErrorContains(t, err, "must be a directory of user", kind)
				assert.ErrorContains(t, s.Forget(timed(t), []string{"whatever"}), "must be a directory of user", kind)
				require.NoError(t, os.RemoveAll(m.runs))
				_, err = s.Lock(timed(t), me())
				require.NoError(t, err, kind)
				info, err := os.Lstat(m.runs)
				require.NoError(t, err)
				assert.Equal(t, os.ModeDir|0o700, info.Mode())
			}
		})
	}
}

// asRoot says whether the tests run as root; under CI they must.
func asRoot(t *testing.T) bool {
	t.Helper()
	if os.Getuid() == 0 {
		return true
	}
	require.Empty(t, os.Getenv("CI"), "the tests must run as root")
	return false
}

// Each user has a directory of his own.
func TestRunsOfAnotherUser(t *testing.T) {
	if !asRoot(t) { // who alone may become another without a password
		return
	}
	base := os.Getenv("RUNBOOK_RUNS") // which everybody may write in
	open := opener(where(base))
	for _, as := range []Become{{}, {User: "nobody", Method: "su"}} {
		s, err := New(timed(t), open, as)
		require.NoError(t, err)
		_, err = s.Lock(timed(t), me())
		require.NoError(t, err)
		out, err := s.Do(timed(t), "whose-is-it", modules.Command("id", "-u"))
		require.NoError(t, err)
		assert.FileExists(t, filepath.Join(base, "runbook-"+strings.TrimSpace(out.Stdout), "whose-is-it.rc"))
		require.NoError(t, s.Close())
	}
}

func TestSweep(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Mkdir(m.runs, 0o700))
			old := time.Now().Add(-9 * 24 * time.Hour)
			stat := must(os.ReadFile("/proc/self/stat"))
			_, rest, _ := strings.Cut(string(stat), ") ")
			boot := strings.TrimSpace(string(must(os.ReadFile("/proc/sys/kernel/random/boot_id"))))
			live := strconv.Itoa(os.Getpid()) + " " + strings.Fields(rest)[19] + " " + boot + "\n"
			for name, text := range map[string]string{
				"old-done.pid": "1 1 other\n", "old-done.rc": "0\n", "old-done.out": "text",
				"old-gone.pid": "1 1 other\n", "old-gone.out": "text",
				"old-live.pid": live, "old-live.out": "text",
				"new-done.pid": "1 1 other\n", "new-done.rc": "0\n", "new-done.out": "text",
			} {
				file := filepath.Join(m.runs, name)
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
				if name != "new-done.rc" {
					require.NoError(t, os.Chtimes(file, old, old))
				}
			}
			by := me() // whose command is still at work
			text := strings.Join([]string{"1 1 other", by.Run, by.Session, by.Who, by.Since.Format(time.RFC3339), ""}, "\n")
			require.NoError(t, os.WriteFile(filepath.Join(m.runs, "lock.holder"), []byte(text), 0o600))
			m.locked(t, by)
			assert.Eventually(t, func() bool {
				left, err := filepath.Glob(filepath.Join(m.runs, "old-[dg]*"))
				return err == nil && len(left) == 0
			}, 20*time.Second, 10*time.Millisecond)
			for _, name := range []string{"old-live.pid", "old-live.out", "new-done.pid", "new-done.out", "new-done.rc"} {
				assert.FileExists(t, filepath.Join(m.runs, name))
			}
		})
	}
}

// Standard input, words and variables of a command are in no process list while
// it is given, and nowhere on disk while it runs.
func TestSecretsLeaveNoTrace(t *testing.T) {
	for name, m := range targets(t) {
		t.Run(name, func(t *testing.T) {
			s := m.locked(t, me())
			secret := newMark()
			for id, stdin := range map[string]string{"small-secret": secret, "large-secret": secret + strings.Repeat("x", 1<<20)} {
				pipe, release := held(t)
				begin := filepath.Join(t.TempDir(), "begun")
				ended := later(t, s, id, modules.Run{
					Shell: "echo >" + begin + "; read x <" + pipe, Stdin: stdin, Env: map[string]string{"SECRET": secret},
				})
				begun(t, begin)
				dir, err := s.Query(timed(t), whereOutputIs)
				require.NoError(t, err)
				out, err := exec.Command("grep", "-rl", secret, m.runs, strings.TrimSpace(dir.Stdout)).CombinedOutput()
				assert.Error(t, err, "%s", out)
				lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
				require.NoError(t, err)
				for _, line := range lines {
					text, _ := os.ReadFile(line) // it may have ended
					if !strings.HasPrefix(string(text), "grep") {
						assert.NotContains(t, string(text), secret)
					}
				}
				release()
				require.NoError(t, <-ended)
			}
		})
	}
}
