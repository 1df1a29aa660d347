package source

import (
	"errors"
	"strings"

	"gopkg.in/yaml.v3"
)

// Pos is where a node starts.
func (f *File) Pos(n *yaml.Node) Pos { return f.At(n.Line, n.Column) }

// Text is where the text of a scalar starts: behind its quote, its tag and its
// anchor, or on the line below for a block.
func (f *File) Text(n *yaml.Node) Pos {
	pos := f.Pos(n)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return f.below(n.Line)
	}
	rest := []rune(f.line(n.Line))
	rest = rest[min(max(n.Column-1, 0), len(rest)):]
	for len(rest) > 0 && (rest[0] == '!' || rest[0] == '&') {
		word := 0
		for word < len(rest) && rest[word] != ' ' {
			word++
		}
		for word < len(rest) && rest[word] == ' ' {
			word++
		}
		pos.Col += word
		rest = rest[word:]
	}
	if len(rest) > 0 && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		pos.Col++
	}
	return pos
}

// below is the first character that stands below a line; the end of the file
// where none does.
func (f *File) below(line int) Pos {
	for line++; line < len(f.lines()); line++ {
		text := f.line(line)
		if bare := strings.TrimLeft(text, " "); bare != "" {
			return f.At(line, 1+len(text)-len(bare))
		}
	}
	return f.At(line, 1)
}

// Inside is the place of a byte of a scalar's text, however the text is written:
// quoted, with escapes, folded or over several lines.
func (f *File) Inside(n *yaml.Node, offset int) Pos {
	w := writing{file: f, pos: f.Text(n), style: n.Style}
	w.indent = w.pos.Col
	w.line = []rune(f.line(w.pos.Line))
	for _, r := range n.Value[:min(offset, len(n.Value))] {
		w.pass(r)
	}
	if offset < len(n.Value) && w.pos.Col > len(w.line) {
		w.wrap()
	}
	return w.pos
}

// writing follows a scalar's text through the file.
type writing struct {
	file   *File
	style  yaml.Style
	indent int // the column that a literal block starts in
	pos    Pos
	line   []rune // the one that pos is in
}

// pass steps over what stands for one character of the text.
func (w *writing) pass(r rune) {
	switch at := w.pos.Col - 1; {
	case at >= len(w.line), r == '\n' && w.style&yaml.DoubleQuotedStyle == 0:
		w.wrap()
		if r != '\n' && r != ' ' {
			w.pos.Col++
		}
	case w.style&yaml.DoubleQuotedStyle != 0 && w.line[at] == '\\',
		w.style&yaml.SingleQuotedStyle != 0 && w.line[at] == '\'':
		w.pos.Col += 2
	default:
		w.pos.Col++
	}
}

// wrap goes to the next line: in a literal block to its indent, elsewhere to the
// first character of the next line that has one.
func (w *writing) wrap() {
	if w.style&yaml.LiteralStyle != 0 {
		w.pos.Line, w.pos.Col = w.pos.Line+1, w.indent
	} else {
		w.pos = w.file.below(w.pos.Line)
	}
	w.line = []rune(w.file.line(w.pos.Line))
}

// Relocate corrects the place of a mistake that was found in a scalar's text by
// counting from its start, as if the text stood in the file as it is.
func (f *File) Relocate(n *yaml.Node, err error) error {
	var mistake *Error
	start := f.Text(n)
	if !errors.As(err, &mistake) || mistake.Pos.File != f || mistake.Pos.Line < start.Line {
		return err
	}
	offset, line := 0, n.Value
	for range mistake.Pos.Line - start.Line {
		_, rest, more := strings.Cut(line, "\n")
		if !more {
			return err // it is about another text
		}
		offset += len(line) - len(rest)
		line = rest
	}
	line, _, _ = strings.Cut(line, "\n")
	col := mistake.Pos.Col - 1
	if mistake.Pos.Line == start.Line {
		col = mistake.Pos.Col - start.Col
	}
	runes := []rune(line)
	if col < 0 || col > len(runes) {
		return err
	}
	moved := *mistake
	moved.Pos = f.Inside(n, offset+len(string(runes[:col])))
	return &moved
}
