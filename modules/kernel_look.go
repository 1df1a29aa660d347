package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kernelDropIn is runbook's own file among GRUB's settings. grub-mkconfig reads
// them in the order of their names, and the last one decides.
const kernelDropIn = "/etc/default/grub.d/zz-runbook-kernel.cfg"

// kernelProbe asks for everything in one round trip. GRUB's settings are shell
// text: they are read as grub-mkconfig reads them, without runbook's own file.
// systemd-boot says its name in an EFI variable; a grub.cfg beside it is a
// leftover.
const kernelProbe = `command -v dpkg-query >/dev/null || { echo @missing; exit 0; }
echo @running; uname -r
echo @packages
dpkg-query -W -f='${db:Status-Want}\t${db:Status-Status}\t${Package}\t${Version}\t${Depends}\n' 'linux-*' $package || [ $? -eq 1 ] || echo @dpkg-fails
echo @files; stat -L -c '%%s %%Y %%n' /boot/vmlinuz-* /boot/initrd.img-* 2>/dev/null
echo @free; df -P -k /boot 2>/dev/null | tail -n 1
[ ! -e /run/reboot-required ] || echo @required
if command -v dkms >/dev/null; then
	echo @dkms; dkms status 2>&1 || echo @dkms-fails
fi
grub=/boot/grub ours=` + kernelDropIn + `
[ -e "$grub/grub.cfg" ] && command -v grub-editenv >/dev/null && command -v update-grub >/dev/null || exit 0
tr -d '\0' </sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f 2>/dev/null | grep -q systemd-boot && exit 0
[ -r "$grub/grub.cfg" ] || { echo @denied; exit 0; }
echo @menu
grep -E '^[[:blank:]]*(menuentry|submenu|function|linux|set default=|default=|\})|^### ' "$grub/grub.cfg"
echo @custom; grep -E '^[[:blank:]]*(set +)?default=' "$grub/custom.cfg" 2>/dev/null
echo @env; grub-editenv "$grub/grubenv" list 2>/dev/null
[ ! -d "${ours%%/*}" ] || echo @folder
[ ! -e "$ours" ] || { echo @ours; cat "$ours"; }
echo @own
(
	unset GRUB_DEFAULT
	for file in /etc/default/grub "${ours%%/*}"/*.cfg; do
		[ "$file" = "$ours" ] || [ ! -e "$file" ] || . "$file"
	done >/dev/null 2>&1
	printf 'GRUB_DEFAULT=%%s\n' "$GRUB_DEFAULT"
)
for what in abstraction fs; do
	echo "@$what"; grub-probe --target="$what" "$grub" 2>&1 || echo "@no-$what"
done
exit 0
`

// kernelLooks bounds the look: dkms takes a second for each module it knows.
const kernelLooks = time.Minute

// kernelLook is what a host says of its kernels.
type kernelLook struct {
	running        string
	packages       map[string]linuxPackage // whose name begins with linux-, and the one that was asked for
	files          map[string]bootFile     // of /boot, by path
	freeMB         int                     // -1: not known
	rebootRequired bool
	dkms           []dkmsModule
	dkmsFails      string
	grub           *grubState // nil: it does not boot this host
}

// linuxPackage is a package as dpkg knows it.
type linuxPackage struct {
	name, version, status string
	hold                  bool
	depends               [][]string // names, each with its alternatives
}

// bootFile is a file of /boot.
type bootFile struct{ size, changed int64 }

// dkmsModule is a module that dkms builds, for one kernel or, without one, for
// none so far.
type dkmsModule struct{ module, version, kernel, state string }

// kernelImage is an installed kernel.
type kernelImage struct{ release, version string }

func (k *kernel) look(ctx context.Context, t Target) (kernelLook, error) {
	out, err := t.Query(ctx, k.query())
	if err != nil {
		return kernelLook{}, err
	}
	return parseKernels(out)
}

func (k *kernel) query() Run {
	script := fmt.Sprintf("package=%s\n"+kernelProbe, Quote(k.Package))
	return Run{Shell: script, Env: map[string]string{"PATH": systemPath, "LC_ALL": "C"}, Limit: kernelLooks, Show: "uname -r; dpkg-query -W 'linux-*'; grub.cfg, grubenv, /boot"}
}

func parseKernels(out Output) (kernelLook, error) {
	said := atSections(out.Stdout)
	l := kernelLook{running: strings.TrimSpace(said["running"]), files: map[string]bootFile{}, freeMB: freeIn(said["free"])}
	_, missing := said["missing"]
	_, denied := said["denied"]
	_, l.rebootRequired = said["required"]
	switch {
	case missing:
		return l, errors.New("this host has no dpkg-query: the module kernel is for Debian and Ubuntu")
	case denied:
		return l, errors.New("/boot/grub/grub.cfg can only be read by root here; add become: true")
	case !kernelRelease.MatchString(l.running):
		return l, fmt.Errorf("this host did not say which kernel runs: found %q, wanted the answer of uname -r (exit code %d: %s)", l.running, out.Code, lastLine(out.Stderr))
	}
	if _, fails := said["dpkg-fails"]; fails { // 1 is only that there is no such package
		return l, fmt.Errorf("dpkg-query cannot list the packages of this host: %s", lastLine(out.Stderr))
	}
	var err error
	if l.packages, err = parseLinuxPackages(said["packages"]); err != nil {
		return l, err
	}
	for line := range strings.Lines(said["files"]) {
		var f bootFile
		var name string
		if n, _ := fmt.Sscanf(line, "%d %d %s", &f.size, &f.changed, &name); n == 3 {
			l.files[name] = f
		}
	}
	l.dkms = parseDKMS(said["dkms"])
	if _, fails := said["dkms-fails"]; fails {
		l.dkmsFails = lastLine(said["dkms"])
	}
	if _, grub := said["menu"]; grub {
		l.grub = parseGrub(said)
	}
	return l, nil
}

