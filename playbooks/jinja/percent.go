package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// field says how one value is written: the flags, width and precision of a
// "%-05.2f" or a "{:>8.2f}".
type field struct {
	verb       byte
	precision  int // -1 where not given
	width      int
	alternate  bool // 0x in front of a number
	sign       byte // '+' or ' ' in front of a positive number
	align      byte // '<', '>', '^' or '=', which pads behind the sign
	fill       rune
	thousands  string
	precisionN bool // a precision was given
}

// percentFormat is Python's text % values: a tuple or dict holds the values, or
// values is the only one.
func percentFormat(r *renderer, text string, values Value) (Value, error) {
	p := &percent{renderer: r, text: text, mapping: values}
	if t, ok := values.(*Tuple); ok {
		p.list = t.Items
	} else {
		p.list = []Value{values}
	}
	for {
		i := strings.IndexByte(p.text, '%')
		if i < 0 {
			break
		}
		p.out.WriteString(p.text[:i])
		p.text = p.text[i+1:]
		if err := p.field(); err != nil {
			return nil, err
		}
		if err := r.budget.grow(p.out.Len(), 0); err != nil {
			return nil, err
		}
	}
	p.out.WriteString(p.text)
	_, isTuple := values.(*Tuple)
	_, isDict := values.(*Dict)
	if p.next < len(p.list) && (isTuple || !isDict) && !p.byName {
		return nil, errors.New("there are more values than places in the format")
	}
	return str(p.out.String()), nil
}

// percent is the state of one formatting.
type percent struct {
	*renderer
	text    string // what is left of the format
	out     strings.Builder
	mapping Value
	list    []Value
	next    int
	byName  bool
}

func (p *percent) value() (Value, error) {
	if p.next >= len(p.list) {
		return nil, errors.New("there are fewer values than places in the format")
	}
	p.next++
	return p.list[p.next-1], nil
}

var errOpenFormat = errors.New("the format ends in the middle of a place")

// field writes the place that begins behind a percent sign.
func (p *percent) field() error {
	var named Value
	if strings.HasPrefix(p.text, "(") {
		name, rest, ok := strings.Cut(p.text[1:], ")")
		d, isDict := p.mapping.(*Dict)
		if !ok || !isDict {
			return errors.New("a place with a name needs a dict of values")
		}
		if named, ok = d.Get(name); !ok {
			return fmt.Errorf("there is no value for %q", name)
		}
		p.text, p.byName = rest, true
	}
	f := field{precision: -1, fill: ' ', align: '>'}
	p.flags(&f)
	if err := p.sizes(&f); err != nil {
		return err
	}
	p.text = strings.TrimLeft(p.text, "hlL")
	if p.text == "" {
		return errOpenFormat
	}
	f.verb = p.text[0]
	p.text = p.text[1:]
	if f.verb == '%' {
		p.out.WriteByte('%')
		return nil
	}
	if named == nil {
		var err error
		if named, err = p.value(); err != nil {
			return err
		}
	}
	text, err := f.percent(named)
	if err == nil {
		err = p.budget.text(len(text) + f.width)
	}
	if err != nil {
		return err
	}
	p.out.WriteString(f.pad(text))
	return nil
}

func (p *percent) flags(f *field) {
	for p.text != "" {
		switch p.text[0] {
		case '-':
			f.align = '<'
		case '0':
			if f.align != '<' {
				f.align, f.fill = '=', '0'
			}
		case '+':
			f.sign = '+'
		case ' ':
			if f.sign == 0 {
				f.sign = ' '
			}
		case '#':
			f.alternate = true
		default:
			return
		}
		p.text = p.text[1:]
	}
}

// sizes reads the width and the precision.
func (p *percent) sizes(f *field) error {
	width, given, err := p.size()
	if err != nil {
		return err
	}
	if given {
		f.width = width
		if width < 0 {
			f.width, f.align, f.fill = -width, '<', ' '
		}
	}
	if !strings.HasPrefix(p.text, ".") {
		return nil
	}
	p.text = p.text[1:]
	precision, _, err := p.size()
	f.precision, f.precisionN = max(precision, 0), true
	return err
}

func (p *percent) size() (n int, given bool, err error) {
	if strings.HasPrefix(p.text, "*") {
		p.text = p.text[1:]
		v, err := p.value()
		if err != nil {
			return 0, false, err
		}
		i, ok := asInt(v)
		if !ok || i.big != nil || i.small > maxOutput || i.small < -maxOutput {
			return 0, false, fmt.Errorf("* wants a small int, not %s", kindOf(v))
		}
		return int(i.small), true, nil
	}
	return leadingNumber(&p.text)
}

// leadingNumber takes the digits that text begins with.
func leadingNumber(text *string) (n int, given bool, err error) {
	end := len(*text) - len(strings.TrimLeft(*text, "0123456789"))
	if end == 0 {
		return 0, false, nil
	}
	n, err = strconv.Atoi((*text)[:end])
	if err != nil || n > maxOutput {
		return 0, false, errTooLong
	}
	*text = (*text)[end:]
	return n, true, nil
}

