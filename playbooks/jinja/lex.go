package jinja

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// syntax is what can differ between two templates.
type syntax struct {
	trim    bool // drop the line end after a tag
	lstrip  bool // drop the blanks before a tag that begins its line
	verbose bool // a backslash in a string of an expression stands for itself
}

// lexer cuts a template into tokens. An error ends it.
type lexer struct {
	*script
	syntax
	off    int
	tokens []token
	open   []token // brackets of the expression that wait to be closed
}

// cut is the tokens of a whole template, which starts at byte off of the script.
func cut(s *script, syn syntax, off int) ([]token, error) {
	l := &lexer{script: s, syntax: syn, off: off}
	for l.off < len(l.text) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.add(tEnd, "", len(l.text), len(l.text))
	return l.tokens, nil
}

// cutExpr is the tokens of a bare expression.
func cutExpr(s *script) ([]token, error) {
	l := &lexer{script: s}
	for {
		l.skipSpace()
		if l.off >= len(l.text) {
			break
		}
		rest := l.text[l.off:]
		for _, mark := range []string{"{{", "{%", "}}", "%}"} {
			if strings.HasPrefix(rest, mark) && (mark != "}}" || len(l.open) == 0) {
				return nil, l.fail(l.off, l.off+2, fmt.Sprintf("%q inside an expression", mark),
					"this is an expression already: write the names as they are")
			}
		}
		if err := l.word(); err != nil {
			return nil, err
		}
	}
	if n := len(l.open); n > 0 {
		return nil, l.fail(l.open[n-1].off, l.open[n-1].end, fmt.Sprintf("%q is never closed", l.open[n-1].text), "")
	}
	l.add(tEnd, "", len(l.text), len(l.text))
	return l.tokens, nil
}

func (l *lexer) add(k kind, text string, off, end int) {
	l.tokens = append(l.tokens, token{k, text, off, end})
}

func (l *lexer) fail(off, end int, msg, hint string) error {
	return l.err(span{off, end}, msg, hint)
}

// next takes the text up to the next mark, and what the mark begins.
func (l *lexer) next() error {
	begin := l.off
	at := nextMark(l.text, begin)
	if at < 0 {
		l.data(begin, len(l.text), 0, false)
		l.off = len(l.text)
		return nil
	}
	mark := l.text[at+1]
	sign := byte(0)
	if at+2 < len(l.text) {
		sign = l.text[at+2]
	}
	l.data(begin, at, sign, mark != '{')
	l.off = at + 2
	if sign == '-' || sign == '+' {
		l.off++
	}
	switch mark {
	case '#':
		return l.comment(at)
	case '%':
		if m := rawOpen.FindString(l.text[l.off:]); m != "" {
			return l.raw(at, m)
		}
		l.add(tTagOpen, "", at, l.off)
		return l.inside(at, "%}", tTagClose)
	}
	l.add(tVarOpen, "", at, l.off)
	return l.inside(at, "}}", tVarClose)
}

func nextMark(text string, from int) int {
	for i := from; i+1 < len(text); i++ {
		if text[i] == '{' && (text[i+1] == '{' || text[i+1] == '%' || text[i+1] == '#') {
			return i
		}
	}
	return -1
}

// data takes the text between two marks. sign is what follows the opening mark
// after it; isTag says that this is one that lstrip cares about.
func (l *lexer) data(begin, end int, sign byte, isTag bool) {
	text := l.text[begin:end]
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	case isTag && sign != '+' && l.lstrip:
		line := strings.LastIndexByte(text, '\n') + 1
		atLineStart := line > 0 || begin == 0 || l.text[begin-1] == '\n'
		if atLineStart && strings.Trim(text[line:], " \t") == "" {
			text = text[:line]
		}
	}
	if text != "" {
		l.add(tData, unixLines.Replace(text), begin, end)
	}
}

var unixLines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// closed goes on after a closing mark that had sign in front of it.
func (l *lexer) closed(end int, sign byte, isTag bool) {
	l.off = end
	switch {
	case sign == '-':
		l.skipSpace()
	case isTag && sign != '+' && l.trim:
		l.off += len(lineEnd.FindString(l.text[l.off:]))
	}
}

var (
	lineEnd  = regexp.MustCompile(`^(\r\n|\r|\n)`)
	rawOpen  = regexp.MustCompile(`^\s*raw\s*[-+]?%\}`)
	rawClose = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*([-+]?)%\}`)
)

func (l *lexer) comment(at int) error {
	n := strings.Index(l.text[l.off:], "#}")
	if n < 0 {
		return l.fail(at, at+2, `"{#" is never closed`, `close the comment with "#}"`)
	}
	end := l.off + n
	l.closed(end+2, l.text[end-1], true)
	return nil
}

func (l *lexer) raw(at int, opening string) error {
	l.closed(l.off+len(opening), opening[len(opening)-3], true)
	begin := l.off
	m := rawClose.FindStringSubmatchIndex(l.text[begin:])
	if m == nil {
		return l.fail(at, begin, "raw is never closed", `close it with "{% endraw %}"`)
	}
	l.data(begin, begin+m[0], signAt(l.text[begin:], m[2], m[3]), true)
	l.closed(begin+m[1], signAt(l.text[begin:], m[4], m[5]), true)
	return nil
}

func signAt(text string, begin, end int) byte {
	if begin == end {
		return 0
	}
	return text[begin]
}

// inside takes the words of an expression or a tag, up to its closing mark.
func (l *lexer) inside(at int, mark string, k kind) error {
	l.open = l.open[:0]
	for {
		l.skipSpace()
		if l.off >= len(l.text) {
			return l.fail(at, at+2, fmt.Sprintf("%q is never closed", l.text[at:at+2]), fmt.Sprintf("close it with %q", mark))
		}
		rest := l.text[l.off:]
		sign := byte(0)
		if rest[0] == '-' || rest[0] == '+' && k == tTagClose {
			sign, rest = rest[0], rest[1:]
		}
		if len(l.open) == 0 && strings.HasPrefix(rest, mark) {
			end := len(l.text) - len(rest) + 2
			l.add(k, "", l.off, end)
			l.closed(end, sign, k == tTagClose)
			return nil
		}
		if err := l.word(); err != nil {
			return err
		}
	}
}

func (l *lexer) skipSpace() {
	rest := strings.TrimLeftFunc(l.text[l.off:], unicode.IsSpace)
	l.off = len(l.text) - len(rest)
}
