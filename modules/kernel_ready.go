package modules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// enoughForAKernel is how many megabytes of /boot a kernel and its initrd take at
// the most, while the initrd is written and when it is there.
const enoughForAKernel = 300

// roomInBoot holds /boot to what was asked for, or to what a kernel takes that
// is yet to be written there: a full /boot leaves it half-configured, and GRUB
// boots it all the same.
func (k *kernel) roomInBoot(l kernelLook, expected string) error {
	want := 0
	switch {
	case k.MinBootMB != nil:
		want = *k.MinBootMB
	case k.Boot == "once" && expected != "" && expected != l.running && l.incomplete(expected) != nil:
		want = enoughForAKernel
	}
	if l.freeMB < 0 || l.freeMB >= want {
		return nil
	}
	var others []string
	for name, p := range l.packages {
		if r := releaseOf(name); r != "" && p.present() && r != l.running && r != expected {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	advice := "no kernel is installed that is neither running nor expected, so /boot itself is too small"
	if len(others) > 0 {
		advice = "remove kernels that nobody needs, with apt-get purge: " + strings.Join(others, " ")
	}
	return fmt.Errorf("/boot has %d MB free, and %d MB are wanted for a kernel and its initrd; %s", l.freeMB, want, advice)
}

// incomplete is what an installed kernel lacks; nil where it can boot. A kernel
// that no package brings needs its files only.
func (l kernelLook) incomplete(release string) error {
	packaged := slices.ContainsFunc(l.images(), func(i kernelImage) bool { return i.release == release })
	for name, p := range l.packages {
		if releaseOf(name) == release && p.broken() && !packaged {
			return fmt.Errorf("package %q is %s; `dpkg --configure -a` there says why", name, p.status)
		}
	}
	linux, ok := l.files["/boot/vmlinuz-"+release]
	initrd, made := l.files["/boot/initrd.img-"+release]
	switch remake := "`update-initramfs -c -k " + release + "` makes it"; {
	case !ok || linux.size == 0:
		return fmt.Errorf("it has no /boot/vmlinuz-%s; install linux-image-%s", release, release)
	case !made:
		return fmt.Errorf("it has no /boot/initrd.img-%s; %s", release, remake)
	case initrd.size == 0:
		return fmt.Errorf("/boot/initrd.img-%s is empty; %s", release, remake)
	case initrd.changed < linux.changed:
		return fmt.Errorf("/boot/initrd.img-%s is older than /boot/vmlinuz-%s, so it is of another kernel; %s", release, release, remake)
	}
	return nil
}

// bootable refuses a kernel that would not come up, or not with what the running
// one has. A hold matters where it is why the kernel is not there.
func (k *kernel) bootable(l kernelLook, expected string) error {
	if lacks := l.incomplete(expected); lacks != nil {
		held := ""
		if names := k.holding(l, expected); len(names) > 0 {
			held = fmt.Sprintf("; apt does not bring it while %s on hold (apt-mark unhold)", quotedList(names)+map[bool]string{true: " is", false: " are"}[len(names) == 1])
		}
		return fmt.Errorf("%s cannot be booted: %w%s", expected, lacks, held)
	}
	if k.DKMS == "ignore" {
		return nil
	}
	var unbuilt []string
	for _, m := range l.dkms {
		if m.kernel == l.running && m.state == "installed" && !slices.Contains(unbuilt, m.module) && !l.built(m.module, expected) {
			unbuilt = append(unbuilt, m.module)
		}
	}
	if len(unbuilt) > 0 {
		return fmt.Errorf("%s cannot be booted: dkms has built %s for %s and not for it; `dkms autoinstall -k %s` builds it, with linux-headers-%s installed; dkms: ignore boots without",
			expected, strings.Join(unbuilt, ", "), l.running, expected, expected)
	}
	return nil
}

// holding are the packages on hold that decide on the expected kernel.
func (k *kernel) holding(l kernelLook, expected string) []string {
	return slices.DeleteFunc(l.held(), func(name string) bool {
		meta := releaseOf(name) == "" && len(l.imagesOf(name)) > 0
		return releaseOf(name) != expected && name != k.Package && (!meta || k.Package != "" && !slices.Contains(l.chain(k.Package), name))
	})
}

// built says that a module is there for a kernel, in whichever version.
func (l kernelLook) built(module, release string) bool {
	return slices.ContainsFunc(l.dkms, func(m dkmsModule) bool {
		return m.module == module && m.kernel == release && m.state == "installed"
	})
}

// tryable refuses a one-shot boot that would not be one, or have no way back.
func (l kernelLook) tryable(expected string) error {
	g := l.grub
	_, listed := g.entry(l.running)
	switch {
	case g.readOnly != "":
		return fmt.Errorf("%s cannot be booted once: %s, so every boot would take it; boot it as the default, with somebody at the console", expected, g.readOnly)
	case g.stray != "":
		return fmt.Errorf("%s cannot be booted once: %q in grub.cfg or custom.cfg overrules what is saved; set the default with GRUB_DEFAULT alone", expected, g.stray)
	case !listed && l.files["/boot/vmlinuz-"+l.running].size == 0:
		return fmt.Errorf("%s cannot be booted once: the running kernel %s is not in /boot any more, so there is no way back; install linux-image-%s again", expected, l.running, l.running)
	}
	return nil
}

// withoutGrub is what a host is told whose boot loader this module does not know.
func (k *kernel) withoutGrub(c *Change, trust string) error {
	if k.Bootloader == "any" {
		c.Notes = append(c.Notes, trust)
		return nil
	}
	return errors.New("this host does not boot with GRUB: wanted /boot/grub/grub.cfg, grub-editenv and update-grub, and no systemd-boot; bootloader: any leaves it to its own boot loader")
}

// notBooted is the error of a confirm while another kernel runs.
func (l kernelLook) notBooted(expected string) error {
	is := fmt.Sprintf("%s is expected to run, and %s does", expected, l.running)
	if l.grub == nil {
		return errors.New(is + "; reboot the host first")
	}
	g := l.grub
	next := g.env["next_entry"]
	saved := cmp.Or(g.env["saved_entry"], "empty")
	switch {
	case next != "" && g.next() == expected:
		return fmt.Errorf("%s: the boot of it is armed and has not been made (GRUB's next_entry is %s); reboot the host, then confirm", is, next)
	case g.hasDropIn && next == "":
		return fmt.Errorf("%s: the boot of %s did not succeed, and the boot loader has gone back to %s (GRUB's next_entry is used up, saved_entry is %s); its console says why, and perhaps `journalctl -b -1`; boot: once tries again",
			is, expected, l.running, saved)
	}
	return fmt.Errorf("%s: no boot of it is armed (GRUB's next_entry is %s, saved_entry is %s); use boot: once, and reboot the host", is, cmp.Or(next, "empty"), saved)
}
