package parts

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnceMakesAnEntryOnce(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	made := 0
	build := func(dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
	}
	for range 2 {
		dir, err := c.once("entry", build)
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(dir, "x"))
	}
	require.Equal(t, 1, made)
}

func TestOnceLeavesNoHalfEntry(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	_, err := c.once("entry", func(dir string) error {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "half"), nil, 0o644))
		return errors.New("the network is down")
	})
	require.ErrorContains(t, err, "make entry: the network is down")
	require.NoDirExists(t, filepath.Join(c.Dir, "entry"))

	dir, err := c.once("entry", func(string) error { return nil })
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "half"))
}

func TestPickMirror(t *testing.T) {
	tests := []struct {
		name, uris, want string
	}{
		{"first Debian one", "http://x.example/node_20.x\nhttp://m.example/debian/\nhttp://m.example/debian-security/\n", "http://m.example/debian"},
		{"no slash", "http://m.example/debian", "http://m.example/debian"},
		{"none", "http://m.example/ubuntu/\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pickMirror(tt.uris)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want == "", err != nil)
		})
	}
}

func TestLibraries(t *testing.T) {
	const ldd = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibipset.so.13 => /lib/x86_64-linux-gnu/libipset.so.13 (0x00007f)\n" +
		"\tlibdl.so.2 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	require.Equal(t, []string{"/lib/x86_64-linux-gnu/libipset.so.13", "/lib64/ld-linux-x86-64.so.2"}, libraries(ldd))
	require.Empty(t, libraries("\tnot a dynamic executable\n"))
}
