package parts

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"runbook/tests/lab/image"
)

// The references of the images, as manifests name them. The lab makes them all:
// none is ever pulled.
const (
	PauseImage     = "docker.io/lab/pause:1"
	BusyboxImage   = "docker.io/library/busybox:1.36"
	CoreDNSImage   = "docker.io/lab/coredns:1"
	KeybuzzImage   = "docker.io/lab/keybuzz-api:1"
	IngressImage   = "docker.io/lab/ingress-nginx:1"
	ShopImage      = "docker.io/lab/shop:1"
	RouterImage    = "docker.io/cloudnativelabs/kube-router:v2.1.0"
	CalicoFaulty   = nodeImage + "v3.27.0" // lists every set of the host
	CalicoMended   = nodeImage + "v3.27.5" // lists its own
	CalicoBroken   = nodeImage + brokenTag // never gets ready
	nodeImage      = "docker.io/calico/node:"
	brokenTag      = "v3.27.4"
	busyboxPath    = "/bin/busybox"
	imagePath      = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	busyboxApplets = "sh ls cat sleep wget nslookup echo ps true false ip grep id env head tail nc ping chroot"
)

// images is the archive of all images.
func (c Cache) images(ctx context.Context, p Parts, coredns string) (string, error) {
	curl, err := withLibraries(ctx, p.Base, "/usr/bin/curl")
	if err != nil {
		return "", err
	}
	oldIpset, err := oldIpset(ctx, p)
	if err != nil {
		return "", err
	}
	newIpset, err := withLibraries(ctx, p.Base, "/usr/sbin/ipset")
	if err != nil {
		return "", err
	}
	program := func(name string) image.Layer {
		return image.Layer{{Path: "usr/local/bin/" + name, From: filepath.Join(p.Programs, name)}}
	}
	simple := func(tag, name string, below ...image.Layer) image.Image {
		return image.Image{
			Tags: []string{tag}, Layers: append(below, program(name)),
			Entrypoint: []string{"/usr/local/bin/" + name}, Env: []string{imagePath},
		}
	}
	box := busybox()
	list := []image.Image{
		simple(PauseImage, "pause"),
		{Tags: []string{BusyboxImage}, Layers: []image.Layer{box}, Entrypoint: []string{"/bin/sh"}, Env: []string{imagePath}},
		{
			Tags: []string{CoreDNSImage}, Layers: []image.Layer{{{Path: "coredns", From: filepath.Join(coredns, "coredns")}}},
			Entrypoint: []string{"/coredns"},
		},
		simple(KeybuzzImage, "keybuzz-api", box),
		simple(ShopImage, "shop", box),
		simple(IngressImage, "ingress", box, curl),
		simple(RouterImage, "kube-router", box, newIpset),
	}
	for _, version := range CalicoVersions {
		list = append(list, calico(version, p.Programs, box, oldIpset)...)
	}
	return c.archive(list)
}

// archive is the cache entry of these images. Their files are those of other
// entries, so where a file lies says what it is, but for this machine's busybox.
func (c Cache) archive(list []image.Image) (string, error) {
	box, err := os.ReadFile(busyboxPath)
	if err != nil {
		return "", err
	}
	described, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	const name = "images.tar"
	dir, err := c.once("images-"+key(string(described), string(box)), func(dir string) error {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := image.Write(f, list...); err != nil {
			return err
		}
		return f.Close()
	})
	return filepath.Join(dir, name), err
}

// busybox is this machine's static busybox and the names it answers to.
func busybox() image.Layer {
	l := image.Layer{{Path: "bin/busybox", From: busyboxPath}}
	for _, applet := range strings.Fields(busyboxApplets) {
		l = append(l, image.File{Path: "bin/" + applet, Link: "busybox"})
	}
	return l
}

// oldIpset is ipset 7.10 with the libraries it needs: its own from the old
// packages, the others from the Debian tree.
func oldIpset(ctx context.Context, p Parts) (image.Layer, error) {
	// The old files are shown to the tree's loader under /mnt, in a mount
	// namespace that ends with the command.
	out, err := run(exec.CommandContext(ctx, "unshare", "--mount", "sh", "-ec", `
mount --bind "$1" "$0/mnt"
exec chroot "$0" sh -c 'LD_LIBRARY_PATH=$(echo /mnt/usr/lib/*-linux-gnu) ldd /mnt/usr/sbin/ipset'`, p.Base, p.OldIpset))
	if err != nil {
		return nil, err
	}
	layer := image.Layer{{Path: "usr/sbin/ipset", From: filepath.Join(p.OldIpset, "usr/sbin/ipset")}}
	for _, lib := range libraries(out) {
		if own, ok := strings.CutPrefix(lib, "/mnt/"); ok {
			layer = append(layer, image.File{Path: own, From: filepath.Join(p.OldIpset, own)})
		} else {
			layer = append(layer, fromTree(p.Base, lib))
		}
	}
	return layer, nil
}

// withLibraries is a program of the Debian tree with every library it needs,
// each at its own path.
func withLibraries(ctx context.Context, base, program string) (image.Layer, error) {
	out, err := run(exec.CommandContext(ctx, "chroot", base, "ldd", program))
	if err != nil {
		return nil, err
	}
	layer := image.Layer{fromTree(base, program)}
	for _, lib := range libraries(out) {
		layer = append(layer, fromTree(base, lib))
	}
	return layer, nil
}

func fromTree(base, path string) image.File {
	return image.File{Path: strings.TrimPrefix(path, "/"), From: filepath.Join(base, path)}
}

var libraryPath = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// libraries are the absolute paths in what ldd prints.
func libraries(ldd string) []string {
	var paths []string
	for _, m := range libraryPath.FindAllStringSubmatch(ldd, -1) {
		paths = append(paths, m[1])
	}
	return paths
}
