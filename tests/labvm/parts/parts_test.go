//go:build linux

package parts

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestLay(t *testing.T) {
	tree := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "etc/conf"), []byte("Debian's"), 0o600))
	ours := fstest.MapFS{
		"files/etc/other":              {Data: []byte("ours")},
		"files/usr/local/sbin/program": {Data: []byte("#!/bin/sh\n")},
	}
	require.NoError(t, lay(ours, tree))
	for path, mode := range map[string]os.FileMode{"etc/conf": 0o600, "etc/other": 0o644, "usr/local/sbin/program": 0o755} {
		info, err := os.Stat(filepath.Join(tree, path))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}

	before, err := contentOf(ours)
	require.NoError(t, err)
	ours["files/etc/other"].Data = []byte("changed")
	after, err := contentOf(ours)
	require.NoError(t, err)
	require.NotEqual(t, before, after, "other files, another tree")
}

func TestCopyPlain(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	require.ErrorContains(t, copyPlain(from, to), "the tree's kernel is the newest")
	require.NoError(t, os.WriteFile(filepath.Join(from, "linux-image-6.12+deb12_1%3a6.12-1~bpo12+1_amd64.deb"), []byte("deb"), 0o644))
	require.NoError(t, copyPlain(from, to))
	require.FileExists(t, filepath.Join(to, "linux-image-6.12-deb12_1-6.12-1-bpo12-1_amd64.deb"))
}

func TestOne(t *testing.T) {
	dir := t.TempDir()
	_, err := one(filepath.Join(dir, "vmlinuz-*"))
	require.ErrorContains(t, err, "vmlinuz-* is wanted, found []")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vmlinuz-6.1"), nil, 0o644))
	path, err := one(filepath.Join(dir, "vmlinuz-*"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "vmlinuz-6.1"), path)
}