// percent writes v without padding.
func (f *field) percent(v Value) (string, error) {
	switch f.verb {
	case 's', 'r', 'a':
		if f.fill == '0' {
			f.fill, f.align = ' ', '>'
		}
		text := Text(v)
		if f.verb != 's' {
			text = repr(v)
		}
		return f.cut(text), nil
	case 'c':
		if s, ok := v.(Str); ok && utf8.RuneCountInString(s.text) == 1 {
			return s.text, nil
		}
		if n, ok := asInt(v); ok && n.big == nil && n.small >= 0 && n.small <= utf8.MaxRune {
			return string(rune(n.small)), nil
		}
		return "", errors.New("%c wants a character")
	case 'd', 'i', 'u', 'x', 'X', 'o':
		return f.percentInt(v)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		x, ok := asFloat(v)
		if !ok {
			return "", fmt.Errorf("%%%c wants a number, not %s", f.verb, kindOf(v))
		}
		return f.float(x)
	}
	return "", fmt.Errorf("there is no place of the kind %%%c", f.verb)
}

func (f *field) percentInt(v Value) (string, error) {
	n, ok := asInt(v)
	if x, isFloat := v.(Float); isFloat && strings.IndexByte("diu", f.verb) >= 0 {
		n, ok = intOf(Float(math.Trunc(float64(x))))
	}
	if !ok {
		return "", fmt.Errorf("%%%c wants a whole number, not %s", f.verb, kindOf(v))
	}
	text := f.int(n)
	switch {
	case f.precision > maxOutput:
		return "", errTooLong
	case f.alternate && f.precisionN:
		return "", errors.New(`the flag "#" with a precision is not supported`)
	}
	sign, digits := splitSign(text)
	if missing := f.precision - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return sign + digits, nil
}

// cut keeps as many characters as the precision says.
func (f *field) cut(text string) string {
	if f.precision < 0 {
		return text
	}
	runes := []rune(text)
	return string(runes[:min(len(runes), f.precision)])
}

var bases = map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}

// int writes a whole number with its sign.
func (f *field) int(n Int) string {
	base := 10
	if b, ok := bases[f.verb]; ok {
		base = b
	}
	text := new(big.Int).Abs(n.wide()).Text(base)
	if f.verb == 'X' {
		text = strings.ToUpper(text)
	}
	if f.alternate && base != 10 {
		text = "0" + string(f.verb) + text
	}
	text = group3(text, f.thousands)
	return f.signed(n.wide().Sign() < 0, text)
}

func (f *field) signed(negative bool, text string) string {
	switch {
	case negative:
		return "-" + text
	case f.sign != 0:
		return string(f.sign) + text
	}
	return text
}

// group3 puts sep between the thousands of a number's whole part.
func group3(text, sep string) string {
	whole := len(text) - len(strings.TrimLeft(text, "0123456789"))
	if sep == "" || whole <= 3 {
		return text
	}
	var b strings.Builder
	for i := range whole {
		if i > 0 && (whole-i)%3 == 0 {
			b.WriteString(sep)
		}
		b.WriteByte(text[i])
	}
	return b.String() + text[whole:]
}

// float writes a number with a fraction.
func (f *field) float(x float64) (string, error) {
	precision := 6
	if f.precisionN {
		precision = f.precision
	}
	switch {
	case precision > 1000:
		return "", errors.New("the precision of a number must be 1000 at most")
	case f.alternate:
		return "", errors.New(`the flag "#" is not supported for numbers with a fraction`)
	}
	verb := f.verb | 0x20
	var text string
	switch {
	case math.IsInf(x, 0):
		text = "inf"
	case math.IsNaN(x):
		text = "nan"
	case verb == 'g':
		text = general(math.Abs(x), max(precision, 1))
	default:
		text = strconv.FormatFloat(math.Abs(x), verb, precision, 64)
	}
	if f.verb < 'a' {
		text = strings.ToUpper(text)
	}
	return f.signed(math.Signbit(x), group3(text, f.thousands)), nil
}

// general is the form %g: so many digits, without the zeros at the end, and an
// exponent only for very big and very small numbers.
func general(x float64, digits int) string {
	text := strconv.FormatFloat(x, 'e', digits-1, 64)
	at := strings.IndexByte(text, 'e')
	exp, _ := strconv.Atoi(text[at+1:])
	tail := text[at:]
	text = text[:at]
	if exp >= -4 && exp < digits {
		text, tail = strconv.FormatFloat(x, 'f', digits-1-exp, 64), ""
	}
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + tail
}

func splitSign(text string) (sign, rest string) {
	if text != "" && strings.IndexByte("+- ", text[0]) >= 0 {
		return text[:1], text[1:]
	}
	return "", text
}

// pad fills text up to the width.
func (f *field) pad(text string) string {
	n := f.width - utf8.RuneCountInString(text)
	if n <= 0 {
		return text
	}
	fill := strings.Repeat(string(f.fill), n)
	switch f.align {
	case '<':
		return text + fill
	case '^':
		half := len(fill) / n * (n / 2)
		return fill[:half] + text + fill[half:]
	case '=':
		sign, rest := splitSign(text)
		return sign + fill + rest
	}
	return fill + text
}
