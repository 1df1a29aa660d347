package project

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"runbook/runner"
	"runbook/runner/journal"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		holdForever(dir)
	}
	if dir := os.Getenv(busyEnv); dir != "" {
		busyForever(dir)
	}
	goleak.VerifyTestMain(m)
}

// world is a project that is locked by the test.
type world struct {
	*testing.T
	*Project
	clock time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := bareWorld(t)
	unlock, err := w.Lock(t.Context(), Info{Command: "test"}, 0, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unlock()) })
	return w
}

func bareWorld(t *testing.T) *world {
	t.Helper()
	p, err := Create(filepath.Join(t.TempDir(), Name))
	require.NoError(t, err)
	return &world{T: t, Project: p, clock: time.Date(2026, 11, 23, 0, 45, 12, 0, time.UTC)}
}

// tick is a later moment each time.
func (w *world) tick() time.Time {
	w.clock = w.clock.Add(time.Second)
	return w.clock
}

// run records a life of a new run; the last record decides how it ends.
func (w *world) run(playbook string, records ...runner.Record) string {
	w.Helper()
	j, id, err := w.Begin(journal.Header{Playbook: playbook, Who: "ann@control", At: w.tick()})
	require.NoError(w, err)
	w.put(j, records)
	return id
}

// resume records another life of it.
func (w *world) resume(id string, records ...runner.Record) {
	w.Helper()
	j, _, err := w.Resume(id, journal.Resumed{Who: "ann@control", At: w.tick()})
	require.NoError(w, err)
	w.put(j, records)
}

func (w *world) put(j *journal.Writer, records []runner.Record) {
	w.Helper()
	for _, r := range records {
		require.NoError(w, j.Put(context.Background(), r, false))
	}
	require.NoError(w, j.Close())
}

func (w *world) state() *State {
	w.Helper()
	s, err := w.State()
	require.NoError(w, err)
	return s
}

// waiting is the pending notifications in short.
func (w *world) waiting() []string {
	w.Helper()
	got := []string{}
	for _, n := range w.state().Pending {
		got = append(got, n.Playbook+"|"+n.Play+"|"+n.Handler+"|"+n.Host)
	}
	return got
}

func begun(play int, name string) runner.BatchBegun {
	return runner.BatchBegun{Play: play, Name: name, Batch: 1, Batches: 1}
}

// the times of outcomes rise with the tasks of a play
func outcome(play int, task, host string, status runner.Status) runner.Outcome {
	at := time.Date(2026, 11, 23, 1, 0, play, int(task[len(task)-1]), time.UTC)
	return runner.Outcome{
		Key: runner.Key{Play: play, Task: task, Host: host}, Name: "task " + task, Pos: "site.yaml:3:5",
		Status: status, Changed: status == runner.Changed, At: at,
	}
}

func notifying(o runner.Outcome, handlers ...string) runner.Outcome {
	for i, h := range handlers {
		o.Notified = append(o.Notified, runner.Called{Task: "handlers/" + string(rune('0'+i)), Name: h})
	}
	return o
}

func handler(play int, name, host string, status runner.Status) runner.Outcome {
	o := outcome(play, "handlers/0", host, status)
	o.Handler, o.Name = true, name
	return o
}

func ended(s runner.Summary) runner.Ended { return runner.Ended{Summary: s} }

func TestFindTheNearest(t *testing.T) {
	top := t.TempDir()
	deep := filepath.Join(top, "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	_, ok := Find(deep)
	require.False(t, ok, "above a temporary directory there is none")

	require.NoError(t, os.Mkdir(filepath.Join(top, Name), 0o700))
	dir, ok := Find(deep)
	require.True(t, ok)
	require.Equal(t, filepath.Join(top, Name), dir)

	require.NoError(t, os.Symlink("/nowhere", filepath.Join(top, "a", Name)))
	dir, ok = Find(deep)
	require.True(t, ok, "what Open refuses is found all the same: nothing goes past it")
	require.Equal(t, filepath.Join(top, "a", Name), dir)
	_, err := Open(dir)
	require.ErrorContains(t, err, "symbolic link")
}

func TestCreateMakesAPrivateDirectory(t *testing.T) {
	w := bareWorld(t)
	info, err := os.Stat(w.Dir())
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	ignored, err := os.ReadFile(w.path(".gitignore"))
	require.NoError(t, err)
	require.Equal(t, "*\n", string(ignored))

	_, err = w.Key()
	require.NoError(t, err)
	err = filepath.WalkDir(w.Dir(), func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zerof(t, info.Mode().Perm()&0o077, "%s has mode %o", path, info.Mode().Perm())
		return nil
	})
	require.NoError(t, err)

	before := w.state()
	_, err = Create(w.Dir())
	require.NoError(t, err, "a second time it is only opened")
	require.Equal(t, before, w.state())
}

func TestOpenRefuses(t *testing.T) {
	me := os.Geteuid()
	tests := map[string]struct {
		make func(t *testing.T, dir string)
		me   int
		want []string
	}{
		"nothing":        {func(*testing.T, string) {}, me, []string{"no such file", "the first apply"}},
		"a symlink":      {linked, me, []string{"symbolic link", "remove the link"}},
		"a file":         {func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir, nil, 0o600)) }, me, []string{"not a directory"}},
		"others may all": {mode(0o777), me, []string{"mode 0777", "chmod 700"}},
		"others may see": {mode(0o711), me, []string{"mode 0711", "chmod 700"}},
		"the group may":  {mode(0o750), me, []string{"mode 0750", "chmod 700"}},
		"another's":      {mode(0o700), me + 1, []string{"belongs to user", "run as its owner"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), Name)
			test.make(t, dir)
			var err error
			if test.me == me {
				_, err = Open(dir)
			} else {
				info, statErr := os.Lstat(dir)
				require.NoError(t, statErr)
				err = private(dir, info, test.me)
			}
			for _, part := range test.want {
				require.ErrorContains(t, err, part)
			}
			require.ErrorContains(t, err, dir)
			if name != "nothing" && test.me == me {
				_, err = Create(dir)
				require.Error(t, err, "Create is not more lenient")
			}
		})
	}
}

func linked(t *testing.T, dir string) {
	require.NoError(t, os.Mkdir(dir+".real", 0o700))
	require.NoError(t, os.Symlink(dir+".real", dir))
}

func mode(m fs.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Chmod(dir, m))
	}
}

func TestATrailingSlashDoesNotHideALink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), Name)
	linked(t, dir)
	_, err := Open(dir + "/")
	require.ErrorContains(t, err, "symbolic link")
}

// What a killed writer leaves is never taken for the file.
func TestAKilledWriterLeavesTheOldFile(t *testing.T) {
	w := newWorld(t)
	w.run("site.yaml", begun(1, "web"), notifying(outcome(1, "tasks/0", "node1", runner.Changed), "restart"))
	require.NoError(t, w.Checkpoint())
	want := w.state()
	data, err := os.ReadFile(w.path(stateFile))
	require.NoError(t, err)
	for cut := range len(data) {
		require.NoError(t, os.WriteFile(w.path("."+stateFile+".tmp-1"), data[:cut], 0o600))
		require.Equal(t, want, w.state())
	}
	require.NoError(t, w.Checkpoint())
	left, err := filepath.Glob(w.path("." + stateFile + ".tmp-*"))
	require.NoError(t, err)
	require.Empty(t, left, "the next writer sweeps")
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}
