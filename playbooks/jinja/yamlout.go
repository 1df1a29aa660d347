package jinja

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// yamlStyle is how YAML is written.
type yamlStyle struct {
	indent, width int
	sorted        bool
	flow          bool // everything on one line, in brackets
	flowLeaves    bool // so what holds no lists and dictionaries itself
}

// yamlWriter writes YAML as the library does that Ansible uses, so that a file
// made from a template is the same to the byte.
type yamlWriter struct {
	yamlStyle
	b      strings.Builder
	column int
	// fresh says that only the marks of lists stand on the line so far.
	fresh bool
	flows int // brackets that are open
}

func toYAML(v Value, style yamlStyle) (string, error) {
	w := &yamlWriter{yamlStyle: style, fresh: true}
	if err := w.node(v, -1, false); err != nil {
		return "", err
	}
	w.b.WriteByte('\n')
	text := w.b.String()
	if s, isText := v.(Str); isCollection(v) || isText && yamlScalarStyle(s.text, false) != plainScalar {
		return text, nil
	}
	// A plain scalar alone could go on: it needs an end.
	return text + "...\n", nil
}

func (w *yamlWriter) write(text string) {
	w.b.WriteString(text)
	w.column += utf8.RuneCountInString(text)
	w.fresh = false
}

// line begins a line with so many blanks, unless it stands there already.
func (w *yamlWriter) line(indent int) {
	if !w.fresh || w.column > indent {
		w.b.WriteByte('\n')
		w.column = 0
	}
	if n := indent - w.column; n > 0 {
		w.b.WriteString(strings.Repeat(" ", n))
		w.column = indent
	}
	w.fresh = true
}

// inside is the indentation of what is inside a node of the given one; -1 is
// that of the document.
func (w *yamlWriter) inside(indent int, flow bool) int {
	if indent < 0 && !flow {
		return 0
	}
	return max(indent, 0) + w.indent
}

// node writes a value; under is the indentation of what it stands in.
func (w *yamlWriter) node(v Value, under int, inDict bool) error {
	if w.b.Len() > maxOutput {
		return errTooLong
	}
	if t, ok := v.(*Tuple); ok {
		v = newList(t.Items)
	}
	n, _ := lengthOf(v)
	switch v := v.(type) {
	case *List:
		if n == 0 || w.inFlow(v.Items) {
			return w.flowList(v.Items, under)
		}
		return w.blockList(v.Items, under, inDict)
	case *Dict:
		if w.sorted {
			var err error
			if v, err = v.sorted(); err != nil {
				return err
			}
		}
		if n == 0 || w.inFlow(v.values) {
			return w.flowDict(v, under)
		}
		return w.blockDict(v, under)
	}
	return w.scalar(v, w.inside(under, true), false)
}

// inFlow says whether a list or dictionary with these items goes in brackets.
func (w *yamlWriter) inFlow(items []Value) bool {
	if w.flows > 0 || w.flow {
		return true
	}
	for _, item := range items {
		if isCollection(item) {
			return false
		}
	}
	return w.flowLeaves
}

// space separates a value from the mark in front of it.
func (w *yamlWriter) space() {
	if s := w.b.String(); s != "" && !strings.HasSuffix(s, " ") && !strings.HasSuffix(s, "\n") {
		w.write(" ")
	}
}

func (w *yamlWriter) blockList(items []Value, under int, inDict bool) error {
	indent := w.inside(under, false)
	if inDict {
		// Inside a dictionary the marks stand below the key.
		indent = max(under, 0)
	}
	for _, item := range items {
		w.line(indent)
		w.write("-")
		w.fresh = true
		if err := w.node(item, indent, false); err != nil {
			return err
		}
	}
	return nil
}

func (w *yamlWriter) blockDict(d *Dict, under int) error {
	indent := w.inside(under, false)
	for i, k := range d.keys {
		w.line(indent)
		if err := w.key(k, indent); err != nil {
			return err
		}
		if err := w.node(d.values[i], indent, true); err != nil {
			return err
		}
	}
	return nil
}

// maxKey is how long a key can be in the simple form.
const maxKey = 128

func (w *yamlWriter) key(k Value, indent int) error {
	text := Text(k)
	if isCollection(k) || text == "" || strings.ContainsAny(text, yamlBreaks) || utf8.RuneCountInString(text) >= maxKey {
		return fmt.Errorf("a key in YAML must be one line of 1 to %d characters", maxKey-1)
	}
	if err := w.scalar(k, indent, true); err != nil {
		return err
	}
	w.write(":")
	return nil
}

func (w *yamlWriter) flowList(items []Value, under int) error {
	indent := w.inside(under, true)
	w.open("[")
	for i, item := range items {
		w.comma(i, indent)
		if err := w.node(item, indent, false); err != nil {
			return err
		}
	}
	w.close("]")
	return nil
}

func (w *yamlWriter) flowDict(d *Dict, under int) error {
	indent := w.inside(under, true)
	w.open("{")
	for i, k := range d.keys {
		w.comma(i, indent)
		if err := w.key(k, indent); err != nil {
			return err
		}
		if err := w.node(d.values[i], indent, true); err != nil {
			return err
		}
	}
	w.close("}")
	return nil
}

func (w *yamlWriter) open(bracket string) {
	w.space()
	w.write(bracket)
	w.flows++
}

func (w *yamlWriter) close(bracket string) {
	w.flows--
	w.write(bracket)
}

// comma separates the items in brackets, on a line of their own where this one
// is full.
func (w *yamlWriter) comma(i, indent int) {
	if i > 0 {
		w.write(",")
	}
	switch {
	case w.column > w.width:
		w.line(indent)
	case i > 0:
		w.write(" ")
	}
}

func (w *yamlWriter) scalar(v Value, indent int, isKey bool) error {
	text, isText := yamlText(v)
	if !isText {
		if text == "" {
			return fmt.Errorf("%s has no form in YAML", kindOf(v))
		}
		w.separate(isKey)
		w.write(text)
		return nil
	}
	w.separate(isKey)
	switch yamlScalarStyle(text, w.flows > 0) {
	case plainScalar:
		w.plain(text, indent, isKey)
	case singleScalar:
		w.single(text, indent, isKey)
	default:
		w.double(text, indent, isKey)
	}
	return nil
}

// separate puts the blank in front of a scalar. The first key in brackets needs
// none.
func (w *yamlWriter) separate(isKey bool) {
	s := w.b.String()
	if s == "" || strings.HasSuffix(s, "[") && w.flows > 0 || strings.HasSuffix(s, "{") && isKey {
		return
	}
	w.space()
}

// yamlText is what a scalar looks like; texts are still to be quoted.
func yamlText(v Value) (text string, isText bool) {
	switch v := v.(type) {
	case Str:
		return v.text, true
	case None:
		return "null", false
	case Bool:
		return fmt.Sprint(bool(v)), false
	case Int:
		return v.String(), false
	case Float:
		return yamlFloat(float64(v)), false
	}
	return "", false
}

func yamlFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return ".inf"
	case math.IsInf(f, -1):
		return "-.inf"
	case math.IsNaN(f):
		return ".nan"
	}
	s := floatText(f)
	if !strings.Contains(s, ".") {
		s = strings.Replace(s, "e", ".0e", 1)
	}
	return s
}
