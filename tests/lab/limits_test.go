//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALimitIsRaisedAndPutBack(t *testing.T) {
	limit, kept := filepath.Join(t.TempDir(), "limit"), filepath.Join(t.TempDir(), "kept")
	is := func() string {
		data, err := os.ReadFile(limit)
		require.NoError(t, err)
		return string(data)
	}
	require.NoError(t, os.WriteFile(limit, []byte("128\n"), 0o644))
	require.NoError(t, lower(limit, kept))
	require.Equal(t, "128\n", is(), "nothing was raised")
	require.NoError(t, raise(limit, kept, 512))
	require.Equal(t, "512", is())

	other := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, raise(limit, other, 512))
	require.NoError(t, lower(limit, other))
	require.Equal(t, "512", is(), "a second lab has raised nothing, so it lowers nothing")

	require.NoError(t, lower(limit, kept))
	require.Equal(t, "128\n", is())
}
