package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A folder is a directory and what the journal does in it: few calls, so that a
// test can make each of them fail. Names are relative and never lead out of it.
type folder interface {
	mkdir(name string) error          // 0700; one that is there already is no error
	create(name string) (file, error) // 0600, for appending; it must not be there: fs.ErrExist
	read(name string) ([]byte, error) // a regular file, whole
	rename(from, to string) error     // in place of what is there
	remove(name string) error         // fs.ErrNotExist where there is none
	sync(name string) error           // a directory: the names in it become durable
	close() error                     // files stay open
}

type file interface {
	io.Writer
	sync() error // what was written becomes durable
	Close() error
}

// opener opens a directory that is there.
type opener func(dir string) (folder, error)

// rooted is a directory of the operating system. os.Root sees to it that
// neither a name nor a symbolic link leads out.
type rooted struct{ *os.Root }

func openRoot(dir string) (folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rooted{root}, nil
}

func (r rooted) mkdir(name string) error {
	if err := r.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (r rooted) create(name string) (file, error) {
	f, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return appending{f}, nil
}

func (r rooted) read(name string) ([]byte, error) {
	info, err := r.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s/%s is not a regular file", r.Name(), name)
	}
	return r.ReadFile(name)
}

func (r rooted) rename(from, to string) error { return r.Rename(from, to) }
func (r rooted) remove(name string) error     { return r.Remove(name) }
func (r rooted) close() error                 { return r.Root.Close() }

func (r rooted) sync(name string) error {
	dir, err := r.Open(name)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if closed := dir.Close(); err == nil {
		err = closed
	}
	return err
}

type appending struct{ *os.File }

func (a appending) sync() error { return datasync(a.File) }
