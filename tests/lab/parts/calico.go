package parts

import (
	"path/filepath"

	"runbook/tests/lab/image"
)

// CalicoVersions are the tags that there are images of.
var CalicoVersions = []string{"v3.26.5", "v3.27.0", brokenTag, "v3.27.5"}

// CalicoImages are the references of one version's images.
func CalicoImages(version string) (node, cni, controllers string) {
	return nodeImage + version, "docker.io/calico/cni:" + version, "docker.io/calico/kube-controllers:" + version
}

// calico are the three images of a version. They hold the same files whatever
// the version: what differs is what they are told.
func calico(version, programs string, box, ipset image.Layer) []image.Image {
	one := func(tag, path, program string, below ...image.Layer) image.Image {
		layer := image.Layer{{Path: path, From: filepath.Join(programs, program)}}
		return image.Image{
			Tags: []string{tag}, Layers: append(below, layer), Entrypoint: []string{"/" + path},
			Env: []string{imagePath, "CALICO_VERSION=" + version}, Labels: map[string]string{"version": version},
		}
	}
	nodeTag, cniTag, controllersTag := CalicoImages(version)
	// The program is not under /usr: that may be the host's.
	node := one(nodeTag, "bin/calico-node", "calico-node", box, ipset)
	if version == brokenTag {
		node.Env = append(node.Env, "LAB_BROKEN=true")
	}
	return []image.Image{
		node,
		one(cniTag, "opt/cni/bin/install", "calico-cni"),
		one(controllersTag, "usr/bin/kube-controllers", "kube-controllers"),
	}
}
