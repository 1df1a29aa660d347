package modules

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newFile(path, state string, set func(*file)) *file {
	d, _ := Lookup("file")
	m := d.New().(*file)
	m.Path, m.State = path, state
	if set != nil {
		set(m)
	}
	return m
}

func modeOf(t *testing.T, name string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(name)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestFileDirectory(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		m := newFile(dir+"/a/b c/", "directory", func(m *file) { m.Mode = "0711" })
		change := h.settle(m)
		assert.Equal(t, []Diff{
			{What: dir + "/a", Have: "absent", Want: "directory"}, {What: dir + "/a/b c", Have: "absent", Want: "directory"},
		}, change.Diffs)
		assert.Equal(t, os.FileMode(0o711), modeOf(t, dir+"/a"), "directories above get the mode too")
		assert.Equal(t, os.FileMode(0o711), modeOf(t, dir+"/a/b c"))

		change = h.settle(newFile(dir+"/a", "directory", func(m *file) { m.Mode = "0755" }))
		assert.Equal(t, []Diff{{What: "mode of " + dir + "/a", Have: "0711", Want: "0755"}}, change.Diffs)
		assert.Equal(t, "directory", change.Vars["state"])

		require.NoError(t, os.Symlink("later", dir+"/link"))
		h.settle(newFile(dir+"/link", "directory", nil))
		assert.DirExists(t, dir+"/later", "what the link points at is made")
	}
}

func TestFileRecurse(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(dir+"/sub", 0o755))
		written(t, dir+"/sub/$HOME 'x'", "", 0o600)
		written(t, dir+"/fine", "", 0o750)
		outside := written(t, filepath.Join(t.TempDir(), "outside"), "", 0o600)
		require.NoError(t, os.Symlink(outside, dir+"/link"))
		self := strconv.Itoa(os.Getuid())
		recurse := func(m *file) { m.Recurse, m.Mode, m.Owner = true, "0750", self }

		change := h.settle(newFile(dir, "directory", recurse))
		last := change.Diffs[len(change.Diffs)-1]
		assert.Equal(t, "below "+dir, last.What)
		assert.NotContains(t, last.Have, "fine")
		assert.Equal(t, "owner "+self+", mode 0750", last.Want)
		assert.Equal(t, os.FileMode(0o750), modeOf(t, dir+"/sub/$HOME 'x'"))
		assert.Equal(t, os.FileMode(0o600), modeOf(t, outside), "a link was followed out of the tree")

		_, err := newFile(dir, "directory", func(m *file) { m.Recurse, m.Owner = true, "no-such-user" }).Check(t.Context(), h)
		assert.ErrorContains(t, err, "no-such-user")
	}
}

func TestFileAbsent(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(dir+"/full/sub", 0o700))
		require.NoError(t, os.Symlink(dir+"/full", dir+"/link"))
		written(t, dir+"/file", "", 0o600)
		require.NoError(t, os.Symlink("circle", dir+"/circle"))
		assert.Empty(t, check(t, newFile(dir+"/no", "absent", nil), h).Steps)
		assert.Empty(t, check(t, newFile(dir+"/file/below", "absent", nil), h).Steps)
		h.settle(newFile(dir+"/circle", "absent", nil))

		change := h.settle(newFile(dir+"/link/", "absent", nil))
		assert.Equal(t, []Step{Remove{Path: dir + "/link"}}, change.Steps)
		assert.DirExists(t, dir+"/full", "what a link points at was removed")
		assert.Equal(t, []Step{Remove{Path: dir + "/file"}}, h.settle(newFile(dir+"/file", "absent", nil)).Steps)
		assert.Equal(t, []Step{Remove{Path: dir + "/full", Recursive: true}}, h.settle(newFile(dir+"/full", "absent", nil)).Steps)
	}
}

func TestFilePresent(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		name := written(t, dir+"/file", "", 0o600)
		require.NoError(t, os.Symlink("file", dir+"/link"))
		h.settle(newFile(name, "file", func(m *file) { m.Mode = "0640" }))
		h.settle(newFile(name, "", func(m *file) { m.Mode = "0644" }))
		h.settle(newFile(dir+"/link", "", func(m *file) { m.Mode = "0604" }))
		assert.Equal(t, os.FileMode(0o604), modeOf(t, name))
		h.settle(newFile(dir, "", func(m *file) { m.Mode = "0700" }))
	}
}

func TestFileTouch(t *testing.T) {
	for _, h := range shells(t) {
		name := filepath.Join(t.TempDir(), "file")
		change := check(t, newFile(name, "touch", func(m *file) { m.Mode = "0640" }), h)
		assert.Equal(t, []Diff{{What: name, Have: "absent", Want: "file"}}, change.Diffs)
		h.take(change)
		assert.Equal(t, os.FileMode(0o640), modeOf(t, name))

		again := check(t, newFile(name, "touch", nil), h)
		assert.Equal(t, []Step{Run{Argv: []string{"touch", "--", name}, Opaque: true}}, again.Steps)
		h.take(again)

		only := check(t, newFile(name, "touch", func(m *file) { m.AccessTime, m.Follow = "preserve", false }), h)
		assert.Equal(t, []string{"touch -m -h -- " + name}, stepLines(only))
		h.take(only)
		preserve := func(m *file) { m.AccessTime, m.ModificationTime, m.Mode = "preserve", "preserve", "0600" }
		h.settle(newFile(name, "touch", preserve))
		created := h.settle(newFile(name+"2", "touch", preserve))
		assert.False(t, created.Steps[0].(Run).Opaque, "with both times preserved it is a state")
	}
}

