// Package durable writes files that are whole after any crash: the file is the
// old one or the new one, and once a function has returned it is the new one.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"runbook/runner/failpoint"
)

// replacing is where a test build dies: the new file is durable, and the old one
// still in its place.
var replacing = failpoint.New("durable.replacing")

const tempMark = ".tmp-"

// Replace puts a file, mode 0600, in the place of whatever stands at a path. An
// error that comes from the directory alone comes with the file in its place.
func Replace(path string, data []byte) error {
	temp, err := write(path, data)
	if err != nil {
		return err
	}
	replacing.Hit()
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// Create is Replace for a file that must not be there yet: the first of several
// writers wins, and the error of the others is fs.ErrExist.
func Create(path string, data []byte) error {
	temp, err := write(path, data)
	if err != nil {
		return err
	}
	linked := os.Link(temp, path)
	return errors.Join(linked, os.Remove(temp), SyncDir(filepath.Dir(path)))
}

// Sweep removes what writers of a file left that were killed. Nobody else may be
// writing it.
func Sweep(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix(path)) && e.Type().IsRegular() {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// tempPrefix begins the names under which a file is written before it is whole.
func tempPrefix(path string) string { return "." + filepath.Base(path) + tempMark }

// write writes data durably under a name of its own, beside the path.
func write(path string, data []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix(path)+"*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// SyncDir makes the names in a directory durable, where its file system can and
// it may be read: whoever may only write there can do no more.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
