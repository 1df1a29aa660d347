package jinja

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pattern is a regular expression in Python's syntax. It runs on Go's engine,
// which takes time in proportion to the text whatever the pattern; what that
// engine cannot do is an error.
type pattern struct {
	re      *regexp.Regexp
	longest *regexp.Regexp // the same, which takes all it can
	// What cannot be answered for some texts: a word boundary beside a letter
	// beyond ASCII, and an end before a last line end.
	boundary, dollar bool
	empty            bool // matches the empty text
	anchored         bool // looks at what stands before
}

type patternKey struct {
	text                  string
	ignoreCase, multiline bool
}

// patterns remembers what was compiled: a few patterns run on many hosts.
var patterns = struct {
	sync.Mutex
	known map[patternKey]*pattern
}{known: map[patternKey]*pattern{}}

// maxPatterns bounds the memory that patterns made from data take.
const maxPatterns = 1000

func compile(text string, ignoreCase, multiline bool) (*pattern, error) {
	key := patternKey{text, ignoreCase, multiline}
	patterns.Lock()
	defer patterns.Unlock()
	if p, ok := patterns.known[key]; ok {
		return p, nil
	}
	p, err := translate(text, ignoreCase, multiline)
	if err != nil {
		return nil, err
	}
	if len(patterns.known) >= maxPatterns {
		clear(patterns.known)
	}
	patterns.known[key] = p
	return p, nil
}

// check refuses a text for which the two engines would differ.
func (p *pattern) check(text string) error {
	if p.dollar && strings.HasSuffix(text, "\n") {
		return errors.New(`"$" on a text that ends with a line end is not supported; trim the text, or use \Z or multiline=True`)
	}
	if p.boundary && !isASCII(text) {
		return errors.New(`"\b" on a text with letters beyond ASCII is not supported`)
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// What Python's classes are for texts, to stand inside square brackets.
const (
	wordClass     = `\p{L}\p{N}_`
	spaceClass    = `\t-\r\x1c- \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	notSpaceClass = `\x00-\x08\x0e-\x1b!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}` +
		`\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}`
)

var classes = map[byte]string{
	'd': `\p{Nd}`, 'D': `\P{Nd}`, 's': spaceClass, 'S': notSpaceClass, 'w': wordClass,
}

// translator turns Python's syntax into Go's.
type translator struct {
	in  string
	i   int
	out strings.Builder
	pattern
	multiline bool
}

func translate(text string, ignoreCase, multiline bool) (*pattern, error) {
	t := &translator{in: text, multiline: multiline}
	for t.i < len(t.in) {
		if err := t.next(); err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", text, err)
		}
	}
	flags := ""
	if ignoreCase {
		flags += "i"
	}
	if multiline {
		flags += "m"
	}
	source := t.out.String()
	if flags != "" {
		source = "(?" + flags + ")" + source
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if name := repeated(re.SubexpNames()); name != "" {
		return nil, fmt.Errorf("the pattern %q: two groups are named %q", text, name)
	}
	t.re = re
	t.longest = regexp.MustCompile(source)
	t.longest.Longest()
	t.empty = regexp.MustCompile(`\A(?:` + source + `)\z`).MatchString("")
	return &t.pattern, nil
}

// repeated is the first name that stands twice, or "".
func repeated(names []string) string {
	for i, name := range names {
		if name != "" && slices.Contains(names[:i], name) {
			return name
		}
	}
	return ""
}

func (t *translator) next() error {
	c := t.in[t.i]
	switch c {
	case '\\':
		return t.escape()
	case '[':
		return t.class()
	case '(':
		return t.group()
	case '^':
		t.anchored = true
	case '$':
		if !t.multiline {
			t.dollar = true
			t.out.WriteString(`\z`)
			t.i++
			return nil
		}
	case '{':
		// In Python {,3} is {0,3}; here it would be a text.
		if strings.HasPrefix(t.in[t.i:], "{,") {
			t.out.WriteString("{0")
			t.i++
			return nil
		}
	}
	t.out.WriteByte(c)
	t.i++
	return nil
}

// lookarounds are the groups that the engine has no counterpart for.
var lookarounds = map[string]string{
	"(?=": "a lookahead", "(?!": "a lookahead", "(?<=": "a lookbehind", "(?<!": "a lookbehind",
	"(?P=": "a reference to a group", "(?(": "a conditional group", "(?>": "an atomic group",
}

func (t *translator) group() error {
	rest := t.in[t.i:]
	for _, begin := range sortedKeys(lookarounds) {
		if strings.HasPrefix(rest, begin) {
			return fmt.Errorf("%s, %q, is not supported", lookarounds[begin], begin)
		}
	}
	if strings.HasPrefix(rest, "(?") {
		if end := strings.IndexAny(rest, "):"); end > 0 && strings.ContainsAny(rest[2:end], "mx") && !strings.HasPrefix(rest, "(?P<") {
			return fmt.Errorf("the flags %q are not supported inside a pattern; give multiline=True", rest[:end])
		}
	}
	t.out.WriteByte('(')
	t.i++
	return nil
}

var errOpenEscape = errors.New(`it ends with a single backslash`)

// escape translates a backslash outside of square brackets.
func (t *translator) escape() error {
	if t.i+1 == len(t.in) {
		return errOpenEscape
	}
	c := t.in[t.i+1]
	switch {
	case '1' <= c && c <= '9':
		return fmt.Errorf("a reference to a group, %q, is not supported", t.in[t.i:t.i+2])
	case c == 'b' || c == 'B':
		t.boundary, t.anchored = true, true
	case c == 'A':
		t.anchored = true
	case c == 'Z':
		t.out.WriteString(`\z`)
		t.i += 2
		return nil
	case c == 'W':
		t.out.WriteString("[^" + wordClass + "]")
		t.i += 2
		return nil
	}
	if class, ok := classes[c]; ok {
		t.out.WriteString("[" + class + "]")
		t.i += 2
		return nil
	}
	return t.character()
}

// character copies an escape that stands for one character.
func (t *translator) character() error {
	c := t.in[t.i+1]
	if n, ok := codeDigits[c]; ok && c != 'x' {
		end := t.i + 2 + n
		if end > len(t.in) {
			return fmt.Errorf("%q is incomplete", t.in[t.i:])
		}
		t.out.WriteString(`\x{` + t.in[t.i+2:end] + "}")
		t.i = end
		return nil
	}
	if c >= 0x80 || strings.IndexByte("\"' ~#&=<>@!%,:;/`-_\n\t", c) >= 0 {
		t.out.WriteString(regexp.QuoteMeta(t.in[t.i+1 : t.i+2]))
	} else {
		t.out.WriteString(t.in[t.i : t.i+2])
	}
	t.i += 2
	return nil
}

