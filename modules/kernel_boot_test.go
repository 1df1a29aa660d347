package modules

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What the steps and the file of a trial look like.
var (
	onceSave  = "grub-set-default '" + grubPath(oldKernel) + "'"
	onceWrite = "write " + kernelDropIn + " (" + strconv.Itoa(len(bootOnce().trialFile())) + " bytes, mode 644)"
	onceTrial = "grub-reboot '" + grubPath(newKernel) + "'"
	onceFile  = kernelDropIn + ":  -> " + bootOnce().trialFile()
)

// kernelTrials are hosts on which the new kernel is to be booted once.
var kernelTrials = map[string]struct {
	host  kernelHost
	diffs []string
	steps []string
}{
	"to be armed": {upgraded(),
		[]string{onceFile, "/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once", "default boot: " + newKernel + " -> " + oldKernel},
		[]string{onceSave, onceWrite, "update-grub", onceTrial}},
	"as asked":        {armed(), nil, nil},
	"already running": {tried(newKernel), nil, nil},
	"it went back: another try": {tried(oldKernel),
		[]string{"next boot: " + oldKernel + " -> " + newKernel + ", once"}, []string{onceTrial}},
	"the default is pinned to the old one": {with(upgraded(), func(h *kernelHost) { h.grub.fixed, h.grub.own = "1>2", "GRUB_DEFAULT=1>2\n" }),
		[]string{onceFile, "/boot/grub/grub.cfg: default 1>2 -> default saved", "next boot: " + oldKernel + " -> " + newKernel + ", once", "default boot: " + oldKernel + " (by default 1>2) -> " + oldKernel},
		[]string{onceSave, onceWrite, "update-grub", onceTrial}},
	"grub.cfg is older than the new kernel": {with(upgraded(), func(h *kernelHost) { h.grub.menu = []string{oldKernel} }),
		[]string{onceFile, "/boot/grub/grub.cfg: no entry for " + newKernel + " -> an entry for " + newKernel, "next boot: " + oldKernel + " -> " + newKernel + ", once", "default boot: " + oldKernel + " (by default 0) -> " + oldKernel},
		[]string{onceSave, onceWrite, "update-grub", onceTrial}},
	"interrupted before update-grub": {with(armed(), func(h *kernelHost) {
		h.grub.fixed, h.grub.options, h.grub.env = "0", "", "saved_entry="+grubPath(oldKernel)+"\n"
	}),
		[]string{"/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once"}, []string{"update-grub", onceTrial}},
	"grub.cfg has no panic": {with(armed(), func(h *kernelHost) { h.grub.options = "quiet" }),
		[]string{"/boot/grub/grub.cfg: no panic=30 for " + newKernel + " -> panic=30"}, []string{"update-grub"}},
	"another one is armed": {with(armed(), func(h *kernelHost) {
		h.grub.env = "saved_entry=" + grubPath(oldKernel) + "\nnext_entry=" + grubPath(oldKernel) + "\n"
	}),
		[]string{"next boot: " + oldKernel + ", once -> " + newKernel + ", once"}, []string{onceTrial}},
	"armed by number": {with(armed(), func(h *kernelHost) { h.grub.env = "saved_entry=" + grubPath(oldKernel) + "\nnext_entry=0\n" }),
		[]string{"next boot: " + newKernel + ", once (by 0) -> " + newKernel + ", once"}, []string{onceTrial}},
	"what an old grub-reboot has left": {with(armed(), func(h *kernelHost) { h.grub.env += "prev_saved_entry=0\n" }),
		[]string{"default boot: " + oldKernel + " (by default saved) -> " + oldKernel}, []string{onceSave, onceTrial}},
	"no menu in the menu": {with(upgraded(), func(h *kernelHost) { h.grub.flat = true }),
		[]string{onceFile, "/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once", "default boot: " + newKernel + " -> " + oldKernel},
		[]string{"grub-set-default gnulinux-" + oldKernel + "-advanced-" + grubDisk, onceWrite, "update-grub", "grub-reboot gnulinux-" + newKernel + "-advanced-" + grubDisk}},
}

func TestKernelBootOnce(t *testing.T) {
	for name, c := range kernelTrials {
		t.Run(name, func(t *testing.T) {
			k := bootOnce()
			change := check(t, k, c.host.target(k))
			assert.Equal(t, c.diffs, diffLines(change))
			assert.Equal(t, c.steps, append([]string(nil), stepLines(change)...))
			if len(c.steps) > 0 {
				assert.Equal(t, []any{newKernel, oldKernel, true}, []any{change.Vars["next"], change.Vars["default"], change.Vars["once"]})
			}
		})
	}
}