// freeIn reads the last line of df -P -k.
func freeIn(line string) int {
	if f := strings.Fields(line); len(f) >= 6 {
		if kb, err := strconv.Atoi(f[3]); err == nil {
			return kb / 1024
		}
	}
	return -1
}

func parseLinuxPackages(text string) (map[string]linuxPackage, error) {
	all := map[string]linuxPackage{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 5 || !kernelPackage.MatchString(f[2]) {
			return nil, fmt.Errorf("dpkg-query: found %q, wanted a package with its state, version and dependencies", strings.TrimSpace(line))
		}
		p := linuxPackage{name: f[2], version: f[3], status: f[1], hold: f[0] == "hold"}
		for dependency := range strings.SplitSeq(f[4], ",") {
			var names []string
			for alternative := range strings.SplitSeq(dependency, "|") {
				name, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
				name, _, _ = strings.Cut(name, ":") // an architecture
				names = append(names, name)
			}
			p.depends = append(p.depends, names)
		}
		if known := all[p.name]; !known.installed() { // of another architecture
			all[p.name] = p
		}
	}
	return all, nil
}

// present says that dpkg knows the package as more than leftover configuration.
func (p linuxPackage) present() bool {
	return p.status != "" && p.status != "config-files" && p.status != "not-installed"
}

func (p linuxPackage) installed() bool { return p.status == "installed" }
func (p linuxPackage) broken() bool    { return p.present() && !p.installed() }

// linuxImage is the name of a package with a kernel in it. Ubuntu writes unsigned
// in the middle and Debian at the end. Names as in linux-image-686-pae, and those
// of debug symbols, are of others.
var linuxImage = regexp.MustCompile(`^linux-image-(?:unsigned-)?([0-9]+\.[0-9].*?)(?:-unsigned)?$`)

// releaseOf is the release of the kernel in a package; empty where it has none.
func releaseOf(name string) string {
	m := linuxImage.FindStringSubmatch(name)
	if m == nil || strings.HasSuffix(name, "-dbg") || strings.HasSuffix(name, "-dbgsym") {
		return ""
	}
	return m[1]
}

// images are the installed kernels, sorted as Debian sorts their versions.
func (l kernelLook) images() []kernelImage {
	newest := map[string]string{}
	for name, p := range l.packages {
		if r := releaseOf(name); r != "" && p.installed() && (newest[r] == "" || compareVersions(p.version, newest[r]) > 0) {
			newest[r] = p.version
		}
	}
	var all []kernelImage
	for release, version := range newest {
		all = append(all, kernelImage{release, version})
	}
	slices.SortFunc(all, func(a, b kernelImage) int {
		if c := compareVersions(a.version, b.version); c != 0 {
			return c
		}
		return compareVersions(a.release, b.release)
	})
	return all
}

// imagesOf are the releases that a package depends on, itself or through others.
func (l kernelLook) imagesOf(name string) []string {
	var found []string
	for _, n := range l.chain(name) {
		if r := releaseOf(n); r != "" && !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	return found
}

// chain is a package and what it depends on, itself or through others, as far as
// they are about Linux and short of what a kernel itself needs. Of alternatives it
// is the one that is installed.
func (l kernelLook) chain(name string) []string {
	var names []string
	next := []string{name}
	for len(next) > 0 {
		name, next = next[0], next[1:]
		if slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if releaseOf(name) != "" {
			continue
		}
		for _, alternatives := range l.packages[name].depends {
			chosen := alternatives[0]
			for _, a := range alternatives {
				if l.packages[a].installed() {
					chosen = a
					break
				}
			}
			next = append(next, chosen)
		}
	}
	return names
}

// metas are the packages whose purpose is to depend on a kernel.
func (l kernelLook) metas() []string {
	var names []string
	for name, p := range l.packages {
		if p.present() && releaseOf(name) == "" && len(l.imagesOf(name)) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (l kernelLook) held() []string {
	var names []string
	for name, p := range l.packages {
		if p.hold && p.present() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

var (
	dkmsLine  = regexp.MustCompile(`^([^/,:\s]+)[/,]\s*([^,:\s]+)(?:, ([^,:\s]+), [^,:\s]+)?: ([a-z]+)`)
	releaseRC = regexp.MustCompile(`^rc[0-9]+$`)
)

// parseDKMS reads `dkms status`. Version 2 writes "zfs, 2.1.5, RELEASE, x86_64:
// installed" and version 3 "zfs/2.1.5, RELEASE, x86_64: installed"; without a
// release it is added, and built for none.
func parseDKMS(text string) []dkmsModule {
	var all []dkmsModule
	for line := range strings.Lines(text) {
		if m := dkmsLine.FindStringSubmatch(line); m != nil {
			all = append(all, dkmsModule{m[1], m[2], m[3], m[4]})
		}
	}
	return all
}

// kernelFlavour is what tells kernels of one version apart: cloud-amd64 of
// 6.1.0-37-cloud-amd64 and of 6.12.95+deb12-cloud-amd64, generic of
// 6.14.0-24-generic.
func kernelFlavour(release string) string {
	words := strings.Split(release, "-")[1:]
	for len(words) > 0 && (words[0] == "" || words[0][0] >= '0' && words[0][0] <= '9' || releaseRC.MatchString(words[0])) {
		words = words[1:]
	}
	return strings.Join(words, "-")
}
