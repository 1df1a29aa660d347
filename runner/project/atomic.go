package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"runbook/runner/failpoint"
)

const tempMark = ".tmp-"

// Where a test build dies.
var (
	replacing = failpoint.New("project.file.replacing")    // the new file is durable, the old one still in its place
	copied    = failpoint.New("project.checkpoint.copied") // the checkpoint's copy is newer than the checkpoint
)

// writeAtomic replaces a file of dir, mode 0600: after a crash at any moment the
// file is the old one or the new one, and after writeAtomic it is the new one.
func writeAtomic(dir, name string, data []byte) error {
	temp, err := writeTemp(dir, name, data)
	if err != nil {
		return err
	}
	replacing.Hit()
	if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncDir(dir)
}

// writeNew is writeAtomic for a file that must not be there yet: the first of
// several writers wins, and the error of the others is fs.ErrExist.
func writeNew(dir, name string, data []byte) error {
	temp, err := writeTemp(dir, name, data)
	if err != nil {
		return err
	}
	linked := os.Link(temp, filepath.Join(dir, name))
	return errors.Join(linked, os.Remove(temp), syncDir(dir))
}

// writeTemp writes data durably under a name of its own.
func writeTemp(dir, name string, data []byte) (temp string, err error) {
	f, err := os.CreateTemp(dir, "."+name+tempMark+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// sweep removes what writers left that were killed. Nobody else may be writing.
func sweep(dir, name string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+name+tempMark) && e.Type().IsRegular() {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // a filesystem that cannot sync directories
	}
	return errors.Join(err, f.Close())
}