func TestKernelTrialWithoutPanic(t *testing.T) {
	k := bootOnce()
	k.Panic = 0
	change := check(t, k, upgraded().target(k))
	assert.Equal(t, Write{Path: kernelDropIn, Data: []byte(savedFile), Mode: 0o644}, change.Steps[1])
	host := with(upgraded(), func(h *kernelHost) { h.more = "@dkms\n" })
	out := host.says()
	out.Stdout = strings.Replace(out.Stdout, "@folder\n", "", 1)
	change = check(t, k, &fake{commands: map[string]Output{k.query().String(): out}})
	assert.Equal(t, "mkdir -p /etc/default/grub.d", stepLines(change)[1])
}

// fullBoot is a host whose /boot was full when the new kernel came.
var fullBoot = with(upgraded(), func(h *kernelHost) {
	h.complete, h.free = []string{oldKernel}, 40
	h.packages = strings.Replace(h.packages, "installed linux-image-"+newKernel, "half-configured linux-image-"+newKernel, 1) +
		"install installed linux-image-6.1.0-9-cloud-amd64 6.1.27-1\n"
})

func byPackage(k *kernel) { k.Package = "linux-image-cloud-amd64" }

// unbootable are kernels that would not come up, and boot loaders that would not
// go back.
var unbootable = map[string]struct {
	host kernelHost
	args func(*kernel)
	err  string
}{
	"a full /boot": {fullBoot, byPackage, "/boot has 40 MB free, and 300 MB are wanted for a kernel and its initrd; remove kernels that nobody needs, with apt-get purge: linux-image-6.1.0-9-cloud-amd64"},
	"half-configured": {with(fullBoot, func(h *kernelHost) { h.free = 400 }), byPackage,
		newKernel + ` cannot be booted: package "linux-image-` + newKernel + `" is half-configured; ` + "`dpkg --configure -a` there says why"},
	"a hold is why it is not there": {with(upgraded(), func(h *kernelHost) {
		h.packages = strings.Replace(h.packages, "install installed linux-image-cloud-amd64", "hold installed linux-image-cloud-amd64", 1)
	}), func(k *kernel) { k.Expected = "6.1.0-40-cloud-amd64" },
		`it has no /boot/vmlinuz-6.1.0-40-cloud-amd64; install linux-image-6.1.0-40-cloud-amd64; apt does not bring it while "linux-image-cloud-amd64" is on hold (apt-mark unhold)`},
	"no initrd": {with(upgraded(), func(h *kernelHost) {
		h.complete, h.files = []string{oldKernel}, "100 1000 /boot/vmlinuz-"+newKernel+"\n"
	}), nil, "it has no /boot/initrd.img-" + newKernel + "; `update-initramfs -c -k " + newKernel + "` makes it"},
	"an empty initrd": {with(upgraded(), func(h *kernelHost) {
		h.complete, h.files = []string{oldKernel}, "100 1000 /boot/vmlinuz-"+newKernel+"\n0 2000 /boot/initrd.img-"+newKernel+"\n"
	}), nil, "/boot/initrd.img-" + newKernel + " is empty"},
	"an old initrd": {with(upgraded(), func(h *kernelHost) {
		h.complete, h.files = []string{oldKernel}, "100 1000 /boot/vmlinuz-"+newKernel+"\n200 999 /boot/initrd.img-"+newKernel+"\n"
	}), nil, "/boot/initrd.img-" + newKernel + " is older than /boot/vmlinuz-" + newKernel},
	"dkms": {with(upgraded(), func(h *kernelHost) {
		h.more = "@dkms\nzfs/2.1.11, " + oldKernel + ", x86_64: installed\nzfs/2.2, " + newKernel + ", x86_64: built\nold/1: added\n"
	}), nil, newKernel + " cannot be booted: dkms has built zfs for " + oldKernel + " and not for it; `dkms autoinstall -k " + newKernel + "`"},
	"no way back": {with(upgraded(), func(h *kernelHost) { h.complete, h.grub.menu = []string{newKernel}, []string{newKernel} }), nil,
		"the running kernel " + oldKernel + " is not in /boot any more, so there is no way back; install linux-image-" + oldKernel + " again"},
	"LVM":   {with(upgraded(), func(h *kernelHost) { h.grub.where = "@abstraction\nlvm\n@fs\next2\n" }), nil, "GRUB cannot write /boot/grub/grubenv on lvm, so every boot would take it"},
	"btrfs": {with(upgraded(), func(h *kernelHost) { h.grub.where = "@abstraction\n@fs\nbtrfs\n" }), nil, "on btrfs"},
	"no disk": {with(upgraded(), func(h *kernelHost) {
		h.grub.where = "@abstraction\ngrub-probe: error: no\n@no-abstraction\n@fs\next2\n"
	}), nil, "grub-probe does not say where /boot/grub is: grub-probe: error: no"},
	"custom.cfg":        {with(upgraded(), func(h *kernelHost) { h.grub.custom = "set default=3\n" }), nil, `"set default=3" in grub.cfg or custom.cfg overrules what is saved`},
	"no GRUB":           {with(upgraded(), func(h *kernelHost) { h.grub = nil }), nil, "this host does not boot with GRUB"},
	"no kernel at all":  {kernelHost{running: "6.18.44-fc-v657"}, nil, "no kernel of this host's own packages is installed"},
	"min_boot_mb":       {with(upgraded(), func(h *kernelHost) { h.free = 99 }), func(k *kernel) { k.MinBootMB = new(100) }, "/boot has 99 MB free, and 100 MB are wanted"},
	"min_boot_mb alone": {with(upgraded(), func(h *kernelHost) { h.free = 99 }), func(k *kernel) { k.Boot, k.MinBootMB = "", new(100) }, "no kernel is installed that is neither running nor expected"},
}

