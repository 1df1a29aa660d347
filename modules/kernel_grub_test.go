package modules

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

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
