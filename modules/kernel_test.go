package modules

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	oldKernel = "6.1.0-13-cloud-amd64"
	newKernel = "6.1.0-37-cloud-amd64"
)

func newKernelModule() *kernel { return &kernel{Panic: 30, DKMS: "check", Bootloader: "grub"} }

func bootOnce() *kernel {
	k := newKernelModule()
	k.Boot = "once"
	return k
}

func confirmed() *kernel {
	k := newKernelModule()
	k.Confirm = true
	return k
}

// kernelHost is a host as the module asks about it. The zero value, with a running
// kernel, is one without packages and without GRUB.
type kernelHost struct {
	running  string
	packages string // lines of WANT STATUS NAME VERSION DEPENDS
	files    string // what stat says, where it is not made up from complete
	complete []string
	free     int // MB; nothing where 0
	more     string
	grub     *grubFiles
}

// grubFiles are GRUB's files. The menu has the kernels in this order.
type grubFiles struct {
	menu                  []string
	flat                  bool
	fixed                 string // GRUB_DEFAULT in grub.cfg; 0 where empty
	options               string
	env, own, ours, where string
	custom                string
}

const grubDisk = "11111111-2222-3333-4444-555555555555"

func grubPath(release string) string {
	return "gnulinux-advanced-" + grubDisk + ">gnulinux-" + release + "-advanced-" + grubDisk
}

// says is what the host answers to the module's query.
func (h kernelHost) says() Output {
	var b strings.Builder
	fmt.Fprintf(&b, "@running\n%s\n@packages\n", h.running)
	for line := range strings.Lines(h.packages) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 5)
		fmt.Fprintln(&b, strings.Join(append(f, make([]string, 5-len(f))...), "\t"))
	}
	fmt.Fprintf(&b, "@files\n%s", h.files)
	for _, r := range h.complete {
		fmt.Fprintf(&b, "100 1000 /boot/vmlinuz-%s\n200 2000 /boot/initrd.img-%s\n", r, r)
	}
	b.WriteString("@free\n")
	if h.free > 0 {
		fmt.Fprintf(&b, "/dev/vda1 1000000 1 %d 1%% /boot\n", h.free*1024)
	}
	b.WriteString(h.more)
	if h.grub != nil {
		b.WriteString(h.grub.says())
	}
	return Output{Stdout: b.String()}
}

func (g grubFiles) says() string {
	var b strings.Builder
	fixed := g.fixed
	if fixed == "" {
		fixed = "0"
	}
	fmt.Fprintf(&b, "@menu\n### BEGIN /etc/grub.d/00_header ###\n   set default=\"${next_entry}\"\n   set default=\"%s\"\nfunction savedefault {\n}\n### END /etc/grub.d/00_header ###\n### BEGIN /etc/grub.d/10_linux ###\n", fixed)
	entry := func(title, id, release string) {
		fmt.Fprintf(&b, "menuentry '%s' --class gnu-linux $menuentry_id_option 'gnulinux-%s-%s' {\n\tlinux\t/boot/vmlinuz-%s root=/dev/vda1 ro  %s\n}\n", title, id, grubDisk, release, g.options)
	}
	if !g.flat {
		entry("Debian GNU/Linux", "simple", g.menu[0])
		fmt.Fprintf(&b, "submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-%s' {\n", grubDisk)
	}
	for _, r := range g.menu {
		entry("Debian GNU/Linux, with Linux "+r, r+"-advanced", r)
		entry("Debian GNU/Linux, with Linux "+r+" (recovery mode)", r+"-recovery", r)
	}
	if !g.flat {
		b.WriteString("}\n")
	}
	b.WriteString("### END /etc/grub.d/10_linux ###\nmenuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {\n}\n")
	own, where := g.own, g.where
	if own == "" {
		own = "GRUB_DEFAULT=0\n"
	}
	if where == "" {
		where = "@abstraction\n@fs\next2\n"
	}
	fmt.Fprintf(&b, "@custom\n%s@env\n%s@folder\n", g.custom, g.env)
	if g.ours != "" {
		b.WriteString("@ours\n" + g.ours)
	}
	return b.String() + "@own\n" + own + where
}