func TestKernelCannotBootOnce(t *testing.T) {
	for name, c := range unbootable {
		t.Run(name, func(t *testing.T) {
			k := bootOnce()
			if c.args != nil {
				c.args(k)
			}
			change, err := k.Check(t.Context(), c.host.target(k))
			assert.ErrorContains(t, err, c.err)
			assert.Empty(t, change.Steps)
			assert.Equal(t, c.host.running, change.Vars["running"], "what was found is registered all the same")
		})
	}
	k := bootOnce()
	out := upgraded().says()
	out.Stdout = strings.ReplaceAll(out.Stdout, "'gnulinux-", "'")
	_, err := k.Check(t.Context(), &fake{commands: map[string]Output{k.query().String(): out}})
	assert.ErrorContains(t, err, "has no entry as Debian's 10_linux writes them")

	k = bootOnce()
	k.Bootloader = "any"
	change := check(t, k, with(upgraded(), func(h *kernelHost) { h.grub = nil }).target(k))
	assert.Empty(t, change.Diffs)
	assert.Equal(t, []string{"the boot loader of this host is trusted to take " + newKernel + ": there is no way back to " + oldKernel + " by itself"}, change.Notes)
	k = bootOnce()
	k.DKMS = "ignore"
	host := with(upgraded(), func(h *kernelHost) { h.more = "@dkms\nzfs/2.1.11, " + oldKernel + ", x86_64: installed\n" })
	assert.NotEmpty(t, check(t, k, host.target(k)).Steps)
}

