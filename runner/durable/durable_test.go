package durable_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/durable"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, os.WriteFile(path, []byte("longer than the new one"), 0o644))
	for _, text := range []string{"new", "", "newer"} {
		require.NoError(t, durable.Replace(path, []byte(text)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	require.Equal(t, []string{"state"}, names(t, dir))
}

// A reader finds the old file or the new one, never a part.
func TestReplaceIsWholeToReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	text := func(i int) string { return fmt.Sprintf("%0100000d", i) }
	require.NoError(t, durable.Replace(path, []byte(text(0))))
	var over atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		for !over.Load() {
			got, err := os.ReadFile(path)
			if err != nil || len(got) != len(text(0)) {
				t.Errorf("%d bytes, %v", len(got), err)
				return
			}
		}
	})
	for i := range 50 {
		require.NoError(t, durable.Replace(path, []byte(text(i))))
	}
	over.Store(true)
	reading.Wait()
}

func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, durable.Replace(filepath.Join(dir, "none", "state"), nil), fs.ErrNotExist)
	path := filepath.Join(dir, "state")
	require.NoError(t, os.Mkdir(path, 0o700))
	require.Error(t, durable.Replace(path, []byte("new")), "a directory is not replaced")
	require.Equal(t, []string{"state"}, names(t, dir), "and nothing is left")
}

func TestCreateHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			switch err := durable.Create(path, fmt.Append(nil, i)); {
			case err == nil:
				won.Store(int32(i) + 1)
			default:
				assert.ErrorIs(t, err, fs.ErrExist)
			}
		})
	}
	all.Wait()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(won.Load()-1), string(got))
	require.Equal(t, []string{"key"}, names(t, dir))
}

// What a killed writer leaves is swept, and what belongs to others is not.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"state", ".state.tmp-1", ".state.tmp-22", ".states.tmp-1", ".state", "x.state.tmp-1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".state.tmp-dir"), 0o700))
	durable.Sweep(filepath.Join(dir, "state"))
	require.Equal(t, []string{".state", ".state.tmp-dir", ".states.tmp-1", "state", "x.state.tmp-1"}, names(t, dir))
	durable.Sweep(filepath.Join(dir, "none", "state"))
}
