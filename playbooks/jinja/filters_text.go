package jinja

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// onText is a filter without arguments from a text to a text.
func onText(f func(string) string) *builtin {
	return define("", func(a *args) (Value, error) { return str(f(a.input())), nil })
}

func textFilters() builtins {
	escape := onText(escapeHTML)
	return builtins{
		"upper":       onText(upper),
		"lower":       onText(strings.ToLower),
		"title":       onText(titleWords),
		"capitalize":  onText(capitalize),
		"string":      onText(func(s string) string { return s }),
		"safe":        onText(func(s string) string { return s }),
		"e":           escape,
		"escape":      escape,
		"forceescape": escape,
		"quote":       onText(shellQuote),
		"trim":        define("chars", trim),
		"replace":     define("old! new! count", replaceText),
		"split":       define("sep maxsplit", func(a *args) (Value, error) { return splitText(a, a.input()) }),
		"join":        define("d attribute", joinItems),
		"indent":      define("width first blank", indent),
		"center":      define("width", centerFilter),
		"truncate":    define("length killwords end leeway", truncate),
		"wordcount":   define("", wordCount),
		"format":      define("*values **", formatFilter),
		"comment":     define("style decoration prefix postfix prefix_count postfix_count beginning end newline", comment),
	}
}

// longUpper are the letters whose capital is more than one letter.
var longUpper = strings.NewReplacer("ß", "SS", "ŉ", "ʼN", "ǰ", "J̌", "ﬀ", "FF", "ﬁ", "FI", "ﬂ", "FL", "ﬃ", "FFI", "ﬄ", "FFL",
	"ﬅ", "ST", "ﬆ", "ST")

func upper(s string) string { return strings.ToUpper(longUpper.Replace(s)) }

// escapeHTML writes the quotes as Python's markup library does.
func escapeHTML(s string) string {
	return html.EscapeString(s)
}

var titleWord = regexp.MustCompile(`[^({\[<` + spaceClass + `-]+`)

// titleWords begins every word with a capital; a word ends at a blank, a dash or
// an opening bracket only.
func titleWords(s string) string { return titleWord.ReplaceAllStringFunc(s, capitalize) }

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToTitle(s[:n]) + strings.ToLower(s[n:])
}

var shellSafe = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

