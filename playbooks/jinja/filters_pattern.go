package jinja

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func patternFilters() builtins {
	return builtins{
		"regex_replace": define("pattern replacement ignorecase multiline count mandatory_count", regexReplace),
		"regex_search":  define("regex! *groups **", regexSearch),
		"regex_findall": define("regex! multiline ignorecase", regexFindAll),
		"regex_escape":  define("re_type", regexEscape),
	}
}

// compiled is the pattern of the named argument, which fits the text.
func (a *args) compiled(name, text string) (*pattern, error) {
	p, err := compile(a.text(name, ""), a.flagNamed("ignorecase"), a.flagNamed("multiline"))
	if err != nil {
		return nil, err
	}
	return p, p.check(text)
}

func (a *args) flagNamed(name string) bool {
	v := a.get(name)
	if v == nil {
		return false
	}
	truth, _ := Truth(v)
	return truth
}

var errAmbiguous = errors.New("a pattern that can match both nothing and something at the same place is not supported")

// matches is what Python's finditer finds: unlike Go's engine it also finds an
// empty match right behind another one.
func (p *pattern) matches(b *budget, text string, most int) ([][]int, error) {
	if !p.empty || p.anchored {
		found := p.re.FindAllStringSubmatchIndex(text, most)
		if p.empty && p.boundary && slices.ContainsFunc(found, func(m []int) bool { return m[0] < m[1] }) {
			return nil, errAmbiguous
		}
		return found, nil
	}
	var out [][]int
	for at := 0; at <= len(text) && (most < 0 || len(out) < most); {
		// Each search may read all that is left.
		if err := b.spend(1 + (len(text)-at)>>14); err != nil {
			return nil, err
		}
		m := p.re.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		for i := range m {
			if m[i] >= 0 {
				m[i] += at
			}
		}
		out = append(out, m)
		at = m[1]
		if m[0] < m[1] {
			continue
		}
		// Behind an empty match Python looks for one at the same place that is
		// not empty, which this engine cannot do.
		if p.longest.FindString(text[at:]) != "" && p.longest.FindStringIndex(text[at:])[0] == 0 {
			return nil, errAmbiguous
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		at += max(n, 1)
	}
	return out, nil
}

func regexReplace(a *args) (Value, error) {
	text := a.input()
	p, err := a.compiled("pattern", text)
	if err != nil {
		return nil, err
	}
	parts, err := replacement(a.text("replacement", ""), p.re)
	if err != nil {
		return nil, err
	}
	most := a.int("count", 0)
	if most <= 0 {
		most = -1
	}
	var b strings.Builder
	at := 0
	found, err := p.matches(a.budget, text, most)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		b.WriteString(text[at:m[0]])
		for _, part := range parts {
			b.WriteString(part.in(text, m))
		}
		at = m[1]
		if err := a.budget.grow(b.Len(), 0); err != nil {
			return nil, err
		}
	}
	b.WriteString(text[at:])
	if want := a.int("mandatory_count", 0); want > 0 && len(found) != want {
		return nil, fmt.Errorf("replaced %d times, not %d times", len(found), want)
	}
	return str(b.String()), nil
}

// piece is a part of a replacement: a text, or a group of the match.
type piece struct {
	text  string
	group int // where isRef
	isRef bool
}

func (p piece) in(text string, m []int) string {
	if p.isRef {
		return group(text, m, p.group)
	}
	return p.text
}

func group(text string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return text[m[2*n]:m[2*n+1]]
}

var reference = regexp.MustCompile(`\\(?:g<([^>]*)>|([0-9]{1,2})|(.|\n)|$)`)

// replacement reads the text of a replacement: \1, \g<name>, and escapes.
func replacement(text string, re *regexp.Regexp) ([]piece, error) {
	var parts []piece
	at := 0
	for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
		parts = append(parts, piece{text: text[at:m[0]]})
		at = m[1]
		if escaped := group(text, m, 3); escaped != "" || m[6] >= 0 {
			plain, ok := simpleEscapes[escaped[0]]
			letter := 'a' <= escaped[0]|0x20 && escaped[0]|0x20 <= 'z'
			if !ok && letter {
				return nil, fmt.Errorf(`there is no escape "\%s" in a replacement`, escaped)
			}
			if !ok || strings.ContainsAny(escaped, `'"`) {
				plain = `\` + escaped
			}
			parts = append(parts, piece{text: plain})
			continue
		}
		n, err := groupNumber(group(text, m, 1)+group(text, m, 2), re)
		if err != nil {
			return nil, err
		}
		parts = append(parts, piece{group: n, isRef: true})
	}
	return append(parts, piece{text: text[at:]}), nil
}

func groupNumber(name string, re *regexp.Regexp) (int, error) {
	n, err := strconv.Atoi(name)
	if err != nil {
		n = re.SubexpIndex(name)
	}
	if name == "" || n < 0 || n > re.NumSubexp() {
		return 0, fmt.Errorf("the pattern has no group %q", name)
	}
	return n, nil
}

func regexSearch(a *args) (Value, error) {
	text := a.input()
	for _, name := range a.named.textKeys() {
		if name != "ignorecase" && name != "multiline" {
			return nil, fmt.Errorf("there is no argument %q; it takes regex, ignorecase, multiline", name)
		}
	}
	p, err := a.compiled("regex", text)
	if err != nil {
		return nil, err
	}
	var wanted []int
	for _, v := range a.rest {
		m := reference.FindStringSubmatch(Text(v))
		if m == nil || m[1]+m[2] == "" {
			return nil, errors.New(`a group is written as "\\1" or "\\g<name>"`)
		}
		n, err := groupNumber(m[1]+m[2], p.re)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, n)
	}
	m := p.re.FindStringSubmatchIndex(text)
	if m == nil {
		return None{}, nil
	}
	if wanted == nil {
		return str(group(text, m, 0)), nil
	}
	out := make([]Value, len(wanted))
	for i, n := range wanted {
		out[i] = groupOrNone(text, m, n)
	}
	return newList(out), nil
}

func groupOrNone(text string, m []int, n int) Value {
	if m[2*n] < 0 {
		return None{}
	}
	return str(group(text, m, n))
}

func regexFindAll(a *args) (Value, error) {
	text := a.input()
	p, err := a.compiled("regex", text)
	if err != nil {
		return nil, err
	}
	found, err := p.matches(a.budget, text, -1)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(found))
	for i, m := range found {
		switch n := p.re.NumSubexp(); n {
		case 0, 1:
			out[i] = str(group(text, m, n))
		default:
			groups := make([]Value, n)
			for g := range groups {
				groups[g] = str(group(text, m, g+1))
			}
			out[i] = newTuple(groups...)
		}
	}
	return newList(out), nil
}

var (
	special      = regexp.MustCompile("[-\\\\^$.|?*+()\\[\\]{}&~# \t\n\r\v\f]")
	specialBasic = regexp.MustCompile(`[].[^$*\\]`)
)

func regexEscape(a *args) (Value, error) {
	switch kind := a.text("re_type", "python"); kind {
	case "python":
		return str(special.ReplaceAllString(a.input(), `\$0`)), nil
	case "posix_basic":
		return str(specialBasic.ReplaceAllString(a.input(), `\$0`)), nil
	default:
		return nil, fmt.Errorf("there is no re_type %q; want python or posix_basic", kind)
	}
}
