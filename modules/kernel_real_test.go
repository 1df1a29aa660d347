package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kernelRoot is a Debian tree with the real GRUB tools and the real dpkg, and
// kernels that are packages with a few bytes in them. Three things are not real,
// since the tree is no disk and boots nothing: grub-probe, which asks about disks,
// says what the files of /probe say; uname -r says what /running says; and a boot
// is what GRUB would do with grub.cfg and grubenv, by the module's own reading of
// them.
type kernelRoot struct {
	*aptRoot
}

func newKernelRoot(t *testing.T) kernelRoot {
	needsRoot(t, "grub-mkconfig", "grub-editenv", "update-grub")
	t.Setenv("RUNBOOK_ROOTFS", "/") // the lab's tree has no GRUB
	r := kernelRoot{newAptRoot(t)}
	r.sh(`: >/var/lib/dpkg/status; rm -rf /boot /etc/default/grub /etc/default/grub.d/* /run/reboot-required; mkdir -p /boot/grub /etc/default/grub.d /probe
mkdir -p /etc/kernel; rm -rf /etc/kernel/*; echo GRUB_DEFAULT=0 >/etc/default/grub
cat >/usr/local/sbin/uname <<'END'
#!/bin/sh
if [ "$*" = -r ]; then cat /running; else exec /bin/uname "$@"; fi
END
cat >/usr/local/sbin/dkms <<'END'
#!/bin/sh
cat /dkms
END
cat >/usr/sbin/grub-probe <<'END'
#!/bin/sh
for word; do case $word in --target=*) cat "/probe/${word#--target=}" 2>/dev/null || exit 1 ;; esac; done
END
chmod 755 /usr/local/sbin/uname /usr/local/sbin/dkms /usr/sbin/grub-probe; : >/dkms
cd /probe; echo /dev/vda1 >device; echo 11111111-2222-3333-4444-555555555555 >fs_uuid; echo ext2 >fs; : >abstraction
for name in partuuid partmap compatibility_hint hints_string; do : >$name; done`)
	r.kernels(oldKernel+" 6.1.55-1", newKernel+" 6.1.140-1")
	r.packages("linux-image-cloud-amd64 6.1.140-1\nDepends: linux-image-" + newKernel + " (= 6.1.140-1)\n")
	r.sh("echo " + oldKernel + " >/running; update-grub")
	return r
}

// kernels installs kernels, each RELEASE VERSION, with all that they boot with.
func (r kernelRoot) kernels(all ...string) {
	for _, k := range all {
		release, version, _ := strings.Cut(k, " ")
		r.packages("linux-image-" + release + " " + version)
		r.sh("echo linux >/boot/vmlinuz-" + release + "; echo initrd >/boot/initrd.img-" + release)
	}
}

func (r kernelRoot) packages(all ...string) {
	r.pack(all...)
	for _, p := range all {
		name, _, _ := strings.Cut(p, " ")
		r.sh("dpkg -i /repo/" + name + "_*.deb || case " + name + " in *bad) ;; *) exit 1 ;; esac")
	}
}

// take takes all steps of a change.
func (r kernelRoot) take(c Change) {
	r.t.Helper()
	for _, s := range c.Steps {
		switch s := s.(type) {
		case Run:
			r.within.take(Change{Steps: []Step{s}})
		case Write:
			s.Path = r.dir + s.Path
			require.NoError(r.t, r.write(s))
		case Remove:
			require.NoError(r.t, os.Remove(r.dir+s.Path))
		}
	}
}

// settle takes the steps of a check, after which nothing must be left.
func (r kernelRoot) settle(m Module) Change {
	r.t.Helper()
	c := check(r.t, m, r)
	r.take(c)
	left := check(r.t, m, r)
	require.Empty(r.t, diffLines(left))
	require.Empty(r.t, stepLines(left))
	return c
}

// boot is what GRUB does: it takes next_entry and clears it, or the default.
func (r kernelRoot) boot() string {
	r.t.Helper()
	l, err := (&kernel{}).look(r.t.Context(), r)
	require.NoError(r.t, err)
	next := l.grub.next()
	r.sh("echo " + next + " >/running; grub-editenv /boot/grub/grubenv set next_entry=")
	return next
}

// boots are the kernels of the next boot and of the one after it.
func (r kernelRoot) boots() []string {
	r.t.Helper()
	vars := check(r.t, newKernelModule(), r).Vars
	return []string{vars["next"].(string), vars["default"].(string)}
}

