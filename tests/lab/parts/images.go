package parts

import (
	"context"
	"fmt"
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
	calicoImage    = "docker.io/calico/node:"
	CalicoFaulty   = calicoImage + "v3.27.0"
	CalicoMended   = calicoImage + "v3.27.5"
	imagePath      = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	busyboxApplets = "sh ls cat sleep wget nslookup echo ps true false ip grep id env head tail nc ping chroot"
)

// images writes the archive of all images. It is written each time: it costs
// less than finding out whether it is stale.
func (c Cache) images(ctx context.Context, p Parts, coredns string) (string, error) {
	curl, err := withLibraries(ctx, p.Base, "/usr/bin/curl")
	if err != nil {
		return "", err
	}
	oldIpset, err := c.oldIpset(ctx, p)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, "images.tar")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
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
		simple(IngressImage, "ingress", box, curl),
	}
	for _, tag := range []string{CalicoFaulty, CalicoMended} {
		img := simple(tag, "calico-node", box, oldIpset)
		version := strings.TrimPrefix(tag, calicoImage)
		img.Env = append(img.Env, "CALICO_VERSION="+version)
		img.Labels = map[string]string{"version": version}
		list = append(list, img)
	}
	if err := image.Write(f, list...); err != nil {
		return "", err
	}
	return path, f.Close()
}

// busybox is this machine's static busybox and the names it answers to.
func busybox() image.Layer {
	l := image.Layer{{Path: "bin/busybox", From: "/bin/busybox"}}
	for _, applet := range strings.Fields(busyboxApplets) {
		l = append(l, image.File{Path: "bin/" + applet, Link: "busybox"})
	}
	return l
}

// oldIpset is ipset 7.10 with the libraries it needs: its own from the old
// packages, the others from the Debian tree.
func (c Cache) oldIpset(ctx context.Context, p Parts) (image.Layer, error) {
	old, err := c.once("unpacked-"+filepath.Base(p.OldDebs), func(dir string) error {
		debs, err := filepath.Glob(filepath.Join(p.OldDebs, "*.deb"))
		if err != nil {
			return err
		}
		for _, deb := range debs {
			if _, err := run(exec.CommandContext(ctx, "dpkg-deb", "--extract", deb, dir)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	layer, err := withLibraries(ctx, p.Base, "/usr/sbin/ipset")
	if err != nil {
		return nil, err
	}
	for i, f := range layer {
		if !strings.Contains(filepath.Base(f.Path), "ipset") {
			continue
		}
		found, err := find(old, filepath.Base(f.Path))
		if err != nil {
			return nil, err
		}
		layer[i].From = found
	}
	return layer, nil
}

// find returns the one file of that name below root.
func find(root, name string) (string, error) {
	var found string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == name {
			found = path
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("no file %q below %s", name, root)
	}
	return found, err
}

// libraryPath finds the absolute paths in what ldd prints.
var libraryPath = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// withLibraries is a program of the Debian tree with every library it needs,
// each at its own path.
func withLibraries(ctx context.Context, base, program string) (image.Layer, error) {
	out, err := run(exec.CommandContext(ctx, "chroot", base, "ldd", program))
	if err != nil {
		return nil, err
	}
	paths := []string{program}
	for _, m := range libraryPath.FindAllStringSubmatch(out, -1) {
		paths = append(paths, m[1])
	}
	var l image.Layer
	for _, p := range paths {
		l = append(l, image.File{Path: strings.TrimPrefix(p, "/"), From: filepath.Join(base, p)})
	}
	return l, nil
}
