package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatMethod is Python's "{} {name:>8}".format(...). A place can reach into
// a value as far as an expression can.
func formatMethod(a *args) (Value, error) {
	b := &braces{args: a}
	if err := b.write(a.input(), 2); err != nil {
		return nil, err
	}
	return str(b.out.String()), nil
}

// braces is the state of one formatting.
type braces struct {
	*args
	out  strings.Builder
	next int // the place without a number that comes next
	// Python does not allow both "{}" and "{0}" in one format.
	counted, numbered bool
}

// write expands a format, in which places may nest so many levels deep.
func (b *braces) write(format string, levels int) error {
	if levels == 0 {
		return errors.New("the places are nested too deep")
	}
	for format != "" {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			b.out.WriteString(format)
			return nil
		}
		b.out.WriteString(format[:i])
		c := format[i]
		format = format[i+1:]
		if format != "" && format[0] == c {
			b.out.WriteByte(c)
			format = format[1:]
			continue
		}
		if c == '}' {
			return errors.New(`a single "}" in the format; write it twice`)
		}
		end := closing(format)
		if end < 0 {
			return errors.New(`"{" is never closed in the format; write it twice for itself`)
		}
		if err := b.place(format[:end], levels); err != nil {
			return err
		}
		if err := b.budget.grow(b.out.Len(), 0); err != nil {
			return err
		}
		format = format[end+1:]
	}
	return nil
}

