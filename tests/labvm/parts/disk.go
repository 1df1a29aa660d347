//go:build linux

package parts

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"runbook/tests/lab/image"
	"runbook/tests/lab/parts"
	"runbook/tests/labvm/disk"
	"runbook/tests/labvm/machine"
	"runbook/tests/labvm/seed"
)

const (
	diskSize = 4 << 30
	// sealWithin bounds the first boot, which takes a minute.
	sealWithin = 10 * time.Minute
	// sealed is what the first boot says when it has done all it had to.
	sealed = "lab: the image is whole"
)

//go:embed seal.sh
var seal string

// disk is the tree on a disk of its own, after the boot that makes it whole.
func (c Cache) disk(ctx context.Context, kept parts.Cache, tree, kernel string) (string, error) {
	kubelet := filepath.Join(c.From.Kube, "kubelet")
	images := filepath.Join(c.Dir, "images.tar")
	if err := c.images(images); err != nil {
		return "", err
	}
	content, err := os.ReadFile(images)
	if err != nil {
		return "", err
	}
	// The folder of Kubernetes is named after what it was built from.
	name := "disk-" + parts.Key(filepath.Base(tree), filepath.Base(c.From.Kube), string(content), seal, fmt.Sprint(diskSize))
	dir, err := kept.Once(name, func(dir string) error {
		path := filepath.Join(dir, "disk.raw")
		grub := filepath.Join(tree, "boot/grub/i386-pc")
		layout := disk.Layout{Tree: tree, Size: diskSize, UUID: rootUUID, Boot: filepath.Join(grub, "boot.img"), Core: filepath.Join(grub, "core.img")}
		if err := layout.Write(ctx, path); err != nil {
			return err
		}
		return c.seal(ctx, dir, filepath.Join(tree, "boot"), kernel, []seed.File{
			{Path: "usr/local/bin/kubelet", Mode: 0o755, From: kubelet},
			{Path: "var/lib/lab/images.tar", Mode: 0o644, From: images},
			{Path: "var/lib/lab/seal", Mode: 0o644, Data: []byte(seal)},
		})
	})
	return filepath.Join(dir, "disk.raw"), err
}

// images writes the archive of what runs in pods.
func (c Cache) images(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	search := []string{"PATH=/bin"}
	err = image.Write(f,
		image.Image{
			Tags: []string{parts.PauseImage}, Entrypoint: []string{"/pause"}, Env: search,
			Layers: []image.Layer{{{Path: "pause", From: filepath.Join(c.From.Programs, "pause")}}},
		},
		image.Image{Tags: []string{parts.BusyboxImage}, Entrypoint: []string{"/bin/sh"}, Env: search, Layers: []image.Layer{parts.Busybox()}})
	return errors.Join(err, f.Close())
}

// seal boots the disk in dir once with the kernel that the tree has, gives the
// machine the files, and waits until it has made the image whole and switched
// itself off. The console's log stays beside the disk.
func (c Cache) seal(ctx context.Context, dir, boot, kernel string, files []seed.File) error {
	ctx, cancel := context.WithTimeout(ctx, sealWithin)
	defer cancel()
	archive, console := filepath.Join(dir, "seed.tar"), filepath.Join(dir, "seal.log")
	if err := seed.WriteFile(archive, files); err != nil {
		return err
	}
	defer os.Remove(archive)
	m := machine.Machine{
		Name: "seal", ID: rootUUID, Memory: 1024, Disk: filepath.Join(dir, "disk.raw"), Format: "raw", Seed: archive, Console: console,
		Kernel: &machine.Kernel{
			Image: filepath.Join(boot, "vmlinuz-"+kernel), Initrd: filepath.Join(boot, "initrd.img-"+kernel),
			Line: "root=UUID=" + rootUUID + " console=ttyS0 net.ifnames=0 mitigations=off panic=5",
		},
	}
	cmd := m.Command()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := runUntil(ctx, cmd)
	log, readErr := os.ReadFile(console)
	if err = errors.Join(err, readErr); err == nil && !strings.Contains(string(log), sealed) {
		err = fmt.Errorf("%q is wanted on the console", sealed)
	}
	if err != nil {
		return fmt.Errorf("the first boot of the image: %w; its console ends with:\n%s", err, log[max(0, len(log)-3000):])
	}
	return nil
}

// runUntil runs a command to its end, or kills it when ctx is over.
func runUntil(ctx context.Context, cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w: %s", cmd.Path, err, said.String()), ctx.Err())
	}
	return nil
}