// class translates what stands in square brackets.
func (t *translator) class() error {
	begin := t.i
	t.i++
	negated := strings.HasPrefix(t.in[t.i:], "^")
	if negated {
		t.i++
	}
	outside := t.out.String()
	t.out.Reset()
	notWord := false
	for first := true; ; first = false {
		if t.i >= len(t.in) {
			return fmt.Errorf("%q is never closed", t.in[begin:])
		}
		c := t.in[t.i]
		if c == ']' && !first {
			break
		}
		switch {
		case strings.HasPrefix(t.in[t.i:], `\W`):
			notWord = true
			t.i += 2
		case c == '\\':
			if err := t.classEscape(); err != nil {
				return err
			}
		default:
			if c == '[' || c == ']' {
				t.out.WriteByte('\\')
			}
			t.out.WriteByte(c)
			t.i++
		}
	}
	t.i++
	inside := t.out.String()
	t.out.Reset()
	t.out.WriteString(outside)
	return t.closeClass(negated, notWord, inside)
}

func (t *translator) closeClass(negated, notWord bool, inside string) error {
	switch {
	case notWord && negated:
		return errors.New(`"\W" in a negated class is not supported; name the characters`)
	case notWord && inside == "":
		t.out.WriteString("[^" + wordClass + "]")
	case notWord:
		t.out.WriteString("(?:[^" + wordClass + "]|[" + inside + "])")
	case negated:
		t.out.WriteString("[^" + inside + "]")
	default:
		t.out.WriteString("[" + inside + "]")
	}
	return nil
}

func (t *translator) classEscape() error {
	if t.i+1 == len(t.in) {
		return errOpenEscape
	}
	c := t.in[t.i+1]
	if class, ok := classes[c]; ok {
		t.out.WriteString(class)
		t.i += 2
		return nil
	}
	if c == 'b' {
		t.out.WriteString(`\x08`)
		t.i += 2
		return nil
	}
	return t.character()
}