func (h kernelHost) target(k *kernel) *fake {
	return &fake{commands: map[string]Output{k.query().String(): h.says()}}
}

// upgraded is a host of Debian after apt has brought a new kernel.
func upgraded() kernelHost {
	return kernelHost{
		running: oldKernel, complete: []string{oldKernel, newKernel}, free: 500,
		packages: "install installed linux-image-" + oldKernel + " 6.1.55-1\ninstall installed linux-image-" + newKernel + " 6.1.140-1\n" +
			"install installed linux-image-cloud-amd64 6.1.140-1 linux-image-" + newKernel + " (= 6.1.140-1)\ninstall installed linux-base 4.9\n",
		grub: &grubFiles{menu: []string{newKernel, oldKernel}},
	}
}

// armed is the same host with the new kernel on trial.
func armed() kernelHost {
	h := upgraded()
	h.grub = &grubFiles{
		menu: []string{newKernel, oldKernel}, fixed: grubSaved, options: "panic=30", ours: bootOnce().trialFile(),
		env: "saved_entry=" + grubPath(oldKernel) + "\nnext_entry=" + grubPath(newKernel) + "\n",
	}
	return h
}

// tried is the host after the boot of the trial: GRUB leaves next_entry empty.
func tried(running string) kernelHost {
	h := armed()
	h.running, h.grub.env = running, "saved_entry="+grubPath(oldKernel)+"\nnext_entry=\n"
	return h
}

// with is a host changed.
func with(h kernelHost, change func(*kernelHost)) kernelHost {
	change(&h)
	return h
}

func TestKernelLooks(t *testing.T) {
	k := newKernelModule()
	change := check(t, k, upgraded().target(k))
	assert.Equal(t, Change{Vars: map[string]any{
		"running": oldKernel, "installed": []any{oldKernel, newKernel}, "expected": newKernel, "next": newKernel, "default": newKernel,
		"reboot_needed": true, "reboot_required_file": false, "boot_free_mb": 500, "held": []any{}, "dkms": []any{}, "once": false, "bootloader": "grub",
	}}, change)

	vars := check(t, k, armed().target(k)).Vars
	assert.Equal(t, []any{newKernel, oldKernel, true}, []any{vars["next"], vars["default"], vars["once"]})

	vars = check(t, k, kernelHost{running: "6.18.44-fc-v657"}.target(k)).Vars
	assert.Equal(t, map[string]any{
		"running": "6.18.44-fc-v657", "installed": []any{}, "expected": "", "next": nil, "default": nil, "reboot_needed": false, "reboot_required_file": false,
		"boot_free_mb": nil, "held": []any{}, "dkms": []any{}, "once": false, "bootloader": "none",
	}, vars, "a container")

	host := with(upgraded(), func(h *kernelHost) {
		h.more = "@required\n@dkms\nzfs/2.1.11, " + oldKernel + ", x86_64: installed (WARNING! Diff between built and installed module!)\nnvidia, 535.1, " + newKernel + ", x86_64: built\nvbox/7.0: added\n"
		h.packages = strings.Replace(h.packages, "install installed linux-base", "hold installed linux-base", 1)
	})
	vars = check(t, k, host.target(k)).Vars
	assert.Equal(t, true, vars["reboot_required_file"])
	assert.Equal(t, []any{"linux-base"}, vars["held"])
	assert.Equal(t, []any{
		map[string]any{"module": "zfs", "version": "2.1.11", "kernel": oldKernel, "state": "installed"},
		map[string]any{"module": "nvidia", "version": "535.1", "kernel": newKernel, "state": "built"},
		map[string]any{"module": "vbox", "version": "7.0", "kernel": "", "state": "added"},
	}, vars["dkms"])
}

