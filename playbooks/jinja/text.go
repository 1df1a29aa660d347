package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Text is v as Python's str() prints it: True, None, 3.0, ['a', 1].
func Text(v Value) string {
	switch v := v.(type) {
	case Str:
		return v.text
	case Undefined:
		return ""
	case Omitted:
		return ""
	}
	return repr(v)
}

// repr is v as Python's repr() prints it, which is how it looks inside a list.
func repr(v Value) string {
	if s, ok := v.(Str); ok {
		return quoted(s.text)
	}
	var b strings.Builder
	writeRepr(&b, v)
	return b.String()
}

func writeRepr(b *strings.Builder, v Value) {
	// Lists that hold one another many times over could otherwise outgrow the
	// memory; a text of that size is refused by whoever asked for it.
	if b.Len() > maxOutput {
		return
	}
	switch v := v.(type) {
	case None:
		b.WriteString("None")
	case Bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case Int:
		b.WriteString(v.String())
	case Float:
		b.WriteString(floatText(float64(v)))
	case Str:
		b.WriteString(quoted(v.text))
	case *List:
		writeItems(b, "[", v.Items, "]")
	case *Tuple:
		end := ")"
		if len(v.Items) == 1 {
			end = ",)"
		}
		writeItems(b, "(", v.Items, end)
	case *Dict:
		writeDict(b, v)
	case Undefined:
		b.WriteString("Undefined")
	case Unknown:
		b.WriteString("(known after apply)")
	default:
		fmt.Fprintf(b, "<%s>", v.typeName())
	}
}

func writeItems(b *strings.Builder, begin string, items []Value, end string) {
	b.WriteString(begin)
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		writeRepr(b, item)
	}
	b.WriteString(end)
}

func writeDict(b *strings.Builder, d *Dict) {
	b.WriteByte('{')
	for i, k := range d.keys {
		if i > 0 {
			b.WriteString(", ")
		}
		writeRepr(b, k)
		b.WriteString(": ")
		writeRepr(b, d.values[i])
	}
	b.WriteByte('}')
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quoted is a text as a Python literal.
func quoted(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}
