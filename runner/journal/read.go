package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"runbook/runner"
)

// Contents is what a journal says.
type Contents struct {
	Header Header
	Lives  []Life // at least one
	Notice string // of a last line that was not written whole, and does not count; for people

	open opener
	dir  string
	kept map[place]outputs
}

// Life is what one process wrote of the run.
type Life struct {
	Turn    int
	Resumed *Resumed // nil for the first
	Records []runner.Record
	Drops   []Dropped
}

// place finds the files of an outcome: the same work may have come to several.
type place struct {
	runner.Key
	at int64 // nanoseconds
}

type outputs struct{ out, err *beside }

// Records are those of all lives, in their order.
func (c *Contents) Records() []runner.Record {
	var all []runner.Record
	for _, l := range c.Lives {
		all = append(all, l.Records...)
	}
	return all
}

// Ended is how the last life came to its end; nil if it died. A life in which
// notifications were dropped and nothing else was done is no such life.
func (c *Contents) Ended() *runner.Ended {
	for i := len(c.Lives) - 1; i >= 0; i-- {
		life := c.Lives[i]
		if len(life.Records) == 0 && len(life.Drops) > 0 && i > 0 {
			continue
		}
		for j := len(life.Records) - 1; j >= 0; j-- {
			if e, ok := life.Records[j].(runner.Ended); ok {
				return &e
			}
		}
		return nil
	}
	return nil
}

// Output is what the steps of an outcome printed: its head and its tail, where
// it was long. The error says which file is missing or is not what was written;
// after a power cut it may be the last ones.
func (c *Contents) Output(o runner.Outcome) (stdout, stderr string, err error) {
	files, ok := c.kept[place{o.Key, o.At.UnixNano()}]
	if !ok {
		return "", "", nil
	}
	root, err := c.open(c.dir)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = root.close() }() // it was only read
	read := func(b *beside) string {
		if b == nil {
			return ""
		}
		data, failed := bring(root, b)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", c.dir, failed))
		}
		return string(data)
	}
	stdout, stderr = read(files.out), read(files.err)
	return stdout, stderr, err
}

// Read reads and verifies the journal in a run's folder, and changes nothing. A
// run may be writing it. The error is fs.ErrNotExist where there is no folder,
// ErrNeverBegan, or a *Damage.
func Read(dir string) (*Contents, error) { return read(openRoot, dir) }

func read(open opener, dir string) (*Contents, error) {
	root, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: the journal of a run: %w", dir, err)
	}
	defer func() { _ = root.close() }() // it was only read
	r, err := load(root, filepath.Join(dir, fileName))
	if err != nil {
		return nil, err
	}
	r.contents.open, r.contents.dir = open, dir
	return r.contents, nil
}

// reading is a journal while it is read, line by line.
type reading struct {
	path     string
	root     folder
	contents *Contents
	seq      int    // of the last line that was read
	prev     string // names it
	whole    []byte // the lines that count
}

func (r *reading) turn() int { return r.contents.Lives[len(r.contents.Lives)-1].Turn }

func load(root folder, path string) (*reading, error) {
	data, err := root.read(fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNeverBegan)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &reading{path: path, root: root, contents: &Contents{kept: map[place]outputs{}}, prev: noLine}
	rest := data
	for {
		line, more, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		if err := r.line(line); err != nil {
			return nil, r.damage(err)
		}
		rest = more
	}
	r.whole = data[:len(data)-len(rest)]
	if err := r.tail(rest); err != nil {
		return nil, r.damage(err)
	}
	if r.seq == 0 {
		return nil, fmt.Errorf("%s:1: %w", path, ErrNeverBegan)
	}
	return r, nil
}

// damage is what is wrong with the line after the last good one. A disk that
// does not read is not damage: what it holds may be good.
func (r *reading) damage(problem error) error {
	var u unreadable
	if errors.As(problem, &u) {
		return fmt.Errorf("%s:%d: %w", r.path, r.seq+1, problem)
	}
	return &Damage{Path: r.path, Line: r.seq + 1, Problem: problem.Error()}
}

// tail judges what stands after the last newline. A process that died, or a
// power cut, leaves the beginning of a line, and maybe zeros after it.
func (r *reading) tail(rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	text := bytes.TrimRight(rest, "\x00")
	if n := len(text) - 1; n >= 0 {
		if _, err := verify(text[:n], r.seq+1, r.prev); err == nil {
			return fmt.Errorf("the line ends with the byte %#02x instead of a newline", text[n])
		}
	}
	r.contents.Notice = fmt.Sprintf("%s:%d: the last line was not written whole (%d bytes) and is left out: the run died, or writes it now", r.path, r.seq+1, len(rest))
	return nil
}

// line reads the next line, which was written whole.
func (r *reading) line(line []byte) error {
	ev, err := verify(line, r.seq+1, r.prev)
	if err != nil {
		return err
	}
	if (ev == aHeader) != (r.seq == 0) {
		return fmt.Errorf("the record is of the kind %q: the first line, and no other, is of the kind %q", ev, aHeader)
	}
	if err := r.record(ev, line); err != nil {
		return err
	}
	r.seq++
	r.prev = chain(line)
	return nil
}

// record adds what the line says to the contents.
func (r *reading) record(ev kind, line []byte) error {
	c := r.contents
	var life *Life
	if len(c.Lives) > 0 {
		life = &c.Lives[len(c.Lives)-1]
	}
	switch ev {
	case aHeader:
		err := decode(line, &c.Header)
		c.Lives = append(c.Lives, Life{Turn: c.Header.Turn})
		return err
	case aResumed:
		var next Resumed
		err := decode(line, &next)
		c.Lives = append(c.Lives, Life{Turn: next.Turn, Resumed: &next})
		return err
	case aDropped:
		return add(&life.Drops, line)
	case anAdopted:
		return addRecord[runner.Adopted](life, line)
	case aBatch:
		return addRecord[runner.BatchBegun](life, line)
	case anIntent:
		return addRecord[runner.Intent](life, line)
	case anOutcome:
		return r.outcome(life, line)
	case aHalted:
		return addRecord[runner.Halted](life, line)
	case anEnded:
		return addRecord[runner.Ended](life, line)
	}
	return fmt.Errorf("the record is of the kind %q, which this runbook does not know", ev)
}

func decode(line []byte, into any) error {
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("the fields of the record cannot be read (%w)", err)
	}
	return nil
}

func add[T any](to *[]T, line []byte) error {
	var t T
	err := decode(line, &t)
	*to = append(*to, t)
	return err
}

func addRecord[T runner.Record](life *Life, line []byte) error {
	var t T
	err := decode(line, &t)
	life.Records = append(life.Records, t)
	return err
}

func (r *reading) outcome(life *Life, line []byte) error {
	var o outcomeLine
	if err := decode(line, &o); err != nil {
		return err
	}
	if o.Large != nil {
		if err := bringValues(r.root, &o.Outcome, o.Large); err != nil {
			return fmt.Errorf("what the line left to a file cannot be had: %w", err)
		}
	}
	if o.Out != nil || o.Err != nil {
		r.contents.kept[place{o.Key, o.At.UnixNano()}] = outputs{o.Out, o.Err}
	}
	life.Records = append(life.Records, o.Outcome)
	return nil
}
