package source_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func TestFilesRememberWhatWasRead(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("a", []byte("1"), 0o600))
	var read source.Files
	f, err := read.Read("./a")
	require.NoError(t, err)
	assert.Equal(t, "a", f.Name)
	_, err = read.Read("none")
	require.ErrorIs(t, err, os.ErrNotExist)
	read.Name("b")
	read.Name(filepath.Join(here, "a")) // read already
	read.Add(source.Carried+"x", []byte("x"))
	want := []source.Kept{
		{Path: filepath.Join(here, "a"), Data: []byte("1")},
		{Path: filepath.Join(here, "b"), Unread: true},
		{Path: "runbook:x", Data: []byte("x")},
	}
	assert.Equal(t, want, read.All())

	other := read.Clone()
	other.Add("b", []byte("2"))
	assert.Equal(t, want, read.All(), "a clone goes its own way")
	assert.Equal(t, source.Kept{Path: filepath.Join(here, "b"), Data: []byte("2")}, other.All()[1])
	other.Add("b", []byte("2"))
	assert.False(t, other.All()[1].Unsteady)
	other.Add("b", []byte("3"))
	other.Add("b", []byte("2"))
	assert.Equal(t, source.Kept{Path: filepath.Join(here, "b"), Data: []byte("2"), Unsteady: true}, other.All()[1])
}

func TestFilesOfNobody(t *testing.T) {
	var nobody *source.Files
	nobody.Add("a", nil)
	nobody.Name("b")
	assert.Empty(t, nobody.All())
	assert.Empty(t, nobody.Clone().All())
	_, err := nobody.Read(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestFilesOfManyAtOnce(t *testing.T) {
	var read source.Files
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			read.Add("/a", []byte("1"))
			read.Name("/b")
			_ = read.All()
		})
	}
	all.Wait()
	assert.Equal(t, []source.Kept{{Path: "/a", Data: []byte("1")}, {Path: "/b", Unread: true}}, read.All())
}
