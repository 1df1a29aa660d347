package source

import (
	"fmt"
	"strings"
)

// Word is one word of a text that is split as a shell would.
type Word struct {
	Text  string // without its quotes
	Raw   string // as written
	Start int    // of Raw in the text, in bytes
}

// Words splits at white space outside of quotes and of templates: what stands
// between {{ and }} stays together. A backslash keeps the next character as it
// is; between quotes only a quote or another backslash.
func Words(text string) ([]Word, error) {
	var words []Word
	s := splitter{text: text}
	for {
		s.blank()
		if s.at >= len(text) {
			return words, nil
		}
		start := s.at
		word, err := s.word()
		if err != nil {
			return words, err
		}
		words = append(words, Word{Text: word, Raw: text[start:s.at], Start: start})
	}
}

type splitter struct {
	text string
	at   int
}

func (s *splitter) blank() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

func (s *splitter) word() (string, error) {
	var out strings.Builder
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			return out.String(), nil
		case c == '\'' || c == '"':
			if err := s.quote(c, &out); err != nil {
				return "", err
			}
		case c == '\\' && s.at+1 < len(s.text):
			out.WriteByte(s.text[s.at+1])
			s.at += 2
		case s.template(&out):
		default:
			out.WriteByte(c)
			s.at++
		}
	}
	return out.String(), nil
}

// quote takes a quoted part. A template in it keeps its own quotes.
func (s *splitter) quote(mark byte, out *strings.Builder) error {
	start := s.at
	for s.at++; s.at < len(s.text); {
		switch c := s.text[s.at]; {
		case c == mark:
			s.at++
			return nil
		case c == '\\' && mark == '"' && s.at+1 < len(s.text) && strings.IndexByte(`"\`, s.text[s.at+1]) >= 0:
			out.WriteByte(s.text[s.at+1])
			s.at += 2
		case s.template(out):
		default:
			out.WriteByte(c)
			s.at++
		}
	}
	return fmt.Errorf("the quote %c at character %d is not closed", mark, len([]rune(s.text[:start]))+1)
}

// template takes a whole template block and reports whether there was one.
func (s *splitter) template(out *strings.Builder) bool {
	for open, end := range map[string]string{"{{": "}}", "{%": "%}", "{#": "#}"} {
		rest := s.text[s.at:]
		if !strings.HasPrefix(rest, open) {
			continue
		}
		length := strings.Index(rest, end)
		if length < 0 {
			return false
		}
		out.WriteString(rest[:length+len(end)])
		s.at += length + len(end)
		return true
	}
	return false
}