func (r kernelRoot) path(release string) string {
	r.t.Helper()
	l, err := (&kernel{}).look(r.t.Context(), r)
	require.NoError(r.t, err)
	path, err := l.grub.path(release)
	require.NoError(r.t, err)
	return path
}

func (r kernelRoot) read(path string) string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, path))
	require.NoError(r.t, err)
	return string(data)
}

// TestKernelTrialConfirmed is the whole way: armed, booted, confirmed, undone.
func TestKernelTrialConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	before := r.read("/boot/grub/grub.cfg")
	vars := check(t, newKernelModule(), r).Vars
	delete(vars, "boot_free_mb")
	assert.Equal(t, map[string]any{
		"running": oldKernel, "installed": []any{oldKernel, newKernel}, "expected": newKernel, "next": newKernel, "default": newKernel,
		"reboot_needed": true, "reboot_required_file": false, "held": []any{}, "dkms": []any{}, "once": false, "bootloader": "grub",
	}, vars)

	r.settle(bootOnce())
	assert.Equal(t, []string{newKernel, oldKernel}, r.boots())
	for line := range strings.Lines(r.read("/boot/grub/grub.cfg")) {
		if strings.HasPrefix(strings.TrimSpace(line), "linux\t") {
			assert.Contains(t, line, " panic=30")
		}
	}
	_, err := confirmed().Check(t.Context(), r)
	assert.ErrorContains(t, err, "the boot of it is armed and has not been made")

	assert.Equal(t, newKernel, r.boot())
	assert.Equal(t, []string{oldKernel, oldKernel}, r.boots(), "a power cycle now brings the old one back")
	assert.Empty(t, check(t, bootOnce(), r).Diffs)
	r.settle(confirmed())
	assert.Equal(t, []string{newKernel, newKernel}, r.boots())
	assert.Equal(t, before, r.read("/boot/grub/grub.cfg"), "nothing of it stays")
	assert.Empty(t, r.sh("grub-editenv - list; ls /etc/default/grub.d"))
	assert.Equal(t, newKernel, r.boot())
}

func TestKernelThatDoesNotComeUpConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	r.settle(bootOnce())
	assert.Equal(t, newKernel, r.boot())
	assert.Equal(t, oldKernel, r.boot(), "it panics, and boots again")
	k := confirmed()
	k.Package = "linux-image-cloud-amd64"
	_, err := k.Check(t.Context(), r)
	assert.ErrorContains(t, err, "the boot of "+newKernel+" did not succeed, and the boot loader has gone back to "+oldKernel)
	assert.Equal(t, []string{"grub-reboot '" + r.path(newKernel) + "'"}, stepLines(r.settle(bootOnce())), "another try")
	assert.Equal(t, newKernel, r.boot())
	r.settle(confirmed())
}

// TestKernelDefaultsConfirmed is the trial over defaults of the user's own, all of
// which boot the old kernel but the first.
func TestKernelDefaultsConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	for name, c := range map[string]struct {
		settings string
		stays    bool
	}{
		"none":              {"", false},
		"by number":         {"GRUB_DEFAULT='1>2'", true},
		"by id":             {"GRUB_DEFAULT='" + r.path(oldKernel) + "'", true},
		"by title":          {"GRUB_DEFAULT='Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux " + oldKernel + "'\nGRUB_DISTRIBUTOR=Debian", true},
		"saved":             {"GRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=true", false},
		"one menu":          {"GRUB_DISABLE_SUBMENU=y\nGRUB_DEFAULT=2", true},
		"options of theirs": {"GRUB_CMDLINE_LINUX=\"console=ttyS0 net.ifnames=0\"\nGRUB_DEFAULT=0", false},
	} {
		t.Run(name, func(t *testing.T) {
			r.sh("rm -f /etc/default/grub.d/*; printf '" + strings.ReplaceAll(c.settings, "'", `'\''`) + "\n' >/etc/default/grub; echo " + oldKernel + " >/running; rm -f /boot/grub/grubenv; update-grub")
			r.settle(bootOnce())
			assert.Equal(t, []string{newKernel, oldKernel}, r.boots())
			assert.Equal(t, newKernel, r.boot())
			change := r.settle(confirmed())
			assert.Equal(t, []string{newKernel, newKernel}, r.boots())
			_, err := os.Stat(filepath.Join(r.dir, kernelDropIn))
			assert.Equal(t, c.stays, err == nil)
			assert.Equal(t, c.stays, len(change.Notes) == 1, change.Notes)
			assert.NotContains(t, r.read("/boot/grub/grub.cfg"), "panic=30")
			if c.stays {
				r.sh("sed -i s/^GRUB_DEFAULT=.*/GRUB_DEFAULT=0/ /etc/default/grub")
				r.settle(confirmed())
				assert.Empty(t, r.sh("ls /etc/default/grub.d; grub-editenv - list"))
				assert.Equal(t, []string{newKernel, newKernel}, r.boots())
			}
		})
	}
}

