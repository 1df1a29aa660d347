package modules

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func statOf(t *testing.T, target Target, set func(*stat)) map[string]any {
	t.Helper()
	d, _ := Lookup("stat")
	m := d.New().(*stat)
	set(m)
	require.NoError(t, m.Validate())
	change := check(t, m, target)
	assert.Empty(t, change.Diffs)
	assert.Empty(t, change.Steps)
	return change.Vars["stat"].(map[string]any)
}

func TestStat(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(name, []byte("abc"), 0o600))
	require.NoError(t, os.Chmod(name, 0o754))
	require.NoError(t, os.Symlink("file", filepath.Join(dir, "link")))
	for _, h := range shells(t) {
		file := statOf(t, h, func(m *stat) { m.Path = name })
		assert.Subset(t, file, map[string]any{
			"exists": true, "isreg": true, "isdir": false, "islnk": false, "path": name, "size": int64(3),
			"mode": "0754", "rusr": true, "xgrp": true, "wgrp": false, "roth": true, "woth": false, "isuid": false,
			"uid": os.Getuid(), "gid": os.Getgid(), "nlink": int64(1), "readable": true, "executable": true,
			"checksum": "a9993e364706816aba3e25717850c26c9cd0d89d",
		})
		assert.NotContains(t, file, "mimetype")

		md5 := statOf(t, h, func(m *stat) { m.Path, m.ChecksumAlgorithm = name, "md5" })
		assert.Equal(t, "900150983cd24fb0d6963f7d28e17f72", md5["checksum"])
		assert.NotContains(t, statOf(t, h, func(m *stat) { m.Path, m.GetChecksum = name, false }), "checksum")

		link := statOf(t, h, func(m *stat) { m.Path = dir + "/link" })
		assert.Subset(t, link, map[string]any{"islnk": true, "isreg": false, "lnk_target": "file", "lnk_source": name})
		assert.NotContains(t, link, "checksum")
		followed := statOf(t, h, func(m *stat) { m.Path, m.Follow = dir+"/link", true })
		assert.Subset(t, followed, map[string]any{"islnk": false, "isreg": true, "path": dir + "/link"})

		absent := statOf(t, h, func(m *stat) { m.Path = dir + "/no/such" })
		assert.Equal(t, map[string]any{"exists": false}, absent)
		home := statOf(t, h, func(m *stat) { m.Path = "~" })
		assert.Equal(t, true, home["isdir"])
	}
}

func TestStatFails(t *testing.T) {
	query := lookQuery("sha1", "/x").String()
	m := &stat{Path: "/x", GetChecksum: true, ChecksumAlgorithm: "sha1"}
	_, err := m.Check(t.Context(), &fake{errs: map[string]error{query: errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

func TestStatValidate(t *testing.T) {
	assert.EqualError(t, (&stat{}).Validate(), "path is empty; write the path on the target")
	assert.EqualError(t, (&stat{Path: "/x", GetMime: true}).Validate(),
		"get_mime: MIME types are not supported; drop it or write false")
	assert.EqualError(t, (&stat{Path: "/x", GetAttributes: true}).Validate(),
		"get_attributes: file system attributes are not supported; drop it or write false")
}
