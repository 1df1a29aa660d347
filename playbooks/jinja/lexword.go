package jinja

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	floatWord = regexp.MustCompile(`^(\d+_)*\d+((\.(\d+_)*\d+)?[eE][+\-]?(\d+_)*\d+|\.(\d+_)*\d+)`)
	intWord   = regexp.MustCompile(`^(0[bB](_?[0-1])+|0[oO](_?[0-7])+|0[xX](_?[0-9a-fA-F])+|[1-9](_?\d)*|0(_?0)*)`)
)

// operators, the longer before those that begin them.
var operators = []string{"**", "//", "==", "!=", "<=", ">=",
	"+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|"}

// word takes one word of an expression, which begins at l.off.
func (l *lexer) word() error {
	rest := l.text[l.off:]
	switch c := rest[0]; {
	case c == '"' || c == '\'':
		return l.str(c)
	case '0' <= c && c <= '9':
		return l.number(rest)
	}
	if n := nameLen(rest); n > 0 {
		l.take(tName, n)
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			return l.operator(op)
		}
	}
	_, n := utf8.DecodeRuneInString(rest)
	return l.fail(l.off, l.off+n, fmt.Sprintf("unexpected %q", rest[:n]), "")
}

func (l *lexer) take(k kind, n int) {
	l.add(k, l.text[l.off:l.off+n], l.off, l.off+n)
	l.off += n
}

func nameLen(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return i
		}
	}
	return len(s)
}

func (l *lexer) number(rest string) error {
	// After a dot a number is an index: "list.0.1" has no fraction.
	if n := len(l.tokens); n == 0 || !l.tokens[n-1].is(".") {
		if m := floatWord.FindString(rest); m != "" {
			l.take(tFloat, len(m))
			return nil
		}
	}
	m := intWord.FindString(rest)
	if n := len(m); n == len(rest) || rest[n] < '0' || rest[n] > '9' {
		l.take(tInt, n)
		return nil
	}
	return l.fail(l.off, l.off+len(m)+1, "a decimal number cannot begin with 0", "write 0o in front of an octal number")
}

var closes = map[string]string{")": "(", "]": "[", "}": "{"}

func (l *lexer) operator(op string) error {
	switch op {
	case "(", "[", "{":
		l.open = append(l.open, token{tOp, op, l.off, l.off + 1})
	case ")", "]", "}":
		n := len(l.open)
		if n == 0 || l.open[n-1].text != closes[op] {
			return l.fail(l.off, l.off+1, fmt.Sprintf("unexpected %q: nothing of its kind is open", op), "")
		}
		l.open = l.open[:n-1]
	}
	l.take(tOp, len(op))
	return nil
}

// str takes a string literal.
func (l *lexer) str(quote byte) error {
	begin := l.off
	for i := begin + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case quote:
			raw := unixLines.Replace(l.text[begin+1 : i])
			text := raw
			if l.verbose {
				text = strings.ReplaceAll(raw, `\`+string(quote), string(quote))
			} else if strings.Contains(raw, `\`) {
				text = unescape(raw)
			}
			l.off = i + 1
			l.add(tString, text, begin, l.off)
			return nil
		}
	}
	return l.fail(begin, begin+1, "the string is never closed", fmt.Sprintf("close it with %q", string(quote)))
}

var simpleEscapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v",
	'\\': `\`, '\'': "'", '"': `"`, '\n': ""}

// unescape gives the meaning of Python's escapes; what is none stays as it is.
func unescape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if text, ok := simpleEscapes[s[0]]; ok {
			b.WriteString(text)
			s = s[1:]
			continue
		}
		n, r, ok := codeEscape(s)
		if !ok {
			b.WriteByte('\\')
			continue
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

var codeDigits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// codeEscape reads x41, u2603, U0001F600 and octal digits, n bytes of them.
func codeEscape(s string) (n int, r rune, ok bool) {
	if digits, isHex := codeDigits[s[0]]; isHex {
		if len(s) <= digits {
			return 0, 0, false
		}
		code, err := strconv.ParseUint(s[1:1+digits], 16, 32)
		return 1 + digits, rune(code), err == nil && utf8.ValidRune(rune(code))
	}
	for n < len(s) && n < 3 && '0' <= s[n] && s[n] <= '7' {
		r = r<<3 | rune(s[n]-'0')
		n++
	}
	return n, r, n > 0
}
