package snapshot

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDiff(t *testing.T) {
	before := Snapshot{"a": "1", "b": "1", "c": "1"}
	after := Snapshot{"a": "1", "b": "2", "d": "1"}
	require.Equal(t, []string{"~ b: 1 -> 2", "- c", "+ d"}, Diff(before, after))
	require.Empty(t, Diff(before, before))
}

func TestAddLayerSeesEveryKindOfChange(t *testing.T) {
	file := func(root string) string { return filepath.Join(root, "etc", "x") }
	tests := []struct {
		name   string
		change func(root string) error
		want   string // how the one difference begins; empty: none
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"content of the same size", func(r string) error { return os.WriteFile(file(r), []byte("b"), 0o644) }, "~ host/etc/x"},
		{"mode", func(r string) error { return os.Chmod(file(r), 0o600) }, "~ host/etc/x"},
		{"touched", func(r string) error { return os.Chtimes(file(r), time.Time{}, time.Unix(1, 0)) }, "~ host/etc/x"},
		{"removed", func(r string) error { return os.Remove(file(r)) }, "- host/etc/x"},
		{"added", func(r string) error { return os.Symlink("x", filepath.Join(r, "etc", "y")) }, "+ host/etc/y"},
		{"folder added", func(r string) error { return os.Mkdir(filepath.Join(r, "new"), 0o755) }, "+ host/new"},
		{"folder copied", func(r string) error { return os.Mkdir(filepath.Join(r, "cache"), 0o755) }, ""},
		{"folder copied with another mode", func(r string) error { return os.Mkdir(filepath.Join(r, "cache"), 0o700) }, "+ host/cache"},
		{"skipped", func(r string) error { return os.WriteFile(filepath.Join(r, "run", "z"), nil, 0o644) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, lower := t.TempDir(), t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(lower, "cache"), 0o755))
			require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
			require.NoError(t, os.Mkdir(filepath.Join(root, "run"), 0o755))
			require.NoError(t, os.WriteFile(file(root), []byte("a"), 0o644))
			take := func() Snapshot {
				s := Snapshot{}
				require.NoError(t, s.AddLayer("host", root, lower, func(p string) bool { return Below(p, "run") }))
				return s
			}
			before := take()
			require.NoError(t, tt.change(root))
			diff := Diff(before, take())
			if tt.want == "" {
				require.Empty(t, diff)
				return
			}
			require.Len(t, diff, 1)
			require.Contains(t, diff[0], tt.want)
		})
	}
}

func TestBelow(t *testing.T) {
	require.True(t, Below("run", "run"))
	require.True(t, Below("run/x", "tmp", "run"))
	require.False(t, Below("running", "run"))
}