func shellQuote(s string) string {
	if shellSafe.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

func trim(a *args) (Value, error) {
	if !a.given("chars") {
		return str(strings.TrimFunc(a.input(), unicode.IsSpace)), nil
	}
	return str(strings.Trim(a.input(), a.text("chars", ""))), nil
}

func replaceText(a *args) (Value, error) {
	s, old, new := a.input(), a.text("old", ""), a.text("new", "")
	n := strings.Count(s, old)
	if count := a.int("count", -1); count >= 0 {
		n = min(n, count)
	}
	if err := a.budget.text(len(s) + n*max(len(new)-len(old), 0)); err != nil {
		return nil, err
	}
	return str(strings.Replace(s, old, new, n)), nil
}

// splitText is the split of Python's texts: without a separator at any blanks.
func splitText(a *args, s string) (Value, error) {
	most := a.int("maxsplit", -1)
	if !a.given("sep") {
		return texts(splitBlanks(s, most)), nil
	}
	sep := a.text("sep", "")
	if sep == "" {
		return nil, fmt.Errorf("the separator is empty")
	}
	if most >= 0 {
		most++
	}
	return texts(strings.SplitN(s, sep, most)), nil
}

// splitBlanks splits at runs of blanks, at most so many times where most is not
// negative; the last part keeps its blanks.
func splitBlanks(s string, most int) []string {
	if most < 0 {
		return strings.Fields(s)
	}
	var out []string
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if len(out) == most || end < 0 {
			return append(out, s)
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}

func texts(items []string) Value {
	out := make([]Value, len(items))
	for i, s := range items {
		out[i] = str(s)
	}
	return newList(out)
}

func joinItems(a *args) (Value, error) {
	sep := a.text("d", "")
	var b strings.Builder
	for i, item := range a.items() {
		item, err := a.byAttribute(item, a.get("attribute"))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(sep)
		}
		text, err := a.renderer.text(item)
		if err == nil {
			err = a.budget.grow(b.Len()+len(text), 0)
		}
		if err != nil {
			return nil, err
		}
		b.WriteString(text)
	}
	return str(b.String()), nil
}

func indent(a *args) (Value, error) {
	margin := ""
	if s, ok := a.get("width").(Str); ok {
		margin = s.text
	} else if margin = blanks(a, a.int("width", 4)); a.err != nil {
		return nil, a.err
	}
	lines := splitLines(a.input()+"\n", false)
	if err := a.budget.text(len(a.input()) + len(lines)*len(margin)); err != nil {
		return nil, err
	}
	for i, line := range lines {
		first := i == 0
		if first && a.flag("first", false) || !first && (line != "" || a.flag("blank", false)) {
			lines[i] = margin + line
		}
	}
	return str(strings.Join(lines, "\n")), nil
}

// blanks is n blanks; a number that is too big is noted as an error.
func blanks(a *args, n int) string {
	if err := a.budget.text(n); err != nil {
		a.note(err)
		return ""
	}
	return strings.Repeat(" ", max(n, 0))
}

func centerFilter(a *args) (Value, error) {
	return padded(a, a.input(), a.int("width", 80), ' ', 0)
}

// padded fills s up to a width: on the right where side is negative, on the
// left where it is positive, else on both.
func padded(a *args, s string, width int, fill rune, side int) (Value, error) {
	n := width - utf8.RuneCountInString(s)
	if n <= 0 || a.err != nil {
		return str(s), a.err
	}
	if err := a.budget.text(len(s) + n*utf8.RuneLen(fill)); err != nil {
		return nil, err
	}
	left := 0
	switch {
	case side > 0:
		left = n
	case side == 0:
		left = n/2 + n&width&1
	}
	f := string(fill)
	return str(strings.Repeat(f, left) + s + strings.Repeat(f, n-left)), nil
}

func truncate(a *args) (Value, error) {
	length, leeway, end := a.int("length", 255), a.int("leeway", 5), a.text("end", "...")
	s, tail := []rune(a.input()), []rune(end)
	if length < len(tail) || leeway < 0 {
		return nil, fmt.Errorf("the length must be at least that of the end, %d, and the leeway not negative", len(tail))
	}
	if len(s) <= length+leeway {
		return str(string(s)), nil
	}
	cut := string(s[:length-len(tail)])
	if !a.flag("killwords", false) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return str(cut + end), nil
}

var word = regexp.MustCompile(`[\p{L}\p{N}_]+`)

func wordCount(a *args) (Value, error) {
	return integer(len(word.FindAllStringIndex(a.input(), -1))), nil
}

func formatFilter(a *args) (Value, error) {
	if a.named.Len() > 0 && len(a.rest) > 0 {
		return nil, fmt.Errorf("takes values with names or without, not both")
	}
	if a.named.Len() > 0 {
		return percentFormat(a.renderer, a.input(), a.named)
	}
	return percentFormat(a.renderer, a.input(), newTuple(a.rest...))
}

// commentStyles are the decoration of a line, and what begins and ends the
// whole comment.
var commentStyles = map[string][3]string{
	"plain":  {"# "},
	"erlang": {"% "},
	"c":      {"// "},
	"cblock": {" * ", "/*", " */"},
	"xml":    {" - ", "<!--", "-->"},
}

func comment(a *args) (Value, error) {
	name := a.text("style", "plain")
	style, ok := commentStyles[name]
	if !ok {
		return nil, fmt.Errorf("there is no style %q; want one of %s", name, strings.Join(sortedKeys(commentStyles), ", "))
	}
	decoration := a.text("decoration", style[0])
	bare := strings.TrimRightFunc(decoration, unicode.IsSpace)
	line := a.text("newline", "\n")
	var lines []string
	if begin := a.text("beginning", style[1]); begin != "" {
		lines = append(lines, begin)
	}
	lines = append(lines, edge(a, "prefix", bare)...)
	for l := range strings.SplitSeq(a.input(), line) {
		lines = append(lines, strings.TrimRightFunc(decoration+l, unicode.IsSpace))
	}
	lines = append(lines, edge(a, "postfix", bare)...)
	if end := a.text("end", style[2]); end != "" {
		lines = append(lines, end)
	}
	return str(strings.Join(lines, line)), nil
}

// edge is the empty comment lines above or below the text.
func edge(a *args, name, bare string) []string {
	n := min(max(a.int(name+"_count", 1), 0), maxDepth)
	out := make([]string, n)
	for i := range out {
		out[i] = a.text(name, bare)
	}
	return out
}
