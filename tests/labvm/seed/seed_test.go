package seed

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	from := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(from, []byte("bytes"), 0o600))
	var b bytes.Buffer
	require.NoError(t, Write(&b, []File{
		{Path: "etc/hostname", Mode: 0o644, Data: []byte("vm1\n")},
		{Path: "home/ops/.ssh/authorized_keys", Mode: 0o600, Owner: 1000, Data: []byte("key\n")},
		{Path: "usr/local/bin/program", Mode: 0o755, From: from},
	}))
	require.Zero(t, b.Len()%512, "a disk has whole sectors")

	type entry struct {
		name, data string
		mode       int64
		uid, gid   int
	}
	var got []entry
	r := tar.NewReader(&b)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		got = append(got, entry{h.Name, string(data), h.Mode, h.Uid, h.Gid})
	}
	require.Equal(t, []entry{
		{"etc/hostname", "vm1\n", 0o644, 0, 0},
		{"home/ops/.ssh/authorized_keys", "key\n", 0o600, 1000, 1000},
		{"usr/local/bin/program", "bytes", 0o755, 0, 0},
	}, got)
}

func TestWriteRefuses(t *testing.T) {
	for _, path := range []string{"", "/etc/hostname", "../etc", "etc/../../x", "etc/"} {
		require.ErrorContains(t, Write(io.Discard, []File{{Path: path}}), "a clean path below the root is wanted", path)
	}
	require.Error(t, Write(io.Discard, []File{{Path: "a", From: filepath.Join(t.TempDir(), "none")}}))
}
