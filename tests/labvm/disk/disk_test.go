package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const uuid = "b0071ab0-1ab0-4ab0-8ab0-b0071ab00002"

func layout(t *testing.T) Layout {
	dir := t.TempDir()
	l := Layout{Tree: filepath.Join(dir, "tree"), Size: 16 << 20, UUID: uuid, Boot: filepath.Join(dir, "boot.img"), Core: filepath.Join(dir, "core.img")}
	require.NoError(t, os.MkdirAll(filepath.Join(l.Tree, "boot"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(l.Tree, "boot/word"), []byte("here"), 0o644))
	require.NoError(t, os.WriteFile(l.Boot, bytes.Repeat([]byte{0xb0}, sector), 0o644))
	require.NoError(t, os.WriteFile(l.Core, bytes.Repeat([]byte{0xc0}, 3*sector+7), 0o644))
	return l
}

func TestWrite(t *testing.T) {
	if _, err := exec.LookPath("mke2fs"); err != nil && os.Getenv("CI") == "" {
		t.Skip("mke2fs is missing: install e2fsprogs")
	}
	l := layout(t)
	path := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, l.Write(context.Background(), path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, data, partitionStart+16<<20)

	require.Equal(t, bytes.Repeat([]byte{0xb0}, bootCode), data[:bootCode], "boot.img, up to what is the disk's")
	require.Equal(t, []byte{0x55, 0xaa}, data[510:512])
	entry := data[tableAt : tableAt+16]
	require.Equal(t, []byte{0x80, linuxType}, []byte{entry[0], entry[4]}, "bootable, Linux")
	require.EqualValues(t, 2048, binary.LittleEndian.Uint32(entry[8:]))
	require.EqualValues(t, 16<<20/sector, binary.LittleEndian.Uint32(entry[12:]))
	require.Equal(t, make([]byte, 48), data[tableAt+16:510], "no other partition")
	require.Equal(t, bytes.Repeat([]byte{0xc0}, 3*sector+7), data[sector:4*sector+7], "core.img stands behind the first sector")

	part := filepath.Join(t.TempDir(), "part")
	require.NoError(t, os.WriteFile(part, data[partitionStart:], 0o644))
	out, err := exec.Command("debugfs", "-R", "cat /boot/word", part).Output()
	require.NoError(t, err)
	require.Equal(t, "here", string(out))
	id, err := exec.Command("debugfs", "-R", "stats -h", part).Output()
	require.NoError(t, err)
	require.Contains(t, string(id), uuid)
}

func TestWriteRefuses(t *testing.T) {
	t.Run("a core that reaches into the partition", func(t *testing.T) {
		l := layout(t)
		require.NoError(t, os.WriteFile(l.Core, make([]byte, partitionStart), 0o644))
		require.ErrorContains(t, l.Write(context.Background(), filepath.Join(t.TempDir(), "d")), "at most 1048064 bytes")
	})
	t.Run("a first stage that is no sector", func(t *testing.T) {
		l := layout(t)
		require.NoError(t, os.WriteFile(l.Boot, make([]byte, 100), 0o644))
		require.ErrorContains(t, l.Write(context.Background(), filepath.Join(t.TempDir(), "d")), "one sector of 512 bytes is wanted, it has 100")
	})
}