func TestFileLink(t *testing.T) {
	force := func(src string) func(*file) { return func(m *file) { m.Src, m.Force = src, true } }
	for _, h := range shells(t) {
		dir := t.TempDir()
		written(t, dir+"/one", "", 0o600)
		written(t, dir+"/two", "", 0o600)
		require.NoError(t, os.Mkdir(dir+"/empty", 0o700))

		change := h.settle(newFile(dir+"/link", "link", func(m *file) { m.Src, m.Mode = "one", "0644" }))
		assert.Equal(t, Diff{What: dir + "/link", Have: "absent", Want: "link to one"}, change.Diffs[0])
		assert.Equal(t, os.FileMode(0o644), modeOf(t, dir+"/one"), "the mode is that of the file")
		change = h.settle(newFile(dir+"/link", "link", func(m *file) { m.Src = dir + "/two" }))
		assert.Equal(t, []Diff{{What: dir + "/link", Have: "link to one", Want: "link to " + dir + "/two"}}, change.Diffs)
		assert.Empty(t, check(t, newFile(dir+"/link", "link", nil), h).Steps, "without src it is a link already")

		h.settle(newFile(dir+"/dangling", "link", force("nowhere")))
		h.settle(newFile(dir+"/one", "link", force("two")))
		change = h.settle(newFile(dir+"/empty", "link", force("two")))
		assert.Equal(t, []string{"rmdir -- " + dir + "/empty", "ln -s -f -n -- two " + dir + "/empty"}, stepLines(change))
	}
}

func TestFileHardLink(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		written(t, dir+"/one", "1", 0o600)
		written(t, dir+"/other", "2", 0o600)
		h.settle(newFile(dir+"/hard", "hard", func(m *file) { m.Src, m.Mode = dir+"/one", "0640" }))
		assert.Equal(t, "1", contentOf(t, dir+"/hard"))
		forced := newFile(dir+"/other", "hard", func(m *file) { m.Src, m.Force = dir+"/one", true })
		h.settle(forced)
		assert.Equal(t, "hard", check(t, forced, h).Vars["state"])
		assert.Equal(t, "1", contentOf(t, dir+"/other"))
	}
}

func TestFileFails(t *testing.T) {
	dir := t.TempDir()
	written(t, dir+"/file", "", 0o600)
	written(t, dir+"/other", "", 0o600)
	require.NoError(t, os.Symlink("nowhere", dir+"/dangling"))
	require.NoError(t, os.Symlink("no/where", dir+"/deep"))
	src := func(src string) func(*file) { return func(m *file) { m.Src = src } }
	tests := []struct {
		m   *file
		err string
	}{
		{newFile(dir+"/no", "file", nil), `file "` + dir + `/no" does not exist; create it (state: touch, or the module copy)`},
		{newFile(dir+"/no", "", nil), `file "` + dir + `/no" does not exist; create it (state: touch, or the module copy)`},
		{newFile(dir+"/dangling", "file", nil), `file "` + dir + `/dangling" does not exist; create it (state: touch, or the module copy)`},
		{newFile(dir, "file", nil), `"` + dir + `" is a directory, and state file wants a file`},
		{newFile(dir+"/file", "directory", nil), `"` + dir + `/file" is a file already; remove it first (state: absent)`},
		{newFile(dir+"/deep", "directory", nil), `"` + dir + `/deep" is a link to "no/where", which leads nowhere`},
		{newFile(dir+"/file", "link", nil), `"` + dir + `/file" is no link yet; say with src what it shall point at`},
		{newFile(dir+"/l", "link", src("no")), `src "no" does not exist on the target; create it first, or write force: true`},
		{newFile(dir+"/file", "link", src("other")), `"` + dir + `/file" is a file, not a link; write force: true to replace it`},
		{newFile(dir+"/l", "hard", src(dir+"/no")), `src "` + dir + `/no" does not exist on the target; create it first`},
		{newFile(dir+"/l", "hard", src(dir)), `src "` + dir + `" is a directory, and directories have no hard links; use state link`},
		{newFile(dir+"/file", "hard", src(dir+"/other")), `"` + dir + `/file" is another file already; write force: true to replace it`},
	}
	for shell, h := range shells(t) {
		for _, tt := range tests {
			_, err := tt.m.Check(t.Context(), h)
			assert.EqualError(t, err, tt.err, shell)
		}
	}
	query := lookQuery("", "/x").String()
	_, err := newFile("/x", "absent", nil).Check(t.Context(), &fake{errs: map[string]error{query: errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

func TestFileValidate(t *testing.T) {
	tests := []struct {
		m   *file
		err string
	}{
		{newFile("", "file", nil), "path is empty; write the path on the target"},
		{newFile("//x/..", "absent", nil), `path "//x/.." would remove the whole file system`},
		{newFile("/x", "directory", func(m *file) { m.Src = "/y" }), "src needs state link or hard"},
		{newFile("/x", "touch", func(m *file) { m.Recurse = true }), "recurse needs state directory"},
		{newFile("/x", "hard", nil), "state hard needs src, the file to share"},
		{newFile("/x", "file", func(m *file) { m.AccessTime = "now" }), "access_time and modification_time need state touch"},
		{newFile("/x", "file", func(m *file) { m.Mode = "u+x" }), `mode "u+x" is not octal; write it as "0644" (u=rw,g=r and the like are not supported)`},
	}
	for _, tt := range tests {
		assert.EqualError(t, tt.m.Validate(), tt.err)
	}
}
