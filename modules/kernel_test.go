package modules

import (
	"errors"
	"fmt"
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
