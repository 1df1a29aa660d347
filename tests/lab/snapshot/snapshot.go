// Package snapshot says what a thing is made of in a form that two moments can
// be compared in: a name for everything, and a digest of it.
package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Snapshot maps what there is to what it was like.
type Snapshot map[string]string

// Diff says what became different between two snapshots: "+ name" is new,
// "- name" has gone, "~ name: before -> after" has changed; in order of names.
func Diff(before, after Snapshot) []string {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before[name]
		is, has := after[name]
		switch {
		case !had:
			out = append(out, "+ "+name)
		case !has:
			out = append(out, "- "+name)
		case was != is:
			out = append(out, fmt.Sprintf("~ %s: %s -> %s", name, was, is))
		}
	}
	return out
}

// AddTree adds everything below root, each under prefix and its path. A folder
// counts with its mode and owner, a file with its content and the time of its
// last change too. What skip names, and all below it, is left out; its argument
// is relative to root.
func (s Snapshot) AddTree(prefix, root string, skip func(path string) bool) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if rel != "." && skip(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		s[prefix+"/"+rel], err = describe(path)
		return err
	})
}

func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	owner := ""
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf("%d:%d", st.Uid, st.Gid)
	}
	head := info.Mode().String() + " " + owner
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return head + " -> " + to, err
	case info.Mode().IsRegular():
		sum, err := digestFile(path)
		return fmt.Sprintf("%s %d bytes, changed %s, sha256 %s", head, info.Size(), info.ModTime().UTC().Format("15:04:05.000000000"), sum), err
	}
	return head, nil
}

func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// Digest is a short name for a content.
func Digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:8])
}

// Below says whether path is one of dirs or below one.
func Below(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}
