package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

// small is a project with a little of everything, and a checkpoint.
func small(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.run("site.yaml", begun(1, "web"), changes(1, "node1"), changes(1, "node2"), ended(runner.Summary{Failed: true}))
	w.run("site.yaml", begun(1, "web"), handler(1, "restart", "node2", runner.Changed), intendingOther(1, "node3"))
	require.NoError(t, w.Checkpoint())
	return w
}

func withoutNotices(s *State) State {
	c := *s
	c.Notices = nil
	return c
}

func TestACheckpointDamagedAtAnyByteIsMadeAgain(t *testing.T) {
	w := small(t)
	want := w.state()
	require.Empty(t, want.Notices)
	data, err := os.ReadFile(w.path(stateFile))
	require.NoError(t, err)
	for _, backup := range []bool{true, false} {
		if !backup {
			require.NoError(t, os.Remove(w.path(copyFile)))
		}
		check := func(bad []byte, what string, i int) {
			require.NoError(t, os.WriteFile(w.path(stateFile), bad, 0o600))
			if i%16 != 0 {
				c, notices, lost, err := w.load()
				require.NoError(t, err)
				require.Equal(t, backup, c.Turn == want.Turn)
				require.Truef(t, lost, "%s %d", what, i)
				require.Contains(t, notices[0], "damaged")
				return
			}
			got := w.state()
			require.Equalf(t, *want, withoutNotices(got), "%s %d", what, i)
			require.NotEmptyf(t, got.Notices, "%s %d", what, i)
			require.Contains(t, got.Notices[0], stateFile+" is damaged")
			require.Equal(t, backup, strings.Contains(got.Notices[1], "is used in its place"), got.Notices)
		}
		for i := range data {
			bad := append([]byte{}, data...)
			bad[i] ^= 1 << (i % 8)
			check(bad, "flipped", i)
			check(data[:i], "cut", i)
		}
		check(append(append([]byte{}, data...), ' '), "longer", len(data))
	}

	require.NoError(t, w.Checkpoint())
	require.Empty(t, w.state().Notices, "the next run makes it good")
	require.Equal(t, want, w.state())
	kept, err := os.ReadFile(w.path(badFile))
	require.NoError(t, err)
	require.Equal(t, string(data)+" ", string(kept), "and leaves the damaged one for whoever wonders")
}

func TestAMissingCheckpointIsMadeAgain(t *testing.T) {
	w := small(t)
	want := w.state()
	require.NoError(t, os.Remove(w.path(stateFile)))
	got := w.state()
	require.Equal(t, *want, withoutNotices(got))
	require.Contains(t, got.Notices[0], "state.json is missing")
	require.NoError(t, os.Remove(w.path(copyFile)))
	got = w.state()
	require.Equal(t, *want, withoutNotices(got))
	require.Contains(t, strings.Join(got.Notices, "\n"), "made again of the journals")
}

func TestAnOldCheckpointIsBroughtUpToDate(t *testing.T) {
	w := small(t)
	old, err := os.ReadFile(w.path(stateFile))
	require.NoError(t, err)
	id := w.run("site.yaml", begun(1, "web"), handler(1, "restart", "node1", runner.Changed))
	require.NoError(t, w.Checkpoint())
	w.resume(id, begun(1, "web"), changes(1, "node9"))
	want := w.state()
	require.NoError(t, os.WriteFile(w.path(stateFile), old, 0o600))
	require.Equal(t, want, w.state())
}

// A checkpoint that is made while a run is at work counts what it has seen, and
// the next one the rest: no record twice, and none never.
func TestACheckpointInTheMiddleOfALife(t *testing.T) {
	w := newWorld(t)
	j, _, err := w.Begin(journal.Header{Playbook: "site.yaml"})
	require.NoError(t, err)
	records := []runner.Record{
		begun(1, "web"), intending(1, "node1"), changes(1, "node1"), handler(1, "restart", "node1", runner.Changed),
		changes(1, "node2"), intendingOther(1, "node3"),
	}
	for _, r := range records {
		require.NoError(t, j.Put(t.Context(), r, true))
		require.NoError(t, w.Checkpoint())
	}
	require.NoError(t, j.Close())
	want := w.state()
	require.Equal(t, []string{"site.yaml|web|restart|node2", "site.yaml|web|restart|node3"}, w.waiting())
	require.NoError(t, os.Remove(w.path(stateFile)))
	require.NoError(t, os.Remove(w.path(copyFile)))
	require.Equal(t, *want, withoutNotices(w.state()))
}

func TestANewerStateIsRefused(t *testing.T) {
	w := newWorld(t)
	line := []byte("{\"v\":2,\"else\":1}\n")
	require.NoError(t, os.WriteFile(w.path(stateFile), append(line, checksum(line)...), 0o600))
	_, err := w.State()
	require.ErrorContains(t, err, "version 2")
	require.ErrorContains(t, err, "newer runbook")
	_, _, err = w.Begin(journal.Header{})
	require.Error(t, err, "and nothing is written over it")
	require.Error(t, w.Checkpoint())
}

func TestADamagedJournalIsPassedOverWithANotice(t *testing.T) {
	w := newWorld(t)
	bad := w.run("site.yaml", begun(1, "web"), changes(1, "node1"))
	w.run("site.yaml", begun(1, "web"), changes(1, "node2"))
	damage(t, w, bad)
	s := w.state()
	require.Len(t, s.Pending, 1)
	require.Len(t, s.Notices, 1)
	require.Contains(t, s.Notices[0], bad)
	require.Contains(t, s.Notices[0], "journal.jsonl:2")
}

func damage(t *testing.T, w *world, id string) {
	t.Helper()
	path := filepath.Join(w.RunDir(id), journalFile)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	second := strings.IndexByte(string(data), '\n') + 20
	data[second] ^= 1
	require.NoError(t, os.WriteFile(path, append(data, '\n'), 0o600))
}

func TestNothingToSayOfAProjectWithoutRuns(t *testing.T) {
	w := bareWorld(t)
	require.NoError(t, os.Remove(w.path(stateFile)))
	require.NoError(t, os.Remove(w.path(copyFile)))
	s := w.state()
	require.Empty(t, s.Notices)
	require.Empty(t, s.Hosts)
	require.Empty(t, s.Pending)
}

// A run's summary beside its journal is believed only where it is whole and of
// the very journal that is there.
func TestSummariesAreNotBelievedBlindly(t *testing.T) {
	w := small(t)
	w.run("other.yaml")
	want := w.runs()
	dir := w.RunDir(want[0].ID)
	path := filepath.Join(dir, rowFile)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)

	lie := row{V: rowVersion, Run: &Run{ID: want[0].ID, State: Done, Lives: 99}}
	lie.Sum, _, err = sumOf(dir)
	require.NoError(t, err)
	data, err := encode(lie)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	require.Equal(t, 99, w.runs()[0].Lives, "it is what is read, where it fits")

	lie.Sum = strings.Repeat("0", 64)
	data, err = encode(lie)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	require.Equal(t, jsonOf(t, want), jsonOf(t, w.runs()), "of another journal")
	for i := range kept {
		bad := append([]byte{}, kept...)
		bad[i] ^= 1
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		require.Equal(t, jsonOf(t, want), jsonOf(t, w.runs()), "byte %d", i)
	}
	require.NoError(t, os.Remove(path))
	require.Equal(t, jsonOf(t, want), jsonOf(t, w.runs()))

	require.NoError(t, os.WriteFile(path, kept, 0o600))
	damage(t, w, want[0].ID)
	require.Error(t, w.runs()[0].Damage)
}
