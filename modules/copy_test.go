package modules

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newCopy(dest string, set func(*copyFile)) *copyFile {
	d, _ := Lookup("copy")
	m := d.New().(*copyFile)
	m.Dest = dest
	set(m)
	return m
}

func withContent(text string) func(*copyFile) {
	return func(m *copyFile) { m.Content = &text }
}

func fromLocal(name, text string) func(*copyFile) {
	return func(m *copyFile) { m.Src = Local{Path: name, Data: []byte(text), Mode: 0o750} }
}

func written(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	require.NoError(t, os.Chmod(name, mode))
	return name
}

func contentOf(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func TestCopyNewFile(t *testing.T) {
	for _, h := range shells(t) {
		name := filepath.Join(t.TempDir(), "a file")
		change := h.settle(newCopy(name, func(m *copyFile) { withContent("one\n")(m); m.Mode = "0640" }))
		assert.Equal(t, []Diff{{What: name, Want: "one\n", Text: true}}, change.Diffs)
		assert.Equal(t, []string{"write '" + name + "' (4 bytes, mode 640)"}, stepLines(change))
		assert.Equal(t, "one\n", contentOf(t, name))
	}
}

func TestCopyOverOldFile(t *testing.T) {
	for _, h := range shells(t) {
		name := written(t, filepath.Join(t.TempDir(), "file"), "old\n", 0o600)
		change := h.settle(newCopy(name, func(m *copyFile) { withContent("new\n")(m); m.Mode = "0644"; m.Backup = true }))
		assert.Equal(t, []Diff{
			{What: name, Have: "old\n", Want: "new\n", Text: true},
			{What: "mode of " + name, Have: "0600", Want: "0644"},
		}, change.Diffs)
		assert.Equal(t, "new\n", contentOf(t, name))
		assert.Equal(t, "old\n", contentOf(t, name+".backup"))
	}
}

func TestCopyOnlyAttributes(t *testing.T) {
	for _, h := range shells(t) {
		name := written(t, filepath.Join(t.TempDir(), "file"), "same", 0o600)
		change := h.settle(newCopy(name, func(m *copyFile) { withContent("same")(m); m.Mode = "4711" }))
		assert.Equal(t, []string{"chmod 4711 -- " + name}, stepLines(change))
		assert.Equal(t, "4711", change.Vars["mode"], "what it will be")
	}
}

func TestCopyAsAsked(t *testing.T) {
	for _, h := range shells(t) {
		name := written(t, filepath.Join(t.TempDir(), "file"), "abc", 0o750)
		owner := strconv.Itoa(os.Getuid())
		change := check(t, newCopy(name, func(m *copyFile) { fromLocal("x", "abc")(m); m.Mode, m.Owner = "preserve", owner }), h)
		assert.Empty(t, change.Diffs)
		assert.Empty(t, change.Steps)
		assert.Subset(t, change.Vars, map[string]any{
			"dest": name, "mode": "0750", "state": "file", "size": int64(3), "src": "x",
			"checksum": "a9993e364706816aba3e25717850c26c9cd0d89d",
		})
	}
}

func TestCopyModesThatWriteCannotSay(t *testing.T) {
	for _, mode := range []string{"0000", "4755"} {
		h := shells(t)["sh"]
		name := filepath.Join(t.TempDir(), "file")
		change := check(t, newCopy(name, func(m *copyFile) { withContent("x")(m); m.Mode = mode }), h)
		require.Len(t, change.Steps, 2)
		assert.Equal(t, "chmod "+mode+" -- "+name, change.Steps[1].String())
	}
}

func TestCopyIntoDirectory(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		h.settle(newCopy(dir, fromLocal("files/$HOME x", "a")))
		assert.Equal(t, "a", contentOf(t, dir+"/$HOME x"))
		change := h.settle(newCopy(dir+"/new/deep/", fromLocal("files/b", "b")))
		assert.Equal(t, []string{"mkdir -p -- " + dir + "/new/deep", "write " + dir + "/new/deep/b (1 bytes)"}, stepLines(change))
		assert.Equal(t, Diff{What: dir + "/new/deep", Have: "absent", Want: "directory"}, change.Diffs[0])
	}
}

func TestCopyWithoutForceKeepsFile(t *testing.T) {
	h := shells(t)["sh"]
	name := written(t, filepath.Join(t.TempDir(), "file"), "old", 0o600)
	change := check(t, newCopy(name, func(m *copyFile) { withContent("new")(m); m.Force, m.Mode = false, "0644" }), h)
	assert.Empty(t, change.Steps)
	h.settle(newCopy(name+"2", func(m *copyFile) { withContent("new")(m); m.Force = false }))
}

func TestCopyAtLink(t *testing.T) {
	for _, h := range shells(t) {
		dir := t.TempDir()
		written(t, dir+"/real", "old", 0o600)
		require.NoError(t, os.Symlink("real", dir+"/link"))

		h.settle(newCopy(dir+"/link", func(m *copyFile) { withContent("new")(m); m.Follow = true }))
		assert.Equal(t, "new", contentOf(t, dir+"/real"))

		change := h.settle(newCopy(dir+"/link", withContent("own")))
		assert.Equal(t, []Diff{{What: dir + "/link", Have: "link to real", Want: "file"}}, change.Diffs)
		assert.Equal(t, "new", contentOf(t, dir+"/real"))
		assert.Equal(t, "own", contentOf(t, dir+"/link"))
	}
}