// TestKernelExpected is about which kernel should run.
func TestKernelExpected(t *testing.T) {
	const ubuntu = `install installed linux-generic-hwe-24.04 6.14.0-24.24~24.04.3 linux-image-generic-hwe-24.04 (= 6.14.0-24.24~24.04.3), linux-headers-generic-hwe-24.04 (= 6.14.0-24.24~24.04.3)
install installed linux-image-generic-hwe-24.04 6.14.0-24.24~24.04.3 linux-image-6.14.0-24-generic | linux-image-unsigned-6.14.0-24-generic, linux-modules-extra-6.14.0-24-generic, linux-firmware, intel-microcode, amd64-microcode
install installed linux-headers-generic-hwe-24.04 6.14.0-24.24~24.04.3 linux-headers-6.14.0-24-generic
install installed linux-image-unsigned-6.14.0-24-generic 6.14.0-24.24~24.04.3 kmod, linux-base (>= 4.5ubuntu1~16.04.1)
install installed linux-image-6.14.0-9-generic 6.14.0-9.9~24.04.1
install installed linux-image-6.8.0-100-generic 6.8.0-100.100
install installed linux-image-6.8.0-1020-aws 6.8.0-1020.22
deinstall config-files linux-image-6.17.0-1-generic 6.17.0-1.1
install half-configured linux-image-6.17.0-2-generic 6.17.0-2.2
install installed linux-virtual-both 1 linux-image-6.8.0-100-generic, linux-image-6.14.0-9-generic
unknown ok not-a-kernel 1
`
	for name, c := range map[string]struct {
		running, pkg, expected, packages string
		want, err                        string
	}{
		"through two metas, unsigned": {running: "6.8.0-100-generic", pkg: "linux-generic-hwe-24.04", packages: ubuntu, want: "6.14.0-24-generic"},
		"through one":                 {running: "6.8.0-100-generic", pkg: "linux-image-generic-hwe-24.04", packages: ubuntu, want: "6.14.0-24-generic"},
		"newest of the flavour":       {running: "6.8.0-100-generic", packages: ubuntu, want: "6.14.0-24-generic"},
		"another flavour":             {running: "6.8.0-1020-aws", packages: ubuntu, want: "6.8.0-1020-aws"},
		"a flavour of nobody":         {running: "6.8.0-1-oracle", packages: ubuntu, want: ""},
		"as asked":                    {running: "6.8.0-100-generic", expected: "6.20.0-1-generic", packages: ubuntu, want: "6.20.0-1-generic"},
		"a package of one kernel":     {running: "6.8.0-100-generic", pkg: "linux-image-6.8.0-1020-aws", packages: ubuntu, want: "6.8.0-1020-aws"},
		"not installed": {running: "6.8.0-100-generic", pkg: "linux-image-generic", packages: ubuntu,
			err: `package "linux-image-generic" is not installed, so nothing says which kernel is expected; installed are linux-generic-hwe-24.04, linux-image-generic-hwe-24.04, linux-virtual-both`},
		"no kernel": {running: "6.8.0-100-generic", pkg: "linux-headers-generic-hwe-24.04", packages: ubuntu, err: "depends on no kernel"},
		"two":       {running: "6.8.0-100-generic", pkg: "linux-virtual-both", packages: ubuntu, err: "depends on several kernels (6.8.0-100-generic, 6.14.0-9-generic); say which with expected"},
		"Debian's backports, flavours with plus": {
			running: "6.1.0-37-cloud-amd64", want: "6.12.95+deb12-cloud-amd64",
			packages: "install installed linux-image-6.12.95+deb12-cloud-amd64 6.12.95-1~bpo12+1\ninstall installed linux-image-6.1.0-37-cloud-amd64 6.1.140-1\ninstall installed linux-image-6.12.95+deb12-amd64 6.12.95-1~bpo12+1\n" +
				"install installed linux-image-6.12.95+deb12-cloud-amd64-dbg 9\ninstall installed linux-image-6.1.0-38-cloud-amd64-unsigned 6.1.147-1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernelModule()
			k.Package, k.Expected = c.pkg, c.expected
			require.NoError(t, k.Validate())
			change, err := k.Check(t.Context(), kernelHost{running: c.running, packages: c.packages}.target(k))
			if c.err != "" {
				assert.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, change.Vars["expected"])
			assert.Equal(t, c.want != "" && c.want != c.running, change.Vars["reboot_needed"])
		})
	}
}

