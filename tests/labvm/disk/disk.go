// Package disk writes a disk image that boots by its own GRUB from a tree of
// files, without a loop device and without mounting anything: one ext4 partition
// and, before it, what the BIOS starts.
package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	sector = 512
	// partitionStart is where the only partition begins: the first MiB is left to
	// the partition table and to GRUB.
	partitionStart = 2048 * sector
	tableAt        = 446 // of the partition table, behind the boot code
	bootCode       = 440 // of boot.img is code; what follows belongs to the disk
	linuxType      = 0x83
)

// Features of ext4 that GRUB 2.06 cannot read are left out.
const features = "^metadata_csum_seed,^orphan_file"

// Layout is a disk to be written.
type Layout struct {
	Tree string // the files of the only filesystem
	Size int64  // bytes of that filesystem, whole MiB
	UUID string // of the filesystem
	Boot string // GRUB's boot.img
	Core string // GRUB's core.img, which looks for the rest of GRUB on the first partition
}

// Write writes the disk at path, with holes where nothing is.
func (l Layout) Write(ctx context.Context, path string) error {
	start, err := l.start()
	if err != nil {
		return err
	}
	// mke2fs does not make the place before its offset.
	if err := os.WriteFile(path, start, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, partitionStart+l.Size); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-U", l.UUID, "-m", "0", "-O", features,
		"-E", fmt.Sprintf("offset=%d", partitionStart), "-d", l.Tree, path, fmt.Sprintf("%dk", l.Size/1024))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the filesystem of %s: %w: %s", filepath.Base(path), err, out)
	}
	return nil
}

// start is what stands before the partition. GRUB's first sector loads the one
// behind it, and that one the sectors behind itself: those places are what both
// are built with, so nothing has to be patched.
func (l Layout) start() ([]byte, error) {
	boot, err := os.ReadFile(l.Boot)
	if err != nil {
		return nil, err
	}
	core, err := os.ReadFile(l.Core)
	if err != nil {
		return nil, err
	}
	if len(boot) != sector {
		return nil, fmt.Errorf("%s: one sector of %d bytes is wanted, it has %d", l.Boot, sector, len(boot))
	}
	if room := partitionStart - sector; len(core) > room {
		return nil, fmt.Errorf("%s: at most %d bytes go before the partition, it has %d", l.Core, room, len(core))
	}
	var b bytes.Buffer
	b.Write(boot[:bootCode])
	b.Write(make([]byte, tableAt-bootCode))
	b.Write(partition(partitionStart/sector, uint32(l.Size/sector)))
	b.Write(make([]byte, 3*16)) // the other three partitions are not there
	b.Write([]byte{0x55, 0xaa})
	b.Write(core)
	return b.Bytes(), nil
}

// partition is one entry of the partition table, bootable. Its old addresses, by
// cylinder and head, say what those of every large disk say: look at the others.
func partition(first, sectors uint32) []byte {
	old := []byte{0xfe, 0xff, 0xff}
	e := append([]byte{0x80}, old...)
	e = append(append(e, linuxType), old...)
	e = binary.LittleEndian.AppendUint32(e, first)
	return binary.LittleEndian.AppendUint32(e, sectors)
}
