// Package image writes container images into one archive that
// `ctr images import` and `docker load` read, from nothing but files.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sort"
	"time"
)

// Image is one image: its files in layers, and what runs.
type Image struct {
	Tags       []string // full references, "docker.io/lab/pause:1"
	Layers     []Layer  // from the bottom up
	Entrypoint []string
	Env        []string
	Labels     map[string]string
}

// Layer is a set of files. Images that hold the same layer share it in the
// archive.
type Layer []File

// File is one entry of a layer: a copy of From, or a symbolic link.
type File struct {
	Path string // inside the image, without a leading slash
	From string // on this machine; symbolic links are followed
	Link string // what a symbolic link points to; From is empty then
}

// Write writes the archive. The same images give the same bytes.
func Write(w io.Writer, images ...Image) error {
	a := &archive{tar: tar.NewWriter(w), have: map[string]bool{}}
	var entries []manifestEntry
	for _, img := range images {
		e, err := a.add(img)
		if err != nil {
			return fmt.Errorf("image %q: %w", img.Tags, err)
		}
		entries = append(entries, e)
	}
	data, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	if err := a.blob("manifest.json", data); err != nil {
		return err
	}
	return a.tar.Close()
}

// manifestEntry and config are docker's archive format.
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type config struct {
	Architecture string       `json:"architecture"`
	OS           string       `json:"os"`
	Config       runConfig    `json:"config"`
	RootFS       layerDigests `json:"rootfs"`
}

type runConfig struct {
	Entrypoint []string
	Env        []string
	Labels     map[string]string `json:",omitempty"`
}

type layerDigests struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type archive struct {
	tar  *tar.Writer
	have map[string]bool // names that are in the archive
}

func (a *archive) add(img Image) (manifestEntry, error) {
	if len(img.Tags) == 0 || len(img.Layers) == 0 {
		return manifestEntry{}, errors.New("an image needs a tag and a layer")
	}
	e := manifestEntry{RepoTags: img.Tags}
	digests := layerDigests{Type: "layers"}
	for _, l := range img.Layers {
		data, err := l.tar()
		if err != nil {
			return e, err
		}
		sum := digest(data)
		name := sum + "/layer.tar"
		if err := a.blob(name, data); err != nil {
			return e, err
		}
		e.Layers = append(e.Layers, name)
		digests.DiffIDs = append(digests.DiffIDs, "sha256:"+sum)
	}
	data, err := json.Marshal(config{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config:       runConfig{Entrypoint: img.Entrypoint, Env: img.Env, Labels: img.Labels},
		RootFS:       digests,
	})
	if err != nil {
		return e, err
	}
	e.Config = digest(data) + ".json"
	return e, a.blob(e.Config, data)
}

func (a *archive) blob(name string, data []byte) error {
	if a.have[name] {
		return nil
	}
	a.have[name] = true
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.tar.Write(data)
	return err
}

// tar packs the layer: folders first, names in order, no times, owner root.
func (l Layer) tar() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range l.folders() {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	files := append(Layer(nil), l...)
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	for _, f := range files {
		if err := f.pack(w); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

func (l Layer) folders() []string {
	seen := map[string]bool{}
	for _, f := range l {
		for dir := path.Dir(f.Path); dir != "." && dir != "/"; dir = path.Dir(dir) {
			seen[dir] = true
		}
	}
	dirs := make([]string, 0, len(seen))
	for dir := range seen {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	return dirs
}

func (f File) pack(w *tar.Writer) error {
	if f.Link != "" {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: f.Path, Linkname: f.Link, Mode: 0o777, ModTime: time.Unix(0, 0)})
	}
	src, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: f.Path, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, src)
	return err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
