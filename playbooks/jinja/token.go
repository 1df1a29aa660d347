package jinja

import (
	"strings"
	"unicode/utf8"

	"runbook/runner/source"
)

type kind byte

const (
	tEnd      kind = iota
	tData          // text outside of all marks
	tVarOpen       // {{
	tVarClose      // }}
	tTagOpen       // {%
	tTagClose      // %}
	tName
	tString
	tInt
	tFloat
	tOp
)

// token is one word of a template; text is what it stands for, which for a
// string is its content.
type token struct {
	kind     kind
	text     string
	off, end int // bytes in the template
}

func (t token) is(op string) bool { return t.kind == tOp && t.text == op }

func (t token) isName(name string) bool { return t.kind == tName && t.text == name }

// String is the token as an error shows it.
func (t token) String() string {
	switch t.kind {
	case tEnd:
		return "the end"
	case tData:
		return "text"
	case tVarOpen:
		return `"{{"`
	case tVarClose:
		return `"}}"`
	case tTagOpen:
		return `"{%"`
	case tTagClose:
		return `"%}"`
	case tString:
		return "a string"
	}
	return `"` + t.text + `"`
}

// script is the text of a template and where it stands.
type script struct {
	text string
	pos  source.Pos
}

// at is the place of a byte of the template.
func (s *script) at(off int) source.Pos {
	p := s.pos
	if p.Line == 0 {
		p.Line, p.Col = 1, 1
	}
	before := s.text[:min(off, len(s.text))]
	if n := strings.Count(before, "\n"); n > 0 {
		p.Line += n
		p.Col = 1
		before = before[strings.LastIndexByte(before, '\n')+1:]
	}
	p.Col += utf8.RuneCountInString(before)
	return p
}

// span is a part of the template that an error points to.
type span struct{ off, end int }

func (s *script) err(at span, msg, hint string) *source.Error {
	n := utf8.RuneCountInString(s.text[min(at.off, len(s.text)):min(at.end, len(s.text))])
	return &source.Error{Pos: s.at(at.off), Len: max(n, 1), Msg: msg, Hint: hint}
}