func TestKernelConfirm(t *testing.T) {
	var (
		save    = "grub-set-default '" + grubPath(newKernel) + "'"
		away    = kernelDropIn + ": " + bootOnce().trialFile() + " -> "
		cfg     = "/boot/grub/grub.cfg: default saved -> default 0"
		after   = "default boot: " + oldKernel + " -> " + newKernel
		forget  = "grub-editenv /boot/grub/grubenv unset saved_entry"
		disarm  = "grub-editenv /boot/grub/grubenv unset next_entry"
		pinned  = func(h *kernelHost) { h.grub.own = "GRUB_DEFAULT=" + grubPath(oldKernel) + "\n" }
		keepCfg = "write " + kernelDropIn + " (" + strconv.Itoa(len(savedFile)) + " bytes, mode 644)"
	)
	final := upgraded()
	final.running = newKernel
	for name, c := range map[string]struct {
		host  kernelHost
		diffs []string
		steps []string
		note  string
	}{
		"after the trial":   {tried(newKernel), []string{away, cfg, after}, []string{save, "rm " + kernelDropIn, "update-grub", forget}, ""},
		"as asked":          {final, nil, nil, ""},
		"armed once more":   {with(final, func(h *kernelHost) { g := *h.grub; g.env = "next_entry=1>2\n"; h.grub = &g }), []string{"next boot: " + oldKernel + ", once -> " + newKernel}, []string{disarm}, ""},
		"only update-grub":  {with(final, func(h *kernelHost) { g := *h.grub; g.fixed = grubSaved; h.grub = &g }), []string{cfg, "default boot: " + newKernel + " (by default saved) -> " + newKernel}, []string{save, "update-grub"}, ""},
		"the user's saved":  {with(tried(newKernel), func(h *kernelHost) { h.grub.own = "GRUB_DEFAULT=saved\n" }), []string{away, after}, []string{save, "rm " + kernelDropIn, "update-grub"}, ""},
		"pinned to the old": {with(tried(newKernel), pinned), []string{kernelDropIn + ": " + bootOnce().trialFile() + " -> " + savedFile, after}, []string{save, keepCfg, "update-grub"}, "would boot " + oldKernel},
		"pinned, no trial": {with(final, func(h *kernelHost) {
			g := *h.grub
			g.own, g.fixed = "GRUB_DEFAULT="+grubPath(oldKernel)+"\n", grubPath(oldKernel)
			h.grub = &g
		}), []string{kernelDropIn + ":  -> " + savedFile, "/boot/grub/grub.cfg: default " + grubPath(oldKernel) + " -> default saved", after}, []string{save, keepCfg, "update-grub"}, "would boot " + oldKernel},
		"pinned, and kept": {with(tried(newKernel), func(h *kernelHost) {
			pinned(h)
			h.grub.ours, h.grub.env = savedFile, "saved_entry="+grubPath(newKernel)+"\n"
		}), nil, nil, "so " + kernelDropIn + " stays and overrules it"},
		"a firmware as default": {with(tried(newKernel), func(h *kernelHost) { h.grub.own = "GRUB_DEFAULT=uefi-firmware\n" }),
			[]string{kernelDropIn + ": " + bootOnce().trialFile() + " -> " + savedFile, after}, []string{save, keepCfg, "update-grub"}, "would boot no Linux"},
	} {
		t.Run(name, func(t *testing.T) {
			k := confirmed()
			change := check(t, k, c.host.target(k))
			assert.Equal(t, c.diffs, diffLines(change))
			assert.Equal(t, c.steps, append([]string(nil), stepLines(change)...))
			assert.Equal(t, c.note == "", len(change.Notes) == 0, change.Notes)
			assert.Contains(t, strings.Join(change.Notes, "\n"), c.note)
			assert.Equal(t, newKernel, change.Vars["default"])
		})
	}
}

func TestKernelCannotConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		host kernelHost
		err  string
	}{
		"it went back": {tried(oldKernel), newKernel + " is expected to run, and " + oldKernel + " does: the boot of " + newKernel + " did not succeed, and the boot loader has gone back to " + oldKernel +
			" (GRUB's next_entry is used up, saved_entry is " + grubPath(oldKernel) + "); its console says why, and perhaps `journalctl -b -1`; boot: once tries again"},
		"not rebooted":   {armed(), "the boot of it is armed and has not been made (GRUB's next_entry is " + grubPath(newKernel) + "); reboot the host, then confirm"},
		"never armed":    {upgraded(), "no boot of it is armed (GRUB's next_entry is empty, saved_entry is empty); use boot: once, and reboot the host"},
		"no GRUB":        {with(upgraded(), func(h *kernelHost) { h.grub = nil }), oldKernel + " does; reboot the host first"},
		"no GRUB at all": {with(upgraded(), func(h *kernelHost) { h.running, h.grub = newKernel, nil }), "this host does not boot with GRUB"},
		"no kernel":      {kernelHost{running: "6.18.44-fc-v657"}, "no kernel of this host's own packages is installed"},
		"a stray":        {with(tried(newKernel), func(h *kernelHost) { h.grub.custom = "set default=3\n" }), "nobody can tell whether " + newKernel + " boots from now on: set default=3"},
		"no settings":    {with(tried(newKernel), func(h *kernelHost) { h.grub.own = "\n" }), "cannot be read by a shell"},
	} {
		t.Run(name, func(t *testing.T) {
			k := confirmed()
			_, err := k.Check(t.Context(), c.host.target(k))
			assert.ErrorContains(t, err, c.err)
		})
	}
	k := confirmed()
	k.Bootloader = "any"
	change := check(t, k, with(upgraded(), func(h *kernelHost) { h.running, h.grub = newKernel, nil }).target(k))
	assert.Equal(t, []string{newKernel + " runs; what boots next only its boot loader knows"}, change.Notes)
}