func TestKernelCannotLook(t *testing.T) {
	for name, c := range map[string]struct {
		says Output
		err  string
	}{
		"no dpkg":        {Output{Stdout: "@missing\n"}, "this host has no dpkg-query: the module kernel is for Debian and Ubuntu"},
		"not root":       {Output{Stdout: "@running\n" + oldKernel + "\n@denied\n"}, "add become: true"},
		"no answer":      {Output{Stderr: "sh: not found\n", Code: 127}, `found "", wanted the answer of uname -r (exit code 127: sh: not found)`},
		"not a release":  {Output{Stdout: "@running\n; reboot\n"}, `found "; reboot"`},
		"dpkg fails":     {Output{Stdout: "@running\n" + oldKernel + "\n@packages\n@dpkg-fails\n", Stderr: "dpkg-query: error: parsing file\n"}, "dpkg-query cannot list the packages of this host: dpkg-query: error: parsing file"},
		"not a package":  {Output{Stdout: "@running\n" + oldKernel + "\n@packages\ninstall\tinstalled\n"}, `dpkg-query: found "install\tinstalled"`},
		"a strange name": {Output{Stdout: "@running\n" + oldKernel + "\n@packages\na\tb\t$(x)\tc\td\n"}, "wanted a package"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernelModule()
			_, err := k.Check(t.Context(), &fake{commands: map[string]Output{k.query().String(): c.says}})
			assert.ErrorContains(t, err, c.err)
		})
	}
	k := newKernelModule()
	_, err := k.Check(t.Context(), &fake{errs: map[string]error{k.query().String(): errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

func TestKernelNotes(t *testing.T) {
	k := newKernelModule()
	host := with(upgraded(), func(h *kernelHost) {
		h.packages = strings.Replace(h.packages, "install installed linux-image-cloud-amd64", "hold installed linux-image-cloud-amd64", 1) +
			"install half-configured linux-image-6.1.0-40-cloud-amd64 6.1.150-1\n"
		h.grub.menu = append([]string{"6.1.0-40-cloud-amd64"}, h.grub.menu...)
		h.more = "@dkms\nError! Could not locate dkms.conf file.\n@dkms-fails\n"
	})
	change := check(t, k, host.target(k))
	assert.Equal(t, []string{
		`package "linux-image-cloud-amd64" is on hold: apt brings no other version of it`,
		`package "linux-image-6.1.0-40-cloud-amd64" is half-configured, and does not count as installed; ` + "`dpkg --configure -a` there says why",
		"dkms does not say what it has built: Error! Could not locate dkms.conf file.",
		`the next boot takes 6.1.0-40-cloud-amd64: package "linux-image-6.1.0-40-cloud-amd64" is half-configured; ` + "`dpkg --configure -a` there says why",
	}, change.Notes)
	assert.Equal(t, newKernel, change.Vars["expected"])

	k.Expected = "6.1.0-99-cloud-amd64"
	change = check(t, k, upgraded().target(k))
	assert.Equal(t, []string{"6.1.0-99-cloud-amd64 is expected and cannot boot yet: it has no /boot/vmlinuz-6.1.0-99-cloud-amd64; install linux-image-6.1.0-99-cloud-amd64"}, change.Notes)
}

func TestKernelBootOnce(t *testing.T) {
	var (
		save   = "grub-set-default '" + grubPath(oldKernel) + "'"
		write  = "write " + kernelDropIn + " (" + strconv.Itoa(len(bootOnce().trialFile())) + " bytes, mode 644)"
		trial  = "grub-reboot '" + grubPath(newKernel) + "'"
		dropIn = kernelDropIn + ":  -> " + bootOnce().trialFile()
	)
	for name, c := range map[string]struct {
		host  kernelHost
		diffs []string
		steps []string
	}{
		"to be armed": {upgraded(),
			[]string{dropIn, "/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once", "boot after it: " + newKernel + " -> " + oldKernel},
			[]string{save, write, "update-grub", trial}},
		"as asked":        {armed(), nil, nil},
		"already running": {tried(newKernel), nil, nil},
		"it went back: another try": {tried(oldKernel),
			[]string{"next boot: " + oldKernel + " -> " + newKernel + ", once"}, []string{trial}},
		"the default is pinned to the old one": {with(upgraded(), func(h *kernelHost) { h.grub.fixed, h.grub.own = "1>2", "GRUB_DEFAULT=1>2\n" }),
			[]string{dropIn, "/boot/grub/grub.cfg: default 1>2 -> default saved", "next boot: " + oldKernel + " -> " + newKernel + ", once", "boot after it: " + oldKernel + " (by default 1>2) -> " + oldKernel},
			[]string{save, write, "update-grub", trial}},
		"grub.cfg is older than the new kernel": {with(upgraded(), func(h *kernelHost) { h.grub.menu = []string{oldKernel} }),
			[]string{dropIn, "/boot/grub/grub.cfg: no entry for " + newKernel + " -> an entry for " + newKernel, "next boot: " + oldKernel + " -> " + newKernel + ", once", "boot after it: " + oldKernel + " (by default 0) -> " + oldKernel},
			[]string{save, write, "update-grub", trial}},
		"interrupted before update-grub": {with(armed(), func(h *kernelHost) {
			h.grub.fixed, h.grub.options, h.grub.env = "0", "", "saved_entry="+grubPath(oldKernel)+"\n"
		}),
			[]string{"/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once"}, []string{"update-grub", trial}},
		"grub.cfg has no panic": {with(armed(), func(h *kernelHost) { h.grub.options = "quiet" }),
			[]string{"/boot/grub/grub.cfg: no panic=30 for " + newKernel + " -> panic=30"}, []string{"update-grub"}},
		"another one is armed": {with(armed(), func(h *kernelHost) {
			h.grub.env = "saved_entry=" + grubPath(oldKernel) + "\nnext_entry=" + grubPath(oldKernel) + "\n"
		}),
			[]string{"next boot: " + oldKernel + ", once -> " + newKernel + ", once"}, []string{trial}},
		"armed by number": {with(armed(), func(h *kernelHost) { h.grub.env = "saved_entry=" + grubPath(oldKernel) + "\nnext_entry=0\n" }),
			[]string{"next boot: " + newKernel + ", once (by 0) -> " + newKernel + ", once"}, []string{trial}},
		"what an old grub-reboot has left": {with(armed(), func(h *kernelHost) { h.grub.env += "prev_saved_entry=0\n" }),
			[]string{"boot after it: " + oldKernel + " (by default saved) -> " + oldKernel}, []string{save}},
		"no menu in the menu": {with(upgraded(), func(h *kernelHost) { h.grub.flat = true }),
			[]string{dropIn, "/boot/grub/grub.cfg: default 0 -> default saved", "next boot: " + newKernel + " -> " + newKernel + ", once", "boot after it: " + newKernel + " -> " + oldKernel},
			[]string{"grub-set-default gnulinux-" + oldKernel + "-advanced-" + grubDisk, write, "update-grub", "grub-reboot gnulinux-" + newKernel + "-advanced-" + grubDisk}},
	} {
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

// TestKernelCannotBootOnce is about kernels that would not come up, and boot
// loaders that would not go back.
func TestKernelCannotBootOnce(t *testing.T) {
	full := with(upgraded(), func(h *kernelHost) {
		h.complete, h.free = []string{oldKernel}, 40
		h.packages = strings.Replace(h.packages, "installed linux-image-"+newKernel, "half-configured linux-image-"+newKernel, 1) +
			"install installed linux-image-6.1.0-9-cloud-amd64 6.1.27-1\n"
	})
	byPackage := func(k *kernel) { k.Package = "linux-image-cloud-amd64" }
	for name, c := range map[string]struct {
		host kernelHost
		args func(*kernel)
		err  string
	}{
		"a full /boot": {full, byPackage, "/boot has 40 MB free, and 300 MB are wanted for a kernel and its initrd; remove kernels that nobody needs, with apt-get purge: linux-image-6.1.0-9-cloud-amd64"},
		"half-configured": {with(full, func(h *kernelHost) { h.free = 400 }), byPackage,
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
	} {
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
		after   = "boot after it: " + oldKernel + " -> " + newKernel
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
		"only update-grub":  {with(final, func(h *kernelHost) { g := *h.grub; g.fixed = grubSaved; h.grub = &g }), []string{cfg, "boot after it: " + newKernel + " (by default saved) -> " + newKernel}, []string{save, "update-grub"}, ""},
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

// TestKernelInAPlan is about plans that change kernels before they look at them.
func TestKernelInAPlan(t *testing.T) {
	meta := Effect{Thing: APackage, Name: "linux-image-cloud-amd64", State: "6.1.150-1", By: "upgrade"}
	const reason = `known after apply: which kernels there are when the task "upgrade" has installed package "linux-image-cloud-amd64"`
	k := newKernelModule()
	target := upgraded().target(k)
	target.predicted = []Effect{meta}
	vars := check(t, k, target).Vars
	assert.Equal(t, oldKernel, vars["running"])
	for _, key := range []string{"installed", "expected", "next", "default", "reboot_needed", "boot_free_mb", "held", "dkms", "once"} {
		assert.IsType(t, Unforeseen{}, vars[key], key)
	}
	k.Expected = newKernel
	vars = check(t, k, target).Vars
	assert.Equal(t, []any{newKernel, true}, []any{vars["expected"], vars["reboot_needed"]})

	for _, k := range []*kernel{bootOnce(), confirmed()} {
		_, err := k.Check(t.Context(), target)
		assert.EqualError(t, err, reason)
	}
	k = newKernelModule()
	k.Package = "linux-image-amd64" // not installed, and yet to come
	target.predicted = []Effect{{Thing: APackage, Name: k.Package, State: "1", By: "install"}}
	assert.IsType(t, Unforeseen{}, check(t, k, target).Vars["expected"])

	for name, c := range map[string]struct {
		effect Effect
		vague  bool
	}{
		"some package": {Effect{Thing: APackage, Name: "", State: "1"}, false},
		"a kernel":     {Effect{Thing: APackage, Name: "linux-image-" + oldKernel, Gone: true, By: "purge"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernelModule()
			target.predicted = []Effect{c.effect}
			_, vague := check(t, k, target).Vars["installed"].(Unforeseen)
			assert.Equal(t, c.vague, vague)
		})
	}
	for name, brings := range map[string]bool{"linux-generic-hwe-24.04": true, "linux-image-6.20.0-1-generic": true, "linux-headers-amd64": false, "linux-libc-dev": false, "ipset": false} {
		assert.Equal(t, brings, bringsKernel(name), name)
	}

	armed := check(t, bootOnce(), upgraded().target(bootOnce())).Effects
	require.Len(t, armed, 1)
	target.predicted = armed
	assert.IsType(t, Unforeseen{}, check(t, newKernelModule(), target).Vars["running"], "a boot decides")
	_, err := confirmed().Check(t.Context(), target)
	assert.EqualError(t, err, "known after apply: whether "+newKernel+" runs when the host has booted")
}

func TestKernelArguments(t *testing.T) {
	for text, k := range map[string]*kernel{
		"package and expected exclude":     {Package: "linux-image-amd64", Expected: "6.1.0-1-amd64"},
		`package: "x;y" is not the name`:   {Package: "x;y"},
		`expected: "latest" is not the`:    {Expected: "latest"},
		"boot and confirm exclude":         {Boot: "once", Confirm: true},
		"panic: -1 seconds":                {Panic: -1},
		"min_boot_mb: -1 megabytes cannot": {MinBootMB: new(-1)},
	} {
		assert.ErrorContains(t, k.Validate(), text)
	}
	require.NoError(t, bootOnce().Validate())
}

// TestGrubFinds is GRUB's own way from a default to an entry.
func TestGrubFinds(t *testing.T) {
	g := &grubState{}
	g.readMenu(`### BEGIN /etc/grub.d/10_linux ###
menuentry 'It'\''s Debian' $menuentry_id_option 'simple' {
	linux	/vmlinuz-3.0-new root=x
}
submenu "More > less" $menuentry_id_option 'more' {
	menuentry 'New' --id new {
		linux /vmlinuz-3.0-new.efi.signed root=x
	}
	menuentry 'Old' --class x --id 'a>b' {
		linux16 /boot/vmlinuz-2.0-old
	}
	submenu 'Deep' {
		menuentry 'Deepest' {
			linux /vmlinux-1.0-deep
		}
	}
}
function f {
}
menuentry 'Memory test' {
}
`)
	for path, want := range map[string]string{
		"0": "3.0-new", "": "3.0-new", "simple": "3.0-new", "It's Debian": "3.0-new", "gone": "3.0-new", "9": "3.0-new",
		"1": "3.0-new", "1>1": "2.0-old", "more>a>>b": "2.0-old", "More >> less>Old": "2.0-old", "more>gone": "3.0-new", "more>9": "3.0-new",
		"more>Deep>Deepest": "1.0-deep", "1>2": "1.0-deep", "1>2>0": "1.0-deep", "Old": "3.0-new", "2": "", "Memory test": "",
	} {
		e, ok := g.find(path)
		assert.Equal(t, want, e.release, path)
		assert.Equal(t, want != "", ok, path)
	}
	_, ok := (&grubState{}).find("0")
	assert.False(t, ok)
}

func TestKernelFlavour(t *testing.T) {
	for release, want := range map[string]string{
		"6.1.0-37-cloud-amd64": "cloud-amd64", "6.12.95+deb12-cloud-amd64": "cloud-amd64", "6.1.0-0.deb11.13-cloud-amd64": "cloud-amd64", "6.11-rc4-amd64": "amd64",
		"6.14.0-24-generic": "generic", "6.8.0-31-generic-64k": "generic-64k", "6.8.0-1020-aws": "aws", "6.18.44-fc-v657": "fc-v657", "6.1.0-13-686": "", "6.6.1": "",
	} {
		assert.Equal(t, want, kernelFlavour(release), release)
	}
}

func TestVersionsAreOrderedAsByDpkg(t *testing.T) {
	versions := []string{
		"1.0~rc1-1", "1.0-1", "1.0-1.1", "1.0-2~bpo12+1", "1.0-2", "1.0-10", "1.0a-1", "1.0+b-1", "1.0.1-1", "2", "2.0", "10.0", "0.9:1", "1:0.1", "1:0.1-1",
		"6.1.140-1", "6.12.95-1~bpo12+1", "6.8.0-9.9", "6.8.0-100.100", "6.14.0-24.24~24.04.3", "6.14.0-24.24", "007", "7", "",
	}
	dpkg, err := exec.LookPath("dpkg")
	for _, a := range versions {
		assert.Zero(t, compareVersions(a, a), a)
		for _, b := range versions {
			if a == "" || b == "" || strings.HasPrefix(a, "0.9") || strings.HasPrefix(b, "0.9") {
				compareVersions(a, b) // not versions, and no reason to panic
				continue
			}
			if err == nil {
				older := exec.Command(dpkg, "--compare-versions", a, "lt", b).Run() == nil
				assert.Equal(t, older, compareVersions(a, b) < 0, "%s < %s", a, b)
			}
		}
	}
	assert.Negative(t, compareVersions("6.1.0-13", "6.1.0-37"))
	assert.Negative(t, compareVersions("6.14.0-24.24~24.04.3", "6.14.0-24.24"))
	assert.Positive(t, compareVersions("6.8.0-100.100", "6.8.0-9.9"))
}
