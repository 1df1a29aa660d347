package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Create begins the journal of a new run in its folder, which is made where it
// is not there; the folder above must be. The header is durable when Create
// returns. The error is fs.ErrExist where the folder has a journal.
func Create(dir string, h Header) (*Writer, error) { return create(openRoot, dir, h) }

func create(open opener, dir string, h Header) (*Writer, error) {
	root, err := makeFolder(open, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: the journal of a new run: %w", dir, err)
	}
	w := newWriter(dir, root)
	if w.file, err = root.create(fileName); err == nil {
		err = w.first(aHeader, h)
	}
	if err == nil {
		err = root.sync(".")
	}
	if err != nil {
		w.abandon()
		return nil, fmt.Errorf("%s:1: beginning the journal: %w", w.path, err)
	}
	go w.run()
	return w, nil
}

// makeFolder makes the run's folder, durably, and opens it.
func makeFolder(open opener, dir string) (folder, error) {
	above, err := open(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	defer func() { _ = above.close() }() // it was only looked into
	if err := above.mkdir(filepath.Base(dir)); err != nil {
		return nil, err
	}
	if err := above.sync("."); err != nil {
		return nil, err
	}
	return open(dir)
}

func newWriter(dir string, root folder) *Writer {
	return &Writer{
		path:    filepath.Join(dir, fileName),
		dir:     root,
		prev:    noLine,
		queue:   make(chan *entry, groupCap),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
	}
}

// first writes one line durably, before the goroutine runs.
func (w *Writer) first(k kind, record any) error {
	data, err := marshal(record)
	if err != nil {
		return err
	}
	w.group = append(w.group[:0], &entry{kind: k, record: data, durable: true, done: make(chan error, 1)})
	return w.commit()
}

func (w *Writer) abandon() {
	if w.file != nil {
		_ = w.file.Close() // the caller has an error that says more
	}
	_ = w.dir.close()
}

// freshName is the journal's while Reopen writes it anew.
const freshName = fileName + ".new"

// Reopen begins another life of a run: it reads and verifies what earlier lives
// wrote, cuts a last line that was not written whole, and appends r. Both are
// durable when it returns. The contents are those of the earlier lives.
//
// The journal is written anew and put in the place of the old: where a sync
// failed in the earlier life, the kernel may show what the disk does not have.
func Reopen(dir string, r Resumed) (*Writer, *Contents, error) { return reopen(openRoot, dir, r) }

func reopen(open opener, dir string, r Resumed) (*Writer, *Contents, error) {
	root, err := open(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the journal of a run: %w", dir, err)
	}
	w := newWriter(dir, root)
	read, err := load(root, w.path)
	if err == nil && r.Turn <= read.turn() {
		err = fmt.Errorf("%s: life %d cannot follow life %d: the number must rise", w.path, r.Turn, read.turn())
	}
	if err != nil {
		_ = root.close()
		return nil, nil, err
	}
	read.contents.open, read.contents.dir = open, dir
	w.seq, w.prev = read.seq, read.prev
	err = w.rewrite(read.whole)
	if err == nil {
		err = w.first(aResumed, r)
	}
	if err != nil {
		w.abandon()
		return nil, nil, fmt.Errorf("%s: reopening the journal: %w", w.path, err)
	}
	go w.run()
	return w, read.contents, nil
}

// rewrite makes a new file of the lines that count, durably, and keeps it open.
func (w *Writer) rewrite(lines []byte) error {
	if err := w.dir.remove(freshName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := w.dir.create(freshName)
	if err != nil {
		return err
	}
	w.file = f
	if _, err := f.Write(lines); err != nil {
		return err
	}
	if err := f.sync(); err != nil {
		return err
	}
	copied.Hit()
	if err := w.dir.rename(freshName, fileName); err != nil {
		return err
	}
	return w.dir.sync(".")
}
