package shell

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

func TestReadFile(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		dir := filepath.Join(t.TempDir(), "it's a dir\n")
		require.NoError(t, os.Mkdir(dir, 0o755))
		at := func(name string) string { return filepath.Join(dir, name) }
		big := bytes.Repeat([]byte("x"), maxOutput+1)
		require.NoError(t, os.WriteFile(at("-file"), []byte(allBytes), 0o640))
		require.NoError(t, os.WriteFile(at("empty"), nil, 0o600))
		require.NoError(t, os.WriteFile(at("big"), big, 0o600))
		require.NoError(t, os.Symlink("-file", at("link")))
		require.NoError(t, os.Symlink("nowhere", at("dangling")))
		require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
		require.NoError(t, os.Chmod(at("empty"), 0o4755|fs.ModeSetuid))

		tests := map[string]modules.File{
			"-file":      {Exists: true, Data: []byte(allBytes), Size: int64(len(allBytes)), Mode: 0o640},
			"empty":      {Exists: true, Data: []byte{}, Mode: 0o755 | fs.ModeSetuid},
			"big":        {Exists: true, Data: big[:maxOutput], Size: maxOutput + 1, Mode: 0o600},
			"link":       {Exists: true, Data: []byte(allBytes), Size: int64(len(allBytes)), Mode: 0o640, Link: "-file"},
			"dangling":   {Link: "nowhere"},
			"pipe":       {Exists: true, Mode: 0o600 | fs.ModeNamedPipe},
			"none":       {},
			"-file/none": {},
		}
		for name, want := range tests {
			got, err := s.ReadFile(timed(t), at(name))
			require.NoError(t, err, name)
			if want.Exists {
				info, err := os.Stat(at(name))
				require.NoError(t, err)
				assert.True(t, got.ModTime.Equal(info.ModTime().Truncate(1e9)), name)
				assert.Equal(t, int(info.Sys().(*syscall.Stat_t).Uid), got.UID, name)
				assert.NotEmpty(t, got.Owner, name)
			}
			assert.True(t, bytes.Equal(want.Data, got.Data), "%s: %.100q", name, got.Data)
			got.Data, want.Data = nil, nil
			want.ModTime, want.UID, want.GID = got.ModTime, got.UID, got.GID
			want.Owner, want.Group = got.Owner, got.Group
			assert.Equal(t, want, got, name)
		}
		proc, err := s.ReadFile(timed(t), "/proc/sys/kernel/ostype")
		require.NoError(t, err)
		assert.Equal(t, "Linux\n", string(proc.Data), "a file that has no size but content")
		dirFile, err := s.ReadFile(timed(t), dir)
		require.NoError(t, err)
		assert.True(t, dirFile.Mode.IsDir())
		_, err = s.ReadFile(timed(t), "relative")
		assert.ErrorContains(t, err, `"relative"`)
	})
}

func TestWrite(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		dir := t.TempDir()
		big := bytes.Repeat([]byte(allBytes), 5<<20/len(allBytes))
		tests := map[string]struct {
			old       string // content before; none where empty
			oldMode   fs.FileMode
			write     modules.Write
			mode      fs.FileMode
			backups   int
			wantError string
		}{
			"new":                {write: modules.Write{Data: []byte(allBytes)}, mode: 0o644},
			"new, with a mode":   {write: modules.Write{Data: []byte("x"), Mode: 0o600}, mode: 0o600},
			"empty":              {write: modules.Write{Mode: 0o640}, mode: 0o640},
			"old, mode is kept":  {old: "old", oldMode: 0o751, write: modules.Write{Data: []byte("new")}, mode: 0o751},
			"old, with a backup": {old: "old", oldMode: 0o640, write: modules.Write{Data: []byte("new"), Backup: true}, mode: 0o640, backups: 1},
			"five megabytes":     {write: modules.Write{Data: big}, mode: 0o644},
			"set-user-ID":        {write: modules.Write{Data: []byte("x"), Mode: 0o755 | fs.ModeSetuid}, mode: 0o755 | fs.ModeSetuid},
			"no such user":       {old: "old", oldMode: 0o600, write: modules.Write{Data: []byte("x"), Owner: "no-such-user"}, wantError: "no-such-user"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				place := filepath.Join(dir, name)
				require.NoError(t, os.Mkdir(place, 0o755))
				test.write.Path = filepath.Join(place, "the 'file'")
				if test.old != "" {
					require.NoError(t, os.WriteFile(test.write.Path, []byte(test.old), 0o600))
					require.NoError(t, os.Chmod(test.write.Path, test.oldMode))
				}
				err := s.Write(timed(t), test.write)
				entries, errDir := os.ReadDir(place)
				got, errRead := os.ReadFile(test.write.Path)
				require.NoError(t, errors.Join(errDir, errRead))
				if test.wantError != "" {
					require.ErrorContains(t, err, test.wantError)
					assert.Equal(t, test.old, string(got))
					assert.Len(t, entries, 1, "the temporary file is gone")
					return
				}
				require.NoError(t, err)
				assert.True(t, bytes.Equal(test.write.Data, got))
				info, err := os.Stat(test.write.Path)
				require.NoError(t, err)
				assert.Equal(t, test.mode, info.Mode())
				assert.Len(t, entries, 1+test.backups)
			})
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	s := start(t, shells(t)["sh"])
	dir := t.TempDir()
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "link")))
	tests := map[string]struct{ path, want string }{
		"a directory":           {dir, "is a directory"},
		"a link to a directory": {filepath.Join(dir, "link"), "is a directory"},
		"no directory":          {filepath.Join(dir, "none", "file"), "does not exist"},
		"relative":              {"file", "absolute"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, s.Write(timed(t), modules.Write{Path: test.path}), test.want)
		})
	}
}

func TestWriteReplacesLink(t *testing.T) {
	s := start(t, shells(t)["sh"])
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, s.Write(timed(t), modules.Write{Path: link, Data: []byte("new")}))
	kept, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "old", string(kept))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular())
}

func TestRemove(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		require.NoError(t, os.WriteFile(at("file"), nil, 0o400))
		require.NoError(t, os.Mkdir(at("empty"), 0o755))
		require.NoError(t, os.MkdirAll(at("full/below"), 0o755))
		require.NoError(t, os.Symlink(at("full"), at("link")))
		tests := []struct {
			remove modules.Remove
			want   string
		}{
			{modules.Remove{Path: at("file")}, ""},
			{modules.Remove{Path: at("file")}, ""},
			{modules.Remove{Path: at("empty")}, ""},
			{modules.Remove{Path: at("link"), Recursive: true}, ""},
			{modules.Remove{Path: at("full")}, "not empty"},
			{modules.Remove{Path: at("full"), Recursive: true}, ""},
			{modules.Remove{Path: "/../", Recursive: true}, "the root directory stays"},
			{modules.Remove{Path: ""}, "absolute"},
		}
		for _, test := range tests {
			err := s.Remove(timed(t), test.remove)
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				continue
			}
			require.NoError(t, err)
			assert.NoFileExists(t, test.remove.Path)
			if filepath.Base(test.remove.Path) == "link" {
				assert.DirExists(t, at("full/below"), "a link is not followed")
			}
		}
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
}