// TestKernelArmedOtherwiseConfirmed is a one-shot boot that somebody else has armed.
func TestKernelArmedOtherwiseConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	r.settle(bootOnce())
	for _, change := range []string{"set saved_entry=0", "unset saved_entry", "set next_entry=0", "set prev_saved_entry=0"} {
		r.sh("grub-editenv - " + change)
		c := check(t, bootOnce(), r)
		r.take(c)
		assert.Empty(t, check(t, bootOnce(), r).Diffs, "%s: the steps do not clear what is armed", change)
		assert.Equal(t, []string{newKernel, oldKernel}, r.boots())
	}
}

// TestKernelStaleGrubConfirmed is a grub.cfg that does not know the new kernel yet:
// its entry is named as update-grub will name it.
func TestKernelStaleGrubConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	const newer = "6.1.0-40-cloud-amd64"
	r.kernels(newer + " 6.1.150-1")
	change := r.settle(bootOnce())
	assert.Contains(t, diffLines(change), "/boot/grub/grub.cfg: no entry for "+newer+" -> an entry for "+newer)
	assert.Equal(t, []string{newer, oldKernel}, r.boots())
}

func TestKernelHalfConfiguredConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	const half = "6.1.0-40-cloud-amd64"
	r.sh(`rm -rf /b; mkdir -p /b/DEBIAN /b/boot; cd /b; echo linux >boot/vmlinuz-` + half + `; printf '#!/bin/sh\nexit 1\n' >DEBIAN/postinst; chmod 755 DEBIAN/postinst
printf 'Package: linux-image-` + half + `\nVersion: 6.1.150-1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n' >DEBIAN/control
dpkg-deb --root-owner-group -b /b /half.deb; ! dpkg -i /half.deb; update-grub`)
	change := check(t, newKernelModule(), r)
	assert.Equal(t, newKernel, change.Vars["expected"])
	assert.Equal(t, []any{oldKernel, newKernel}, change.Vars["installed"])
	assert.Equal(t, half, change.Vars["next"], "GRUB takes it all the same")
	assert.Len(t, change.Notes, 2)
	r.settle(bootOnce())
	assert.Equal(t, []string{newKernel, oldKernel}, r.boots())

	k := bootOnce()
	k.Expected = half
	_, err := k.Check(t.Context(), r)
	assert.ErrorContains(t, err, half+` cannot be booted: package "linux-image-`+half+`" is half-configured`)
	r.sh("mount -t tmpfs -o size=8m tmpfs /mnt; cp -a /boot/. /mnt; mount --bind /mnt /boot")
	_, err = k.Check(t.Context(), r)
	assert.ErrorContains(t, err, "/boot has 7 MB free, and 300 MB are wanted for a kernel and its initrd; remove kernels that nobody needs, with apt-get purge: linux-image-"+newKernel)
	r.sh("umount /boot /mnt")
}

func TestKernelHeldConfirmed(t *testing.T) {
	r := newKernelRoot(t)
	r.sh("apt-mark hold linux-image-cloud-amd64; touch /run/reboot-required; echo 'zfs/2.1.11, " + oldKernel + ", x86_64: installed' >/dkms")
	change := check(t, newKernelModule(), r)
	assert.Equal(t, []any{"linux-image-cloud-amd64"}, change.Vars["held"])
	assert.Equal(t, []string{`package "linux-image-cloud-amd64" is on hold: apt brings no other version of it`}, change.Notes)
	assert.Equal(t, true, change.Vars["reboot_required_file"])
	_, err := bootOnce().Check(t.Context(), r)
	assert.ErrorContains(t, err, "dkms has built zfs for "+oldKernel)

	r.sh(": >/dkms; echo lvm >/probe/abstraction")
	_, err = bootOnce().Check(t.Context(), r)
	assert.ErrorContains(t, err, "GRUB cannot write /boot/grub/grubenv on lvm")
	r.sh(": >/probe/abstraction; chmod 600 /boot/grub/grub.cfg; echo 'set default=1' >/boot/grub/custom.cfg")
	assert.Nil(t, check(t, newKernelModule(), r).Vars["next"])
	r.sh("rm -r /boot/grub")
	assert.Equal(t, "none", check(t, newKernelModule(), r).Vars["bootloader"])
}
