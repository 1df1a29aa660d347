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

func TestExamplesHaveNoMistakes(t *testing.T) {
	paths, err := filepath.Glob("../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		_, errs := playbooks.Load(path)
		assert.NoError(t, errs.Err(), path)
	}
}
