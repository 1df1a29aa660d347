// Package source knows what the user wrote and where, and how to say that it is
// wrong: positions, strict decoding, carets, suggestions.
package source

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// MaxSize is the size in bytes above which a file is not read. Nobody writes a
// playbook of this size; a file that is bigger was named by mistake.
const MaxSize = 4 << 20

// File is one text that a user wrote.
type File struct {
	Name string // as it is shown
	Data []byte // must not change once a Pos in it was shown

	index  sync.Once
	starts []int // of lines
}

// Read reads a file. Its name is shown relative to the working directory where
// it lies below it.
func Read(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%s is bigger than %d bytes", shown(path), MaxSize)
	}
	return &File{Name: shown(path), Data: data}, nil
}

func shown(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return filepath.Clean(path)
	}
	return rel
}

// At is a place in the file.
func (f *File) At(line, col int) Pos { return Pos{File: f, Line: line, Col: col} }

// lines says where each line starts, and where the last one ends.
func (f *File) lines() []int {
	f.index.Do(func() {
		f.starts = []int{0}
		for i, b := range f.Data {
			if b == '\n' {
				f.starts = append(f.starts, i+1)
			}
		}
		f.starts = append(f.starts, len(f.Data))
	})
	return f.starts
}

// line is the text of a line, counted from 1, without its end.
func (f *File) line(n int) string {
	starts := f.lines()
	if n < 1 || n >= len(starts) {
		return ""
	}
	return strings.TrimRight(string(f.Data[starts[n-1]:starts[n]]), "\r\n")
}

// Pos is a place in a File, counted from 1 in lines and characters. The zero
// Pos is nowhere.
type Pos struct {
	File      *File
	Line, Col int
}

func (p Pos) String() string {
	if p.File == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.File.Name, p.Line, p.Col)
}

// Errorf is a mistake at this place that covers length columns.
func (p Pos) Errorf(length int, format string, args ...any) *Error {
	return &Error{Pos: p, Len: length, Msg: fmt.Sprintf(format, args...)}
}

// Error is one mistake at one place.
type Error struct {
	Pos  Pos
	Len  int    // how many columns the caret covers; 1 where zero
	Msg  string // what was wanted and what was found
	Hint string // what to try; may be empty
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	if at := e.Pos.String(); at != "" {
		s = at + ": " + s
	}
	return s
}

// Try adds a hint to the mistake. An empty hint changes nothing.
func (e *Error) Try(format string, args ...any) *Error {
	if hint := fmt.Sprintf(format, args...); hint != "" {
		e.Hint = hint
	}
	return e
}

// Errors are the mistakes of all files together.
type Errors []*Error

// Add notes what went wrong; a mistake that has no place of its own is at pos.
func (e *Errors) Add(pos Pos, err error) {
	var mistake *Error
	var many Errors
	switch {
	case err == nil:
	case errors.As(err, &many):
		*e = append(*e, many...)
	case errors.As(err, &mistake):
		if mistake.Pos.File == nil {
			mistake.Pos = pos
		}
		*e = append(*e, mistake)
	default:
		*e = append(*e, &Error{Pos: pos, Msg: err.Error()})
	}
}

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e.Sorted() {
		lines[i] = mistake.Error()
	}
	return strings.Join(slices.Compact(lines), "\n")
}

// Err is nil where there is no mistake.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e.Sorted()
}

// Sorted gives the mistakes in the order of file, line and column, each once.
func (e Errors) Sorted() Errors {
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(a.Pos.name(), b.Pos.name()),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Msg, b.Msg),
		)
	})
	return slices.CompactFunc(sorted, func(a, b *Error) bool {
		return a.Pos.String() == b.Pos.String() && a.Msg == b.Msg
	})
}

func (p Pos) name() string {
	if p.File == nil {
		return ""
	}
	return p.File.Name
}
