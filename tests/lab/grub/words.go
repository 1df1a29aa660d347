package grub

import (
	"fmt"
	"strings"
)

// word is one word of a script as it was written: what it comes to depends on
// the variables at the time.
type word []segment

// segment is a piece of a word: a text, or the name of a variable.
type segment struct {
	text     string
	variable bool
	quoted   bool // an unquoted variable is split into words, and may come to none
}

// plain is the word's text if it is an unquoted one without variables, as
// keywords are.
func (w word) plain() string {
	if len(w) == 1 && !w[0].variable && !w[0].quoted {
		return w[0].text
	}
	return ""
}

// token is a word, or the end of a command when it has none.
type token struct {
	word word
	line int
}

// scanner cuts a script into tokens.
type scanner struct {
	text string
	at   int
	line int
}

func scan(text string) ([]token, error) {
	s := scanner{text: text, line: 1}
	var out []token
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '\n' || c == ';':
			out = append(out, token{line: s.line})
			s.step()
		case c == ' ' || c == '\t' || c == '\r':
			s.step()
		case strings.HasPrefix(s.text[s.at:], "\\\n"):
			s.step()
			s.step()
		case c == '#':
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.step()
			}
		case strings.ContainsRune("|&<>", rune(c)):
			return nil, fmt.Errorf("line %d: %q is not part of GRUB's language as it is known here", s.line, string(c))
		default:
			line := s.line
			w, err := s.word()
			if err != nil {
				return nil, err
			}
			out = append(out, token{w, line})
		}
	}
	return append(out, token{line: s.line}), nil
}

func (s *scanner) step() {
	if s.text[s.at] == '\n' {
		s.line++
	}
	s.at++
}

// word reads to the next blank or end of a command that is not quoted.
func (s *scanner) word() (word, error) {
	var w word
	for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n;|&<>", rune(s.text[s.at])) {
		var err error
		switch s.text[s.at] {
		case '\'':
			w, err = s.single(w)
		case '"':
			w, err = s.double(w)
		case '$':
			w, err = s.variable(w, false)
		case '\\':
			s.step()
			w = s.take(w, true)
		default:
			w = s.take(w, false)
		}
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

// take adds one character to the word.
func (s *scanner) take(w word, quoted bool) word {
	if s.at == len(s.text) {
		return w
	}
	c := s.text[s.at : s.at+1]
	s.step()
	if n := len(w); n > 0 && !w[n-1].variable && w[n-1].quoted == quoted {
		w[n-1].text += c
		return w
	}
	return append(w, segment{text: c, quoted: quoted})
}

func (s *scanner) single(w word) (word, error) {
	line := s.line
	text, _, ok := strings.Cut(s.text[s.at+1:], "'")
	if !ok {
		return nil, fmt.Errorf("line %d: the quote ' has no end", line)
	}
	s.at += len(text) + 2
	s.line += strings.Count(text, "\n")
	return append(w, segment{text: text, quoted: true}), nil
}

func (s *scanner) double(w word) (word, error) {
	line := s.line
	s.step()
	w = append(w, segment{quoted: true}) // "" is a word too
	for s.at < len(s.text) {
		var err error
		switch s.text[s.at] {
		case '"':
			s.step()
			return w, nil
		case '$':
			w, err = s.variable(w, true)
		case '\\':
			if s.at+1 < len(s.text) && strings.ContainsRune("$\"\\", rune(s.text[s.at+1])) {
				s.step()
			}
			w = s.take(w, true)
		default:
			w = s.take(w, true)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("line %d: the quote \" has no end", line)
}

// variable reads $NAME or ${NAME}; a $ before anything else is a character.
func (s *scanner) variable(w word, quoted bool) (word, error) {
	rest := s.text[s.at+1:]
	if braced, ok := strings.CutPrefix(rest, "{"); ok {
		name, _, ok := strings.Cut(braced, "}")
		if !ok {
			return nil, fmt.Errorf("line %d: ${ has no }", s.line)
		}
		s.at += len(name) + 3
		return append(w, segment{text: name, variable: true, quoted: quoted}), nil
	}
	n := 0
	for n < len(rest) && inName(rest[n]) {
		n++
	}
	if n == 0 {
		return s.take(w, quoted), nil
	}
	s.at += n + 1
	return append(w, segment{text: rest[:n], variable: true, quoted: quoted}), nil
}

func inName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
