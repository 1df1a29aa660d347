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

// AddLayer adds everything in the upper layer of an overlay, each under prefix
// and its path. A folder counts with its mode and owner, a file with its content
// and the time of its last change too. A folder that is the same in the lower
// layer does not count: overlayfs copies it when something in it is touched. What
// skip names, and all below it, is left out; its argument is relative to upper.
func (s Snapshot) AddLayer(prefix, upper, lower string, skip func(path string) bool) error {
	return filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(upper, path)
		if err != nil {
			return err
		}
		if rel != "." && skip(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		is, err := describe(path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if below, err := describe(filepath.Join(lower, rel)); err == nil && below == is {
				return nil
			}
		}
		s[prefix+"/"+rel] = is
		return nil
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
