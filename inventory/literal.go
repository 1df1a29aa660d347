package inventory

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// literal reads a Python literal: a number, a quoted text, True, False, None, and
// lists, tuples and dictionaries of these. Everything else is not one.
func literal(text string) (any, bool) {
	p := literalReader{rest: text}
	v, ok := p.value(0)
	p.blank()
	if !ok || p.rest != "" {
		return nil, false
	}
	return v, true
}

type literalReader struct{ rest string }

func (p *literalReader) blank() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *literalReader) take(prefix string) bool {
	p.blank()
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

var (
	word   = regexp.MustCompile(`^(True|False|None)\b`)
	number = regexp.MustCompile(`^[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|[1-9][0-9]*|0+)`)
)

func (p *literalReader) value(depth int) (any, bool) {
	const deepest = 50
	p.blank()
	if p.rest == "" || depth > deepest {
		return nil, false
	}
	switch c := p.rest[0]; c {
	case '\'', '"':
		return p.quoted(c)
	case '[':
		p.take("[")
		items, _, ok := p.items("]", depth)
		return items, ok
	case '(':
		p.take("(")
		items, commas, ok := p.items(")", depth)
		if ok && len(items) == 1 && commas == 0 {
			return items[0], true
		}
		return items, ok
	case '{':
		p.take("{")
		return p.dict(depth)
	}
	if w := word.FindString(p.rest); w != "" {
		p.take(w)
		return map[string]any{"True": true, "False": false, "None": nil}[w], true
	}
	n := number.FindString(p.rest)
	p.take(n)
	return toNumber(n)
}

func toNumber(text string) (any, bool) {
	if i, ok := new(big.Int).SetString(text, 0); ok {
		if i.IsInt64() {
			return i.Int64(), true
		}
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && text != ""
}

func (p *literalReader) quoted(mark byte) (any, bool) {
	var out strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == mark:
			p.rest = p.rest[i+1:]
			return out.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			if escaped, ok := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': `\`, '\'': "'", '"': `"`}[p.rest[i]]; ok {
				out.WriteString(escaped)
				continue
			}
			out.WriteString(p.rest[i-1 : i+1])
		default:
			out.WriteByte(c)
		}
	}
	return nil, false
}

func (p *literalReader) items(end string, depth int) (items []any, commas int, ok bool) {
	items = []any{}
	for {
		if p.take(end) {
			return items, commas, true
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, 0, false
		}
		items = append(items, v)
		if p.take(",") {
			commas++
		} else if !p.take(end) {
			return nil, 0, false
		} else {
			return items, commas, true
		}
	}
}

func (p *literalReader) dict(depth int) (any, bool) {
	m := map[string]any{}
	for {
		if p.take("}") {
			return m, true
		}
		key, ok := p.value(depth + 1)
		name, isText := key.(string)
		if !ok || !isText || !p.take(":") {
			return nil, false
		}
		if m[name], ok = p.value(depth + 1); !ok {
			return nil, false
		}
		if !p.take(",") {
			return m, p.take("}")
		}
	}
}
