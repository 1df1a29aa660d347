package modules

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLookAt(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "odd\nname 'x'")
	require.NoError(t, os.WriteFile(odd, []byte("abc"), 0o640))
	require.NoError(t, os.Chmod(odd, 0o4640|os.ModeSetuid))
	require.NoError(t, os.Symlink("odd\nname 'x'", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	for shell, h := range shells(t) {
		places, err := lookAt(t.Context(), h, "sha1",
			Quote(odd), Quote(dir+"/link"), Quote(dir+"/dangling"), Quote(dir+"/no/such"), Quote(dir), "/dev/null")
		require.NoError(t, err, shell)
		file, link, dangling, missing, directory, device := places[0], places[1], places[2], places[3], places[4], places[5]

		assert.Equal(t, odd, file.path)
		assert.True(t, file.self.is(typeFile))
		assert.Equal(t, uint32(0o4640), file.self.perm())
		assert.Equal(t, int64(3), file.self.size)
		assert.Equal(t, "a9993e364706816aba3e25717850c26c9cd0d89d", file.sum)
		info, err := os.Stat(odd)
		require.NoError(t, err)
		assert.InDelta(t, float64(info.ModTime().UnixMicro())/1e6, file.self.mtime, 1e-5, shell)

		assert.True(t, link.self.is(typeLink))
		assert.Equal(t, "odd\nname 'x'", link.link)
		assert.Equal(t, odd, link.real)
		assert.Equal(t, file.self.number, link.end.number)
		assert.Equal(t, file.sum, link.sum)

		assert.True(t, dangling.self.is(typeLink))
		assert.Nil(t, dangling.end)
		assert.Equal(t, dir+"/nowhere", dangling.real)

		assert.Nil(t, missing.self)
		assert.Equal(t, dir, missing.ancestor)

		assert.True(t, directory.self.is(typeDir))
		assert.Empty(t, directory.sum)
		assert.Equal(t, "device", device.self.kind())
		assert.Equal(t, int64(1<<8|3), device.self.rdev)
	}
}

// A path that runs through a file is no missing path.
func TestLookAtThroughFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	for shell, h := range shells(t) {
		places, err := lookAt(t.Context(), h, "", Quote(name+"/below"), Quote(name))
		require.NoError(t, err)
		assert.ErrorIs(t, places[0].err, errThroughFile, shell)
		assert.NoError(t, places[1].err, "one place that fails is no matter of another")
	}
}

func TestLookAtFails(t *testing.T) {
	query := lookQuery("", "/x").String()
	tests := []struct {
		name   string
		target *fake
		err    string
	}{
		{"unreachable", &fake{errs: map[string]error{query: errors.New("lost")}}, "lost"},
		{"exit code", &fake{commands: map[string]Output{query: {Code: 2, Stderr: "syntax\n"}}}, "looking at /x: exit code 2: syntax"},
		{"cut off", &fake{commands: map[string]Output{query: {Stdout: "/x\x00"}}}, "looking at /x: 1 fields instead of 10: "},
	}
	for _, tt := range tests {
		_, err := lookAt(t.Context(), tt.target, "", "/x")
		assert.EqualError(t, err, tt.err, tt.name)
	}
}

func TestParsePlaceOfForeignStat(t *testing.T) {
	p := parsePlace([]string{"/x", "", "", "what", "", "", "", "/", "/", ""})
	assert.EqualError(t, p.err, `"/x": stat answers "what"`)
}

func TestParseInodeOfUnknownOwner(t *testing.T) {
	in, err := parseInode("81a4 1234 5678 3 9 1 1 8 4096 0 0 10 20 30|UNKNOWN|UNKNOWN|x|2025-01-01 00:00:20.250000000 +0000|x")
	require.NoError(t, err)
	assert.Equal(t, "1234", in.owner)
	assert.Equal(t, "5678", in.group)
	assert.Equal(t, 20.25, in.mtime)
	assert.Equal(t, 30.0, in.ctime)
}

// What is made in a directory that gives its own group has a group that nobody
// has looked at.
func TestLookAtSaysWhoWouldMakeIt(t *testing.T) {
	for shell, h := range shells(t) {
		dir := t.TempDir()
		require.NoError(t, os.Symlink(".", dir+"/again"))
		places, err := lookAt(t.Context(), h, "", Quote(dir+"/again/no/such"), Quote(dir))
		require.NoError(t, err)
		made, there := places[0], places[1]
		assert.True(t, made.maker.known, shell)
		assert.Equal(t, os.Geteuid(), made.maker.uid)
		assert.Equal(t, os.Getegid(), made.maker.gid)
		assert.Equal(t, there.self.owner, made.maker.owner)
		assert.Equal(t, dir+"/no/such", made.straight(made.path), "the same by any name")
		assert.Equal(t, maker{}, there.maker)

		require.NoError(t, os.Chmod(dir, 0o755|os.ModeSetgid))
		places, err = lookAt(t.Context(), h, "", Quote(dir+"/new"))
		require.NoError(t, err)
		assert.Empty(t, places[0].maker.group)
		assert.Equal(t, -1, places[0].maker.gid)
	}
}