func TestCopyValidatesBefore(t *testing.T) {
	for _, h := range shells(t) {
		name := filepath.Join(t.TempDir(), "sudoers")
		grep := func(m *copyFile) { withContent("ok it is")(m); m.ValidatedBy = `grep -q "ok it" --file=/dev/null %s` }
		m := newCopy(name, grep)
		require.NoError(t, m.Validate())
		change := check(t, m, h)
		assert.Equal(t, `grep -q "ok it" --file=/dev/null %s`, change.Steps[0].String())
		assert.NotContains(t, change.Steps[0].(Run).Shell, "ok it is")

		h.settle(newCopy(name, func(m *copyFile) { withContent("ok it is")(m); m.ValidatedBy = "grep -q 'ok it' %s" }))

		outs := h.take(check(t, newCopy(name, func(m *copyFile) { withContent("bad")(m); m.ValidatedBy = "grep -q ok %s" }), h))
		assert.Equal(t, 1, outs[0].Code)
		assert.Equal(t, "ok it is", contentOf(t, name), "a content that is not accepted came into place")
	}
}

func TestCopyShowsNoBinary(t *testing.T) {
	h := shells(t)["sh"]
	name := written(t, filepath.Join(t.TempDir(), "file"), "a\x00b", 0o600)
	change := check(t, newCopy(name, withContent("text")), h)
	assert.Equal(t, []Diff{{What: name, Have: "3 other bytes", Want: "4 bytes"}}, change.Diffs)

	big := written(t, name+"2", strings.Repeat("x", shownContent+1), 0o600)
	change = check(t, newCopy(big, withContent("text")), h)
	assert.Equal(t, []Diff{{What: big, Have: "1048577 bytes", Want: "4 bytes"}}, change.Diffs)
}

func TestCopyFails(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/sub", 0o700))
	written(t, dir+"/file", "x", 0o600)
	require.NoError(t, os.Symlink("no/where", dir+"/link"))
	tests := []struct {
		name string
		m    *copyFile
		err  string
	}{
		{"no parent", newCopy(dir+"/no/file", withContent("x")),
			`directory "` + dir + `/no" does not exist on the target; create it first (file, state: directory)`},
		{"content for a directory", newCopy(dir+"/sub", withContent("x")),
			`dest "` + dir + `/sub" is a directory, and content has no name; write the whole path`},
		{"file with a slash", newCopy(dir+"/file/", fromLocal("x", "x")), `dest "` + dir + `/file/" is a file, not a directory`},
		{"link to nowhere", newCopy(dir+"/link", func(m *copyFile) { withContent("x")(m); m.Follow = true }),
			`"` + dir + `/link" is a link to "no/where", which leads nowhere`},
		{"device", newCopy("/dev/null", withContent("x")), `"/dev/null" is a device; only a regular file can be replaced`},
	}
	for shell, h := range shells(t) {
		for _, tt := range tests {
			_, err := tt.m.Check(t.Context(), h)
			assert.ErrorContains(t, err, tt.err, shell+": "+tt.name)
		}
	}
	query := lookQuery("sha1", "/x").String()
	_, err := newCopy("/x", withContent("x")).Check(t.Context(), &fake{errs: map[string]error{query: errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

func TestCopyValidate(t *testing.T) {
	tests := []struct {
		m   *copyFile
		err string
	}{
		{newCopy("", withContent("x")), "dest is empty; write the path on the target"},
		{newCopy("/x", func(*copyFile) {}), "one of content and src must be given, and not both"},
		{newCopy("/x", func(m *copyFile) { withContent("")(m); fromLocal("a", "b")(m) }), "one of content and src must be given, and not both"},
		{newCopy("/x/", withContent("x")), `dest "/x/" is a directory, and content has no name; write the whole path`},
		{newCopy("/x", func(m *copyFile) { m.RemoteSrc = true }), "remote_src is not supported; copy within the target with the module command and creates"},
		{newCopy("/x", func(m *copyFile) { withContent("x")(m); m.ValidatedBy = "visudo -c" }), `validate "visudo -c" does not say where the file goes; write %s there`},
		{newCopy("/x", func(m *copyFile) { withContent("x")(m); m.ValidatedBy = "a '%s" }), "the quote ' is never closed"},
		{newCopy("/x", func(m *copyFile) { withContent("x")(m); m.Mode = "preserve" }), "mode preserve needs src: content has no mode of its own"},
		{newCopy("/x", func(m *copyFile) { withContent("x")(m); m.Mode = 644 }), `mode 644 is a decimal number; write "0644"`},
	}
	for _, tt := range tests {
		assert.EqualError(t, tt.m.Validate(), tt.err)
	}
	assert.NoError(t, newCopy("/x", withContent("")).Validate(), "an empty file can be wanted")
}
