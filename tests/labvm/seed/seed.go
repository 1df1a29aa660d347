// Package seed writes what makes one machine out of an image that is every
// machine's: an archive of files that the machine unpacks at its first boot,
// from a disk that is the bare archive.
package seed

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// File is one file of a machine. The folders that it is in come with it, if the
// machine has not got them.
type File struct {
	Path  string // without a leading slash
	Mode  int64
	Owner int    // user and group
	Data  []byte // what is in it
	From  string // or else: a file of this machine
}

// Write writes the archive.
func Write(w io.Writer, files []File) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if f.Path == "" || path.Clean(f.Path) != f.Path || strings.HasPrefix(f.Path, "/") || strings.HasPrefix(f.Path, "..") {
			return fmt.Errorf("seed: path %q: a clean path below the root is wanted", f.Path)
		}
		if err := add(t, f); err != nil {
			return fmt.Errorf("seed: %s: %w", f.Path, err)
		}
	}
	return t.Close()
}

func add(t *tar.Writer, f File) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: f.Mode, Uid: f.Owner, Gid: f.Owner, Size: int64(len(f.Data))}
	if f.From == "" {
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := t.Write(f.Data)
		return err
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
	h.Size = info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(t, src)
	return err
}

// WriteFile writes the archive at path, readable by its owner only: it holds
// keys.
func WriteFile(path string, files []File) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := Write(f, files); err != nil {
		return err
	}
	return f.Close()
}
