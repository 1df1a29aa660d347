//go:build linux

package parts

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"runbook/tests/lab/parts"
)

const (
	suite = "bookworm"
	// rootUUID is the filesystem's, on every machine: no machine sees another's disk.
	rootUUID = "b0071ab0-1ab0-4ab0-8ab0-b0071ab00001"
)

// packages is what a machine has beside Debian's minimal system.
var packages = []string{
	kernelMeta, "grub-pc", "initramfs-tools", "zstd", "systemd", "systemd-sysv", "udev", "dbus", "openssh-server",
	"iproute2", "procps", "kmod", "sudo", "curl", "ca-certificates", "containerd", "runc", "containernetworking-plugins",
}

//go:embed files
var files embed.FS

//go:embed finish.sh
var finish string

// tree is the Debian tree of the machines, with its kernel and GRUB's files.
func (c Cache) tree(ctx context.Context, kept parts.Cache) (string, error) {
	content, err := contentOf(files)
	if err != nil {
		return "", err
	}
	name := "tree-" + parts.Key(append([]string{suite, finish, content, rootUUID}, packages...)...)
	return kept.Once(name, func(dir string) error {
		mirror, err := parts.Mirror(ctx)
		if err != nil {
			return err
		}
		include := "--include=" + strings.Join(packages, ",")
		if _, err := parts.Run(exec.CommandContext(ctx, "debootstrap", "--variant=minbase", include, suite, dir, mirror)); err != nil {
			return fmt.Errorf("%w (debootstrap's own log is %s)", err, filepath.Join(dir, "debootstrap/debootstrap.log"))
		}
		if err := lay(files, dir); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "chroot", dir, "sh", "-c", finish)
		cmd.Env = append(os.Environ(), "ROOT_UUID="+rootUUID)
		_, err = parts.Run(cmd)
		return err
	})
}

// contentOf is all that the files are, for the name of what is made of them.
func contentOf(files fs.FS) (string, error) {
	var b strings.Builder
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		fmt.Fprintf(&b, "%s\n%s", path, data)
		return err
	})
	return b.String(), err
}

// lay puts our own files into the tree, over those that are there. What is in a
// folder of programs is one.
func lay(files fs.FS, tree string) error {
	below, err := fs.Sub(files, "files")
	if err != nil {
		return err
	}
	return fs.WalkDir(below, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(tree, path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := fs.ReadFile(below, path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(filepath.Dir(path), "bin") {
			mode = 0o755
		}
		return os.WriteFile(to, data, mode)
	})
}
