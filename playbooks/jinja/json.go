package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// jsonStyle is how JSON is written; the zero value is Python's compact form.
type jsonStyle struct {
	indent      int // -1 for one line
	sorted      bool
	unicode     bool // keep letters beyond ASCII
	item, entry string
}

// jsonWriter writes JSON as Python's json module does.
type jsonWriter struct {
	jsonStyle
	b strings.Builder
}

func toJSON(v Value, style jsonStyle) (string, error) {
	w := jsonWriter{jsonStyle: style}
	if err := w.value(v, 0); err != nil {
		return "", err
	}
	return w.b.String(), nil
}

func (w *jsonWriter) value(v Value, level int) error {
	if w.b.Len() > maxOutput {
		return errTooLong
	}
	switch v := v.(type) {
	case None:
		w.b.WriteString("null")
	case Bool:
		fmt.Fprintf(&w.b, "%t", bool(v))
	case Int:
		w.b.WriteString(v.String())
	case Float:
		w.b.WriteString(jsonFloat(v))
	case Str:
		w.text(v.text)
	case *List:
		return w.list(v.Items, level)
	case *Tuple:
		return w.list(v.Items, level)
	case *Dict:
		return w.dict(v, level)
	default:
		return fmt.Errorf("%s has no form in JSON", kindOf(v))
	}
	return nil
}

func jsonFloat(f Float) string {
	switch s := floatText(float64(f)); s {
	case "inf":
		return "Infinity"
	case "-inf":
		return "-Infinity"
	case "nan":
		return "NaN"
	default:
		return s
	}
}

func (w *jsonWriter) text(s string) {
	w.b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(c)
		case c == '\n':
			w.b.WriteString(`\n`)
		case c == '\r':
			w.b.WriteString(`\r`)
		case c == '\t':
			w.b.WriteString(`\t`)
		case c == '\b':
			w.b.WriteString(`\b`)
		case c == '\f':
			w.b.WriteString(`\f`)
		case c < 0x20, c >= 0x7f && c < 0x10000 && !w.unicode:
			fmt.Fprintf(&w.b, `\u%04x`, c)
		case c >= 0x10000 && !w.unicode:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&w.b, `\u%04x\u%04x`, high, low)
		default:
			w.b.WriteRune(c)
		}
	}
	w.b.WriteByte('"')
}

// next begins the entry i.
func (w *jsonWriter) next(i, level int) {
	if i > 0 {
		w.b.WriteString(w.item)
	}
	w.line(level)
}

func (w *jsonWriter) line(level int) {
	if w.indent >= 0 {
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(" ", w.indent*level))
	}
}

func (w *jsonWriter) list(items []Value, level int) error {
	if len(items) == 0 {
		w.b.WriteString("[]")
		return nil
	}
	w.b.WriteByte('[')
	for i, item := range items {
		w.next(i, level+1)
		if err := w.value(item, level+1); err != nil {
			return err
		}
	}
	w.line(level)
	w.b.WriteByte(']')
	return nil
}

func (w *jsonWriter) dict(d *Dict, level int) error {
	if d.Len() == 0 {
		w.b.WriteString("{}")
		return nil
	}
	if w.sorted {
		var err error
		if d, err = d.sorted(); err != nil {
			return err
		}
	}
	w.b.WriteByte('{')
	for i, k := range d.keys {
		w.next(i, level+1)
		switch k := k.(type) {
		case Str:
			w.text(k.text)
		case *Tuple:
			return errors.New("a key in JSON cannot be a tuple")
		default:
			key, err := toJSON(k, w.jsonStyle)
			if err != nil {
				return err
			}
			w.text(key)
		}
		w.b.WriteString(w.entry)
		if err := w.value(d.values[i], level+1); err != nil {
			return err
		}
	}
	w.line(level)
	w.b.WriteByte('}')
	return nil
}

// sorted is the dictionary in the order of its keys.
func (d *Dict) sorted() (*Dict, error) {
	entries := make([]keyed, d.Len())
	for i, k := range d.keys {
		entries[i] = keyed{[]Value{k}, d.values[i]}
	}
	if err := sortKeyed(entries, false); err != nil {
		return nil, fmt.Errorf("the keys cannot be sorted: %w", err)
	}
	out := &Dict{}
	for _, e := range entries {
		// A key that is in a dictionary can be put into another.
		_ = out.set(e.keys[0], e.item)
	}
	return out, nil
}

// fromJSON reads one JSON value. The text is not quoted in errors: it may hold
// a secret.
func fromJSON(text string) (Value, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return v, nil
		}
		if err == nil {
			err = errors.New("there is more behind the value")
		}
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("the text is no JSON: a mistake at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the text is no JSON: it ends too early")
	}
	return nil, fmt.Errorf("the text is no JSON: %w", err)
}

// maxJSONDepth is Python's own limit, roughly.
const maxJSONDepth = 900

func jsonValue(d *json.Decoder, depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("more than %d levels", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return None{}, nil
	case bool:
		return Bool(t), nil
	case json.Number:
		return numberFrom(t.String()), nil
	case string:
		return str(t), nil
	}
	if t == json.Delim('[') {
		return jsonList(d, depth)
	}
	return jsonDict(d, depth)
}

func jsonList(d *json.Decoder, depth int) (Value, error) {
	var items []Value
	for d.More() {
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := d.Token()
	return newList(items), err
}

func jsonDict(d *json.Decoder, depth int) (Value, error) {
	out := &Dict{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("a key is no text")
		}
		out.Set(name, v)
	}
	_, err := d.Token()
	return out, err
}
