package grub

import (
	"fmt"
	"slices"
)

// statement is one thing that a script does: a command, an if, or a function
// that is defined.
type statement struct {
	line int

	words []word      // a command and its arguments
	block []statement // what stands in braces behind a command

	branches []branch // of an if
	function string   // the name of a function, whose body is block
}

// branch is a condition and what follows from it. The branch of `else` has no
// condition.
type branch struct{ condition, body []statement }

// parser turns tokens into statements.
type parser struct {
	tokens []token
	at     int
}

func parse(text string) ([]statement, error) {
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens}
	list, end, err := p.list()
	if err == nil && end != "" {
		err = fmt.Errorf("line %d: %q has no beginning", p.line(), end)
	}
	return list, err
}

func (p *parser) line() int { return p.tokens[min(p.at, len(p.tokens)-1)].line }

// ends are the words that end a list of statements.
var ends = []string{"then", "elif", "else", "fi", "}"}

// unknown are the keywords of GRUB's language that no generated configuration
// has. They are refused rather than taken for commands.
var unknown = []string{"for", "while", "until", "do", "done", "case", "esac", "select", "time"}

// list reads statements up to a word that ends them, which it takes, or to the
// end of the script.
func (p *parser) list() (out []statement, end string, err error) {
	for p.at < len(p.tokens) {
		t := p.tokens[p.at]
		word := t.word.plain()
		switch {
		case t.word == nil:
			p.at++
			continue
		case slices.Contains(ends, word):
			p.at++
			return out, word, nil
		case slices.Contains(unknown, word):
			return nil, "", fmt.Errorf("line %d: %q is not known here", t.line, word)
		}
		var s statement
		switch word {
		case "if":
			s, err = p.conditional()
		case "function":
			s, err = p.definition()
		default:
			s, err = p.command()
		}
		if err != nil {
			return nil, "", err
		}
		s.line = t.line
		out = append(out, s)
	}
	return out, "", nil
}

// command reads words to the end of the command, or through the block that ends
// it.
func (p *parser) command() (s statement, err error) {
	for ; p.tokens[p.at].word != nil; p.at++ {
		if p.tokens[p.at].word.plain() == "{" {
			s.block, err = p.braces()
			return s, err
		}
		s.words = append(s.words, p.tokens[p.at].word)
	}
	return s, nil
}

// braces reads a block in braces.
func (p *parser) braces() ([]statement, error) {
	line := p.line()
	if p.tokens[p.at].word.plain() != "{" {
		return nil, fmt.Errorf("line %d: { is wanted", line)
	}
	p.at++
	block, end, err := p.list()
	if err == nil && end != "}" {
		err = fmt.Errorf("line %d: { has no }", line)
	}
	return block, err
}

func (p *parser) definition() (s statement, err error) {
	line := p.line()
	p.at++
	if s.function = p.tokens[p.at].word.plain(); s.function == "" {
		return s, fmt.Errorf("line %d: the name of a function is wanted", line)
	}
	p.at++
	s.block, err = p.braces()
	return s, err
}

// conditional reads an if up to its fi.
func (p *parser) conditional() (s statement, err error) {
	line := p.line()
	p.at++
	for end := "elif"; end != "fi"; {
		var b branch
		if end == "elif" {
			if b.condition, end, err = p.list(); err != nil {
				return s, err
			}
			if end != "then" || len(b.condition) == 0 {
				return s, fmt.Errorf("line %d: a condition and then are wanted", line)
			}
		}
		if b.body, end, err = p.list(); err != nil {
			return s, err
		}
		if end != "fi" && (b.condition == nil || end != "elif" && end != "else") {
			return s, fmt.Errorf("line %d: if has no fi", line)
		}
		s.branches = append(s.branches, b)
	}
	return s, nil
}
