package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

func init() {
	register(Def{
		Name: "kernel",
		Doc:  "Tell which kernel runs, boots next and is expected, boot the expected one once, and confirm it",
		New:  func() Module { return &kernel{Panic: 30, DKMS: "check", Bootloader: "grub"} },
	})
}

// kernel looks at the kernels of a host of Debian or Ubuntu. With boot: once the
// next boot is a trial: GRUB takes the new kernel for that boot only, so that a
// panic or a power cycle brings the old one back (GRUB's manual, "Booting
// once-only"). With confirm the trial is over, and nothing of it stays.
type kernel struct {
	Package    string `arg:"package" doc:"The package whose installed version depends on the expected kernel, itself or through others, such as linux-image-cloud-amd64 or linux-generic-hwe-24.04."`
	Expected   string `arg:"expected" doc:"The release that is expected, as uname -r writes it; without it and package, the newest installed one of the flavour that runs."`
	Boot       string `arg:"boot" enum:"once" doc:"With once, the next boot takes the expected kernel, and the boot after it the one that runs now unless confirm has been asked for in between."`
	Confirm    bool   `arg:"confirm" doc:"Whether the expected kernel must run, and be what boots from now on."`
	Panic      int    `arg:"panic" doc:"With boot: once, seconds after which a kernel that panics, or an initrd that finds no root file system, boots again."`
	MinBootMB  *int   `arg:"min_boot_mb" doc:"Megabytes that must be free in /boot; 300 for boot: once where the expected kernel is not completely installed, nothing else where not given."`
	DKMS       string `arg:"dkms" enum:"check ignore" doc:"Whether boot: once fails where a module that dkms has built for the running kernel is not built for the expected one."`
	Bootloader string `arg:"bootloader" enum:"grub any" doc:"With any, a host without GRUB is trusted to boot the expected kernel by itself; boot: once and confirm fail there otherwise."`
}

var (
	kernelRelease = regexp.MustCompile(`^[0-9]+\.[0-9][A-Za-z0-9.+~_-]*$`)
	kernelPackage = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
)

func (k *kernel) Validate() error {
	switch {
	case k.Package != "" && k.Expected != "":
		return errors.New("package and expected exclude one another: both say which kernel is expected")
	case k.Package != "" && !kernelPackage.MatchString(k.Package):
		return fmt.Errorf("package: %q is not the name of a package; wanted one as in linux-image-cloud-amd64", k.Package)
	case k.Expected != "" && !kernelRelease.MatchString(k.Expected):
		return fmt.Errorf("expected: %q is not the release of a kernel; wanted one as uname -r writes it, as in 6.1.0-37-cloud-amd64", k.Expected)
	case k.Boot != "" && k.Confirm:
		return errors.New("boot and confirm exclude one another: the host has to boot in between")
	case k.Panic < 0:
		return fmt.Errorf("panic: %d seconds cannot be waited; 0 leaves the kernel's own setting", k.Panic)
	case k.MinBootMB != nil && *k.MinBootMB < 0:
		return fmt.Errorf("min_boot_mb: %d megabytes cannot be free", *k.MinBootMB)
	}
	return nil
}

func (k *kernel) Check(ctx context.Context, t Target) (Change, error) {
	look, err := k.look(ctx, t)
	if err != nil {
		return Change{}, err
	}
	unknown, vague := k.unforeseen(t, look)
	if vague != nil && (k.Boot != "" || k.Confirm) {
		return Change{}, vague
	}
	expected, err := k.expects(look)
	if err != nil && vague == nil {
		return Change{}, err
	}
	c := Change{Vars: look.vars(expected)}
	if vague != nil {
		for _, key := range unknown {
			c.Vars[key] = vague
		}
		return c, nil
	}
	c.Notes = k.notes(look, expected)
	if err := k.roomInBoot(look, expected); err != nil {
		return c, err
	}
	switch {
	case k.Boot == "once":
		err = k.once(look, expected, &c)
	case k.Confirm:
		err = k.confirm(look, expected, &c)
	}
	return c, err
}

// expects is the release that should run; empty where nothing is asked for and
// the host has no kernel of its own, as a container.
func (k *kernel) expects(l kernelLook) (string, error) {
	switch {
	case k.Expected != "":
		return k.Expected, nil
	case k.Package != "":
		return l.imageOf(k.Package)
	}
	flavour, newest := kernelFlavour(l.running), ""
	for _, i := range l.images() { // the oldest first
		if kernelFlavour(i.release) == flavour {
			newest = i.release
		}
	}
	return newest, nil
}

// imageOf is the release of the kernel that an installed package depends on.
func (l kernelLook) imageOf(name string) (string, error) {
	p := l.packages[name]
	switch releases := l.imagesOf(name); {
	case !p.present():
		return "", fmt.Errorf("package %q is not installed, so nothing says which kernel is expected; installed are %s", name, wordList(l.metas()))
	case len(releases) == 1:
		return releases[0], nil
	case len(releases) == 0:
		return "", fmt.Errorf("package %q depends on no kernel, neither itself nor through others; wanted one as in %s", name, wordList(l.metas()))
	default:
		return "", fmt.Errorf("package %q depends on several kernels (%s); say which with expected", name, strings.Join(releases, ", "))
	}
}

// notes are what nobody asked for and everybody should know.
func (k *kernel) notes(l kernelLook, expected string) []string {
	var notes []string
	for _, name := range k.holding(l, expected) {
		notes = append(notes, fmt.Sprintf("package %q is on hold: apt brings no other version of it", name))
	}
	for _, name := range slices.Sorted(maps.Keys(l.packages)) {
		if p := l.packages[name]; releaseOf(name) != "" && p.broken() {
			notes = append(notes, fmt.Sprintf("package %q is %s, and does not count as installed; `dpkg --configure -a` there says why", name, p.status))
		}
	}
	if lacks := l.incomplete(expected); expected != "" && expected != l.running && lacks != nil {
		notes = append(notes, fmt.Sprintf("%s is expected and cannot boot yet: %s", expected, lacks))
	}
	if l.dkmsFails != "" {
		notes = append(notes, "dkms does not say what it has built: "+l.dkmsFails)
	}
	if l.grub == nil {
		return notes
	}
	if next := l.grub.next(); next != "" && next != expected && l.incomplete(next) != nil {
		notes = append(notes, fmt.Sprintf("the next boot takes %s: %s", next, l.incomplete(next)))
	}
	return notes
}

// vars are what register gets. What boots is nil where it cannot be known.
func (l kernelLook) vars(expected string) map[string]any {
	var installed []string
	for _, i := range l.images() {
		installed = append(installed, i.release)
	}
	built := []any{}
	for _, m := range l.dkms {
		built = append(built, map[string]any{"module": m.module, "version": m.version, "kernel": m.kernel, "state": m.state})
	}
	vars := map[string]any{
		"running": l.running, "installed": texts(installed), "expected": expected, "next": nil, "default": nil, "once": false,
		"reboot_needed": expected != "" && expected != l.running, "reboot_required_file": l.rebootRequired,
		"boot_free_mb": nil, "held": texts(l.held()), "dkms": built, "bootloader": "none",
	}
	if l.freeMB >= 0 {
		vars["boot_free_mb"] = l.freeMB
	}
	if l.grub == nil {
		return vars
	}
	vars["bootloader"], vars["once"] = "grub", l.grub.env["next_entry"] != ""
	for key, release := range map[string]string{"next": l.grub.next(), "default": l.grub.usual()} {
		if release != "" {
			vars[key] = release
		}
	}
	return vars
}
