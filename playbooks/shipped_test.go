package playbooks_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks"
)

func TestShippedPlaybooksHaveNoMistakes(t *testing.T) {
	names, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.Contains(t, names, "ipset-fix.yaml")
	for _, name := range names {
		book, errs := playbooks.Load(name)
		require.NoError(t, errs.Err(), name)
		assert.NotEmpty(t, book.Plays, name)
	}
}

func TestShippedPlaybooksAreFoundWithoutTheirFiles(t *testing.T) {
	require.Contains(t, playbooks.Shipped(), "ipset-fix")
	about, ok := playbooks.About("ipset-fix")
	require.True(t, ok)
	require.Contains(t, about, "runbook apply playbooks/ipset-fix.yaml")
	require.NotContains(t, about, "hosts:")
	_, ok = playbooks.About("nosuch")
	require.False(t, ok)

	t.Chdir(t.TempDir())
	for _, path := range []string{"ipset-fix", "playbooks/ipset-fix.yaml"} {
		book, errs := playbooks.Load(path)
		require.NoError(t, errs.Err(), path)
		require.NotEmpty(t, book.Plays, path)
	}
	for _, path := range []string{"nosuch", "elsewhere/ipset-fix.yaml", "playbooks/ipset-fix"} {
		_, errs := playbooks.Load(path)
		require.ErrorContains(t, errs.Err(), "no such file", path)
	}
}

func TestExamplesHaveNoMistakes(t *testing.T) {
	paths, err := filepath.Glob("../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		_, errs := playbooks.Load(path)
		assert.NoError(t, errs.Err(), path)
	}
}
