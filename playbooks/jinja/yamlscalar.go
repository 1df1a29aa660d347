package jinja

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"runbook/runner/source"
)

type scalarStyle byte

const (
	plainScalar scalarStyle = iota
	singleScalar
	doubleScalar
)

// timeText is what YAML 1.1 takes for a date; "=" and "<<" have a meaning too.
var timeText = regexp.MustCompile(`^(\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?([Tt]|[ \t]+)\d\d?:\d\d:\d\d(\.\d*)?([ \t]*(Z|[-+]\d\d?(:\d\d)?))?|=|<<)$`)

// meansText says whether a plain scalar would be read as the text that it is.
func meansText(text string) bool {
	_, ok := source.Scalar(&yaml.Node{Kind: yaml.ScalarNode, Value: text}).(string)
	return ok && !timeText.MatchString(text)
}

// yamlScalarStyle chooses the simplest style that keeps the text.
func yamlScalarStyle(text string, inFlow bool) scalarStyle {
	s := scan(text)
	plain := !s.edges && !s.breaks && !s.special && !s.blockMarks && (!inFlow || !s.flowMarks && text != "")
	switch {
	case plain && meansText(text):
		return plainScalar
	case !s.special && !s.blankAfterBreak:
		return singleScalar
	}
	return doubleScalar
}

// scanned is what a text holds that decides about its style.
type scanned struct {
	blockMarks, flowMarks bool // would mean something else
	edges                 bool // a blank or a line end at either end
	breaks                bool
	blankAfterBreak       bool
	special               bool // needs an escape
}

const (
	yamlBreaks = "\n\u0085\u2028\u2029"
	yamlBlanks = "\x00 \t\r" + yamlBreaks
)

func scan(text string) scanned {
	runes := []rune(text)
	var s scanned
	if strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") {
		s.blockMarks, s.flowMarks = true, true
	}
	for i, c := range runes {
		before := i == 0 || strings.ContainsRune(yamlBlanks, runes[i-1])
		after := i+1 >= len(runes) || strings.ContainsRune(yamlBlanks, runes[i+1])
		s.marks(c, i == 0, before, after)
		s.character(c)
		isBreak := strings.ContainsRune(yamlBreaks, c)
		s.breaks = s.breaks || isBreak
		if i > 0 {
			wasBreak := strings.ContainsRune(yamlBreaks, runes[i-1])
			s.blankAfterBreak = s.blankAfterBreak || c == ' ' && wasBreak
			// A blank at the end of a line would be lost without an escape.
			s.special = s.special || isBreak && runes[i-1] == ' '
		}
		if (i == 0 || i == len(runes)-1) && (c == ' ' || isBreak) {
			s.edges = true
		}
	}
	return s
}

// marks notes what would be read as more than a character.
func (s *scanned) marks(c rune, first, before, after bool) {
	switch {
	case first && strings.ContainsRune("#,[]{}&*!|>'\"%@`", c),
		first && c == '-' && after,
		!first && c == '#' && before:
		s.blockMarks, s.flowMarks = true, true
	case c == ':', first && c == '?':
		s.flowMarks = true
		s.blockMarks = s.blockMarks || after
	case strings.ContainsRune(",?[]{}", c):
		s.flowMarks = true
	}
}

func (s *scanned) character(c rune) {
	switch {
	case c == '\n', ' ' <= c && c <= '~', c == 0x85:
	case c >= 0xa0 && c != 0xfeff && c != 0xfffe && c != 0xffff:
	default:
		s.special = true
	}
}

// fold goes on in the next line where this one is full and a single blank
// stands here.
func (w *yamlWriter) fold(blanks string, indent int, isKey bool) {
	if len(blanks) == 1 && w.column > w.width && !isKey {
		w.line(indent)
		w.fresh = false
		return
	}
	w.write(blanks)
}

func (w *yamlWriter) plain(text string, indent int, isKey bool) {
	for text != "" {
		n := strings.IndexByte(text, ' ')
		if n < 0 {
			n = len(text)
		}
		w.write(text[:n])
		text = text[n:]
		rest := strings.TrimLeft(text, " ")
		if blanks := text[:len(text)-len(rest)]; blanks != "" {
			w.fold(blanks, indent, isKey)
		}
		text = rest
	}
}

func (w *yamlWriter) single(text string, indent int, isKey bool) {
	w.write("'")
	all := len(text)
	for text != "" {
		n := strings.IndexAny(text, " '"+yamlBreaks)
		if n < 0 {
			n = len(text)
		}
		w.write(text[:n])
		begins := len(text) == all && n == 0
		text = text[n:]
		switch {
		case text == "":
		case text[0] == '\'':
			w.write("''")
			text = text[1:]
		case text[0] == ' ':
			rest := strings.TrimLeft(text, " ")
			blanks := text[:len(text)-len(rest)]
			if begins || rest == "" {
				w.write(blanks)
			} else {
				w.fold(blanks, indent, isKey)
			}
			text = rest
		default:
			text = w.breaksOf(text, indent)
		}
	}
	w.write("'")
}

// breaksOf writes the line ends that text begins with; a first plain one is
// written twice, because one alone would be read as a blank.
func (w *yamlWriter) breaksOf(text string, indent int) string {
	rest := strings.TrimLeft(text, yamlBreaks)
	if text[0] == '\n' {
		w.b.WriteByte('\n')
	}
	w.b.WriteString(text[:len(text)-len(rest)])
	w.column, w.fresh = 0, true
	w.line(indent)
	w.fresh = false
	return rest
}

var yamlEscapes = map[rune]string{0: "0", 7: "a", 8: "b", '\t': "t", '\n': "n", 0xb: "v", 0xc: "f", '\r': "r", 0x1b: "e",
	'"': `"`, '\\': `\`, 0x85: "N", 0x2028: "L", 0x2029: "P"}

func yamlEscape(c rune) string {
	switch e, ok := yamlEscapes[c]; {
	case ok:
		return `\` + e
	case ' ' <= c && c <= '~', 0xa0 <= c && c <= 0xfffd && c != 0xfeff:
		return string(c)
	case c <= 0xff:
		return fmt.Sprintf(`\x%02X`, c)
	case c <= 0xffff:
		return fmt.Sprintf(`\u%04X`, c)
	}
	return fmt.Sprintf(`\U%08X`, c)
}

func (w *yamlWriter) double(text string, indent int, isKey bool) {
	w.write(`"`)
	pending := "" // what is not written yet, so that a line can end before it
	flush := func() {
		w.write(pending)
		pending = ""
	}
	for i, c := range text {
		escaped := yamlEscape(c)
		plain := escaped == string(c)
		if !plain {
			flush()
			w.write(escaped)
		}
		width := w.column + utf8.RuneCountInString(pending)
		if !plain {
			width-- // the library counts from behind the escaped character
		}
		last := i+utf8.RuneLen(c) >= len(text)
		if i > 0 && !last && (c == ' ' || pending == "") && width > w.width && !isKey {
			flush()
			w.write(`\`)
			w.line(indent)
			w.fresh = false
			if next := text[i+utf8.RuneLen(c):]; c == ' ' || !plain && strings.HasPrefix(next, " ") {
				w.write(`\`)
			}
		}
		if plain {
			pending += escaped
		}
	}
	flush()
	w.write(`"`)
}