// closing is where the brace is closed that has been opened before format.
func closing(format string) int {
	depth := 1
	for i := range len(format) {
		switch format[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// place writes one value: name, conversion and specification.
func (b *braces) place(text string, levels int) error {
	name, spec, _ := strings.Cut(text, ":")
	name, conversion, converts := strings.Cut(name, "!")
	v, err := b.find(name)
	if err != nil {
		return err
	}
	if strings.Contains(spec, "{") {
		inner := &braces{args: b.args, next: b.next, counted: b.counted, numbered: b.numbered}
		if err := inner.write(spec, levels-1); err != nil {
			return err
		}
		spec, b.next = inner.out.String(), inner.next
	}
	switch {
	case !converts:
	case conversion == "s":
		v = str(Text(v))
	case conversion == "r", conversion == "a":
		v = str(repr(v))
	default:
		return fmt.Errorf("there is no conversion %q; want s or r", conversion)
	}
	out, err := formatted(v, spec)
	if err == nil {
		err = b.budget.grow(b.out.Len()+len(out), len(out))
	}
	b.out.WriteString(out)
	return err
}

// find is the value of a place such as "", "0", "name", "0.attr" or "0[key]".
func (b *braces) find(name string) (Value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	v, err := b.first(name[:end])
	for rest := name[end:]; rest != "" && err == nil; {
		var key string
		if rest[0] == '.' {
			key = rest[1:]
			rest = ""
			if i := strings.IndexAny(key, ".["); i >= 0 {
				key, rest = key[:i], key[i:]
			}
			v, err = b.attribute(&nameExpr{name: name}, v, key)
		} else {
			var ok bool
			if key, rest, ok = strings.Cut(rest[1:], "]"); !ok {
				return nil, errors.New(`"[" is never closed in the format`)
			}
			v, err = b.index(&nameExpr{name: name}, v, attributePath(str(key))[0])
		}
	}
	if u, ok := v.(Undefined); ok && err == nil {
		return nil, fmt.Errorf("there is no %q: %s", name, u.about.why)
	}
	return v, err
}

func (b *braces) first(name string) (Value, error) {
	n, err := strconv.Atoi(name)
	switch {
	case name == "":
		n, b.counted = b.next, true
		b.next++
	case err == nil:
		b.numbered = true
	default:
		v, ok := b.named.Get(name)
		if !ok {
			return nil, fmt.Errorf("there is no value for %q", name)
		}
		return v, nil
	}
	if b.counted && b.numbered {
		return nil, errors.New("places with and without a number cannot be mixed")
	}
	if n < 0 || n >= len(b.rest) {
		return nil, fmt.Errorf("there is no value for place %d", n)
	}
	return b.rest[n], nil
}

// formatted writes v by a specification such as ">8.2f".
func formatted(v Value, spec string) (string, error) {
	if spec == "" {
		return Text(v), nil
	}
	_, isText := v.(Str)
	f, err := parseSpec(spec, isText)
	if err != nil {
		return "", err
	}
	text, err := f.format(v)
	if err != nil {
		return "", err
	}
	return f.pad(text), nil
}

func parseSpec(spec string, isText bool) (*field, error) {
	f := &field{precision: -1}
	rest := spec
	if c, n := utf8.DecodeRuneInString(rest); len(rest) > n && strings.IndexByte("<>^=", rest[n]) >= 0 {
		f.fill, f.align, rest = c, rest[n], rest[n+1:]
	} else if strings.IndexByte("<>^=", rest[0]) >= 0 {
		f.align, rest = rest[0], rest[1:]
	}
	take := func(chars string) byte {
		if rest == "" || strings.IndexByte(chars, rest[0]) < 0 {
			return 0
		}
		c := rest[0]
		rest = rest[1:]
		return c
	}
	f.sign = take("+- ")
	f.alternate = take("#") != 0
	zero := take("0") != 0
	var err error
	if f.width, _, err = leadingNumber(&rest); err != nil {
		return nil, err
	}
	if c := take(",_"); c != 0 {
		f.thousands = string(c)
	}
	if take(".") != 0 {
		if f.precision, f.precisionN, err = leadingNumber(&rest); err != nil || !f.precisionN {
			return nil, errors.New("the precision is missing in the format")
		}
	}
	f.verb = take("bcdeEfFgGnosxX%")
	if rest != "" {
		return nil, fmt.Errorf("%q is no format of a value", spec)
	}
	return f, f.complete(spec, isText, zero)
}

// complete fills in what the specification leaves open, and refuses what does
// not go together.
func (f *field) complete(spec string, isText, zero bool) error {
	switch {
	case isText && (f.sign != 0 || f.alternate || f.thousands != "" || f.align == '='),
		f.thousands != "" && strings.IndexByte("sboxXcn", f.verb) >= 0 && f.verb != 0,
		f.verb == 'c' && (f.sign != 0 || f.precisionN):
		return fmt.Errorf("%q is no format of such a value", spec)
	case f.alternate && !isText && (f.precisionN || f.verb == 0 || strings.IndexByte("eEfFgGn%c", f.verb) >= 0),
		(zero || f.fill == '0') && f.thousands != "":
		return fmt.Errorf("the format %q is not supported", spec)
	}
	if f.sign == '-' {
		f.sign = 0
	}
	if zero && f.fill == 0 {
		f.fill = '0'
	}
	if f.fill == 0 {
		f.fill = ' '
	}
	switch {
	case f.align != 0:
	case isText:
		f.align = '<'
	case zero:
		f.align = '='
	default:
		f.align = '>'
	}
	return nil
}

// format writes v without padding.
func (f *field) format(v Value) (string, error) {
	if s, ok := v.(Str); ok && (f.verb == 0 || f.verb == 's') && f.align != '=' {
		return f.cut(s.text), nil
	}
	n, isInt := asInt(v)
	x, isFloat := asFloat(v)
	switch {
	case isInt && (f.verb == 0 || strings.IndexByte("bdoxXn", f.verb) >= 0) && !f.precisionN:
		return f.int(n), nil
	case isInt && f.verb == 'c' && n.big == nil && n.small >= 0 && n.small <= utf8.MaxRune:
		return string(rune(n.small)), nil
	case isFloat && f.verb == '%':
		f.verb = 'f'
		text, err := f.float(x * 100)
		return text + "%", err
	case isFloat && f.verb == 0 && !f.precisionN:
		return f.signed(x < 0, group3(strings.TrimPrefix(floatText(x), "-"), f.thousands)), nil
	case isFloat && f.verb == 0:
		return "", errors.New("a precision needs a kind, such as .2f or .3g")
	case isInt && f.verb == 'n':
	case isFloat && strings.IndexByte("eEfFgGn", f.verb) >= 0:
		if f.verb == 'n' {
			f.verb = 'g'
		}
		return f.float(x)
	}
	return "", fmt.Errorf("%s cannot be written in this format", kindOf(v))
}
