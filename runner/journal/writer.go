package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"runbook/runner"
)

// groupCap is how many records share one write and one sync at most.
const groupCap = 256

// Writer appends to the journal of a run. It is safe for concurrent use: records
// that are put at the same time share one write and one sync. After a failed
// write or sync it is broken for good, and says every time what happened first.
type Writer struct {
	path string // of the journal, for people
	dir  folder
	file file

	queue   chan *entry
	closing chan struct{} // closed: nothing more is taken
	ended   chan struct{} // closed: nothing more is written
	close   sync.Once

	mu    sync.Mutex
	cause error // what broke the writer

	// Only the goroutine that writes touches these, once it runs.
	seq   int    // of the last line
	prev  string // names the last line
	loose bool   // something was written and not synced
	buf   []byte
	group []*entry
}

var _ runner.Journal = (*Writer)(nil)

// entry is a record on its way to the file.
type entry struct {
	kind    kind
	record  []byte // a JSON object
	durable bool
	done    chan error // has room for the answer
}

// Put writes a record. It returns when the record is in the file; with durable,
// when it and all before it are on stable storage. Until ctx ends it waits for
// the disk and for nothing else; an error because ctx ended leaves open whether
// the record was written.
func (w *Writer) Put(ctx context.Context, r runner.Record, durable bool) error {
	k, err := kindOf(r)
	if err != nil {
		return err
	}
	if err := w.broken(); err != nil {
		return err
	}
	var record any = r
	if o, ok := r.(runner.Outcome); ok {
		if record, err = setBeside(w.dir, o); err != nil {
			return w.breakOff(fmt.Errorf("%s: keeping what %s on %s came to: %w", filepath.Dir(w.path), o.Task, o.Host, err))
		}
	}
	e, err := newEntry(k, record, durable)
	if err != nil {
		return err
	}
	if err := w.enqueue(ctx, e); err != nil {
		return err
	}
	return w.await(ctx, e)
}

// Drop writes that notifications were dropped, durably.
func (w *Writer) Drop(drops ...Dropped) error {
	ctx := context.Background() // nothing but the disk is waited for
	var all []*entry
	for _, d := range drops {
		e, err := newEntry(aDropped, d, true)
		if err == nil {
			err = w.enqueue(ctx, e)
		}
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	for _, e := range all {
		if err := w.await(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func newEntry(k kind, record any, durable bool) (*entry, error) {
	data, err := marshal(record)
	if err != nil {
		return nil, fmt.Errorf("journal: a record of the kind %q cannot be written: %w", k, err)
	}
	return &entry{kind: k, record: data, durable: durable, done: make(chan error, 1)}, nil
}

func (w *Writer) enqueue(ctx context.Context, e *entry) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: a record was not written: %w", w.path, context.Cause(ctx))
	}
	select {
	case <-w.closing: // first of all: a closed writer takes nothing
		return w.closed()
	default:
	}
	select {
	case w.queue <- e:
		return nil
	case <-w.closing:
		return w.closed()
	case <-ctx.Done():
		return fmt.Errorf("%s: a record was not written: %w", w.path, context.Cause(ctx))
	}
}

func (w *Writer) await(ctx context.Context, e *entry) error {
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: it is not known whether a record was written: %w", w.path, context.Cause(ctx))
	case <-w.ended:
	}
	select { // it may have been among the last
	case err := <-e.done:
		return err
	default:
		return w.closed()
	}
}

func (w *Writer) closed() error {
	return fmt.Errorf("%s: a record was not written: the journal is closed", w.path)
}

// Close makes everything durable and ends the writer. The error is what broke
// it, where something did.
func (w *Writer) Close() error {
	w.close.Do(func() { close(w.closing) })
	<-w.ended
	return w.broken()
}

func (w *Writer) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

// breakOff makes err what every later call returns, unless there is one already.
func (w *Writer) breakOff(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil {
		w.cause = err
	}
	return w.cause
}

// run writes until the writer is closed, and what was queued before with it.
func (w *Writer) run() {
	defer close(w.ended)
	for w.gather() {
		if err := w.commit(); err != nil {
			w.answer(err)
		}
	}
	w.finish()
}

// gather waits for a record, and takes with it what else is there. It is false
// when the writer is closed and nothing is left.
func (w *Writer) gather() bool {
	w.group = w.group[:0]
	select {
	case e := <-w.queue:
		w.group = append(w.group, e)
	case <-w.closing:
	}
	// Those who put at the same time are on their way to the queue: let them
	// come, for the fewer the syncs the better.
	runtime.Gosched()
	for len(w.group) < groupCap {
		select {
		case e := <-w.queue:
			w.group = append(w.group, e)
			continue
		default:
		}
		break
	}
	return len(w.group) > 0
}

// commit writes the group, makes it durable if one of it must be, and answers.
// After an error nobody else of the group has an answer.
func (w *Writer) commit() error {
	if err := w.broken(); err != nil {
		return err
	}
	from, sync := w.seq+1, false
	w.buf = w.buf[:0]
	for _, e := range w.group {
		start := len(w.buf)
		w.seq++
		w.buf = appendLine(w.buf, w.seq, e.kind, e.record, w.prev)
		w.prev = chain(w.buf[start : len(w.buf)-1])
		sync = sync || e.durable
	}
	hit(w.group, before)
	if _, err := w.file.Write(w.buf); err != nil {
		return w.breakOff(fmt.Errorf("%s:%d: writing: %w; mend that and resume the run", w.path, from, err))
	}
	hit(w.group, written)
	w.loose = true
	w.group = slices.DeleteFunc(w.group, (*entry).loose)
	if !sync {
		return nil
	}
	// A sync that failed is not tried again: the kernel may have dropped what
	// it could not write, and say so only once.
	if err := w.file.sync(); err != nil {
		return w.breakOff(fmt.Errorf("%s:%d: making it durable: %w; mend that and resume the run", w.path, from, err))
	}
	w.loose = false
	hit(w.group, durable)
	w.answer(nil)
	return nil
}

// loose answers an entry for which it is enough that it was written.
func (e *entry) loose() bool {
	if !e.durable {
		e.done <- nil
	}
	return !e.durable
}

func (w *Writer) answer(err error) {
	for _, e := range w.group {
		e.done <- err
	}
}

// finish makes durable what is not, and lets the file go.
func (w *Writer) finish() {
	if w.broken() == nil && w.loose {
		if err := w.file.sync(); err != nil {
			_ = w.breakOff(fmt.Errorf("%s:%d: making it durable: %w", w.path, w.seq, err))
		}
	}
	if err := errors.Join(w.file.Close(), w.dir.close()); err != nil {
		_ = w.breakOff(fmt.Errorf("%s: closing: %w", w.path, err))
	}
}
