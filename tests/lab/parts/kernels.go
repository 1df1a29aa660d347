package parts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"runbook/tests/lab/kernel"
)

// The kernels of a stacked lab, as `uname -r` says them. The meta package
// KernelMeta wants the one or the other, by its version.
const (
	KernelMeta = "linux-image-lab"
	KernelOld  = "6.1.0-40-lab" // every host begins with it
	KernelNew  = "6.1.0-44-lab" // the upgrade
	OldVersion = "6.1.153-1"    // of the packages of KernelOld
	NewVersion = "6.1.164-1"
)

// What the maintainer scripts of a kernel package do in Debian: they let the
// hooks know, of which update-grub is one, and refuse to remove the kernel that
// runs. %[1]s is the release.
const (
	kernelPostinst = `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
[ ! -d /etc/kernel/postinst.d ] || DEB_MAINT_PARAMS="$*" run-parts --report --exit-on-error --arg=%[1]s --arg=/boot/vmlinuz-%[1]s /etc/kernel/postinst.d
`
	kernelPrerm = `#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
[ "$(uname -r)" != %[1]s ] || { echo "the running kernel %[1]s is not removed" >&2; exit 1; }
`
	kernelPostrm = `#!/bin/sh
set -e
[ ! -d /etc/kernel/postrm.d ] || DEB_MAINT_PARAMS="$*" run-parts --report --exit-on-error --arg=%[1]s --arg=/boot/vmlinuz-%[1]s /etc/kernel/postrm.d
`
	kernelControl = `Package: linux-image-%[1]s
Version: %[2]s
Architecture: %[3]s
Maintainer: the lab <lab@localhost>
Section: kernel
Priority: optional
Description: stand-in for Linux %[1]s
`
	metaControl = `Package: %[4]s
Version: %[2]s
Architecture: %[3]s
Maintainer: the lab <lab@localhost>
Section: kernel
Priority: optional
Depends: linux-image-%[1]s (= %[2]s)
Description: the latest kernel of the lab
`
)

// kernels is a folder with the packages of both kernels, and of the meta package
// in both versions. The files in them are stand-ins, as package kernel has them;
// the ramdisk, which Debian makes on the host, is in the package.
func (c Cache) kernels(ctx context.Context) (string, error) {
	versions := [][2]string{{KernelOld, OldVersion}, {KernelNew, NewVersion}}
	name := "kernels-" + key(kernelPostinst, kernelPrerm, kernelPostrm, kernelControl, metaControl, KernelMeta, runtime.GOARCH,
		fmt.Sprint(versions), string(kernel.Image("")), string(kernel.Ramdisk("")))
	return c.once(name, func(dir string) error {
		for _, v := range versions {
			release, version := v[0], v[1]
			fill := func(text string) []byte { return fmt.Appendf(nil, text, release, version, runtime.GOARCH, KernelMeta) }
			if err := buildDeb(ctx, filepath.Join(dir, KernelMeta+"_"+version+".deb"), map[string][]byte{"DEBIAN/control": fill(metaControl)}); err != nil {
				return err
			}
			if err := buildDeb(ctx, filepath.Join(dir, "linux-image-"+release+"_"+version+".deb"), map[string][]byte{
				"DEBIAN/control":                          fill(kernelControl),
				"DEBIAN/postinst":                         fill(kernelPostinst),
				"DEBIAN/prerm":                            fill(kernelPrerm),
				"DEBIAN/postrm":                           fill(kernelPostrm),
				"boot/vmlinuz-" + release:                 kernel.Image(release),
				"boot/initrd.img-" + release:              kernel.Ramdisk(release),
				"boot/config-" + release:                  []byte("# a stand-in has no configuration\n"),
				"lib/modules/" + release + "/modules.dep": nil,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// buildDeb packs files into a Debian package. What is under DEBIAN, but for the
// control file, is a maintainer script.
func buildDeb(ctx context.Context, deb string, files map[string][]byte) error {
	tree, err := os.MkdirTemp("", "lab-deb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if err := os.Chmod(tree, 0o755); err != nil {
		return err
	}
	for path, data := range files {
		mode := os.FileMode(0o644)
		if filepath.Dir(path) == "DEBIAN" && filepath.Base(path) != "control" {
			mode = 0o755
		}
		at := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, data, mode); err != nil {
			return err
		}
	}
	_, err = run(exec.CommandContext(ctx, "dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, deb))
	return err
}
