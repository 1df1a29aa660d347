package modules

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a change says that it leaves is what is there when it was taken.
func TestWhatFilesLeave(t *testing.T) {
	self := strconv.Itoa(os.Getuid())
	tests := map[string]func(dir string) Module{
		"a new file": func(d string) Module { return newCopy(d+"/x", withContent("a")) },
		"a new file's mode": func(d string) Module {
			return newCopy(d+"/x", func(m *copyFile) { withContent("a")(m); m.Mode = "4711" })
		},
		"an old file": func(d string) Module { return newCopy(d+"/old", withContent("new")) },
		"an old file's mode": func(d string) Module {
			return newCopy(d+"/old", func(m *copyFile) { withContent("old")(m); m.Mode = "0600" })
		},
		"a file for a link": func(d string) Module { return newCopy(d+"/tied", withContent("new")) },
		"a file behind a link": func(d string) Module {
			return newCopy(d+"/tied", func(m *copyFile) { withContent("new")(m); m.Follow = true })
		},
		"a file and its folder": func(d string) Module { return newCopy(d+"/a/b/", fromLocal("c", "c")) },
		"by another name":       func(d string) Module { return newCopy(d+"/other/x", withContent("a")) },
		"folders":               func(d string) Module { return newFile(d+"/a/b", "directory", nil) },
		"folders with a mode": func(d string) Module {
			return newFile(d+"/a/b", "directory", func(m *file) { m.Mode, m.Owner = "2750", self })
		},
		"a touched file": func(d string) Module { return newFile(d+"/x", "touch", nil) },
		"a mode":         func(d string) Module { return newFile(d+"/old", "file", func(m *file) { m.Mode = "0755" }) },
		"nothing":        func(d string) Module { return newFile(d+"/sub", "absent", nil) },
		"a link":         func(d string) Module { return newFile(d+"/l", "link", func(m *file) { m.Src = "old" }) },
		"a hard link":    func(d string) Module { return newFile(d+"/l", "hard", func(m *file) { m.Src = d + "/old" }) },
	}
	for shell, h := range shells(t) {
		for name, module := range tests {
			t.Run(shell+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.Mkdir(dir+"/sub", 0o755))
				written(t, dir+"/old", "old", 0o640)
				require.NoError(t, os.Symlink("old", dir+"/tied"))
				require.NoError(t, os.Symlink("sub", dir+"/other"))
				m := module(dir)
				change := check(t, m, h)
				require.NotEmpty(t, change.Effects)
				h.take(change)
				for _, e := range change.Effects {
					requireAsForeseen(t, h, e)
				}
				final := check(t, m, h).Vars
				for key, v := range change.Vars {
					assert.Equal(t, final[key], v, "what is registered as %s", key)
				}
			})
		}
	}
}

func requireAsForeseen(t *testing.T, h *here, e Effect) {
	t.Helper()
	places, err := lookAt(t.Context(), h, "sha1", Quote(e.Name))
	require.NoError(t, err)
	p := places[0]
	if e.Gone {
		require.Nil(t, p.self, e.Name)
		return
	}
	f := e.State.(File)
	require.NotNil(t, p.self, e.Name)
	assert.Equal(t, rawMode(f.Mode), p.self.mode, "mode of %s", e.Name)
	assert.Equal(t, f.Owner, p.self.owner, "owner of %s", e.Name)
	assert.Equal(t, f.Group, p.self.group, "group of %s", e.Name)
	assert.Equal(t, f.UID, p.self.uid)
	assert.Equal(t, f.GID, p.self.gid)
	assert.Equal(t, f.Link, p.link)
	if f.Data != nil && p.self.is(typeFile) {
		assert.Equal(t, checksum("sha1", f.Data), p.sum)
		assert.Equal(t, f.Size, p.self.size)
	}
}
