package modules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// aKernel is the kernel that runs; its effects have no name. Their State is
// Unforeseen: a boot decides, and with GRUB's one-shot boot it may go either way.
const aKernel Thing = "kernel"

// unforeseen says why a plan cannot know the kernels of this host: a task before
// installs or removes one, or has the host boot; and which keys of the result are
// not known then.
func (k *kernel) unforeseen(t Target, l kernelLook) (keys []string, vague error) {
	keys = []string{"installed", "next", "default", "boot_free_mb", "held", "dkms", "once", "reboot_required_file"}
	if k.Expected == "" {
		keys = append(keys, "expected", "reboot_needed")
	}
	if _, ahead, err := foreseen(t, aKernel, ""); ahead && err != nil {
		return append(keys, "running", "reboot_needed"), err
	}
	e, ahead := k.ahead(t, l)
	switch {
	case !ahead:
		return nil, nil
	case e.Gone:
		return keys, Unforeseen{fmt.Sprintf("which kernels there are when %s has removed package %q", byTask(e.By), e.Name)}
	}
	return keys, Unforeseen{fmt.Sprintf("which kernels there are when %s has installed package %q", byTask(e.By), e.Name)}
}

// ahead is the package of the plan that changes the kernels: the one that was
// asked for, a kernel or one that depends on a kernel that dpkg knows, or a name
// that says as much.
func (k *kernel) ahead(t Target, l kernelLook) (Effect, bool) {
	names := append([]string{k.Package}, slices.Sorted(maps.Keys(l.packages))...)
	if k.Expected != "" {
		names = append(names, "linux-image-"+k.Expected)
	}
	for _, name := range names {
		if name == "" || name != k.Package && releaseOf(name) == "" && len(l.imagesOf(name)) == 0 {
			continue
		}
		if e, ok := t.Predicted(APackage, name); ok {
			return e, true
		}
	}
	e, ok := t.Predicted(APackage, anyPackage)
	return e, ok && bringsKernel(e.Name)
}

// besideKernels are the beginnings of names that are about Linux and bring none.
var besideKernels = []string{"headers", "libc", "base", "firmware", "tools", "doc", "source", "perf", "modules", "config", "kbuild", "compiler"}

func bringsKernel(name string) bool {
	rest, linux := strings.CutPrefix(name, "linux-")
	return linux && !slices.ContainsFunc(besideKernels, func(b string) bool { return strings.HasPrefix(rest, b) })
}
