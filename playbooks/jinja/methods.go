package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// methodOf finds a method of a value. The methods of Python that are not here
// are no attributes either, so that their use is an error.
func methodOf(v Value, name string) (Value, bool) {
	fn, ok := methods[v.typeName()][name]
	if !ok {
		return nil, false
	}
	return &method{v, name, fn}, true
}

func stripping(cut func(s, chars string) string, blank func(string, func(rune) bool) string) *builtin {
	return define("chars", func(a *args) (Value, error) {
		if a.given("chars") {
			return str(cut(a.input(), a.text("chars", ""))), nil
		}
		return str(blank(a.input(), unicode.IsSpace)), nil
	})
}

func padding(side int) *builtin {
	return define("width! fillchar", func(a *args) (Value, error) {
		fill := a.text("fillchar", " ")
		if utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("the fill must be one character")
		}
		c, _ := utf8.DecodeRuneInString(fill)
		return padded(a, a.input(), a.int("width", 0), c, side)
	})
}

// every is a test that all characters of a text pass, of which there is one.
func every(f func(rune) bool) *builtin {
	return define("", func(a *args) (Value, error) {
		s := a.input()
		return Bool(s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0), nil
	})
}

func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

func textMethods() builtins {
	return builtins{
		"upper":      onText(upper),
		"lower":      onText(strings.ToLower),
		"casefold":   onText(strings.ToLower),
		"capitalize": onText(capitalize),
		"title":      onText(titleLetters),
		"swapcase":   onText(swapCase),
		"strip":      stripping(strings.Trim, strings.TrimFunc),
		"lstrip":     stripping(strings.TrimLeft, strings.TrimLeftFunc),
		"rstrip":     stripping(strings.TrimRight, strings.TrimRightFunc),
		"center":     padding(0),
		"ljust":      padding(-1),
		"rjust":      padding(1),
		"zfill":      define("width!", zeroFill),
		"replace":    define("old! new! count", replaceText),
		"split":      define("sep maxsplit", func(a *args) (Value, error) { return splitText(a, a.input()) }),
		"rsplit":     define("sep maxsplit", splitRight),
		"splitlines": define("keepends", func(a *args) (Value, error) {
			return texts(splitLines(a.input(), a.flag("keepends", false))), nil
		}),
		"partition":    define("sep!", func(a *args) (Value, error) { return partition(a, false) }),
		"rpartition":   define("sep!", func(a *args) (Value, error) { return partition(a, true) }),
		"join":         define("items!", joinMethod),
		"startswith":   define("prefix! start end", func(a *args) (Value, error) { return affix(a, "prefix", strings.HasPrefix) }),
		"endswith":     define("suffix! start end", func(a *args) (Value, error) { return affix(a, "suffix", strings.HasSuffix) }),
		"removeprefix": define("prefix!", func(a *args) (Value, error) { return str(strings.TrimPrefix(a.input(), a.text("prefix", ""))), nil }),
		"removesuffix": define("suffix!", func(a *args) (Value, error) { return str(strings.TrimSuffix(a.input(), a.text("suffix", ""))), nil }),
		"find":         define("sub!", func(a *args) (Value, error) { return position(a, strings.Index, false) }),
		"rfind":        define("sub!", func(a *args) (Value, error) { return position(a, strings.LastIndex, false) }),
		"index":        define("sub!", func(a *args) (Value, error) { return position(a, strings.Index, true) }),
		"rindex":       define("sub!", func(a *args) (Value, error) { return position(a, strings.LastIndex, true) }),
		"count":        define("sub!", func(a *args) (Value, error) { return integer(strings.Count(a.input(), a.text("sub", ""))), nil }),
		"format":       define("*values **", formatMethod),
		"isdigit":      every(unicode.IsDigit),
		"isdecimal":    every(unicode.IsDigit),
		"isnumeric":    every(unicode.IsNumber),
		"isalpha":      every(unicode.IsLetter),
		"isalnum":      every(isAlnum),
		"isspace":      every(unicode.IsSpace),
		"isascii":      define("", func(a *args) (Value, error) { return Bool(isASCII(a.input())), nil }),
		"isupper":      define("", func(a *args) (Value, error) { return Bool(hasCase(a.input(), unicode.IsUpper)), nil }),
		"islower":      define("", func(a *args) (Value, error) { return Bool(hasCase(a.input(), unicode.IsLower)), nil }),
	}
}

// titleLetters is Python's own title(): a letter after no letter is a capital.
func titleLetters(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		was := inWord
		inWord = unicode.IsLetter(c)
		if was {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

func zeroFill(a *args) (Value, error) {
	s, sign := a.input(), ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		s, sign = s[1:], s[:1]
	}
	v, err := padded(a, s, a.int("width", 0)-len(sign), '0', 1)
	if err != nil {
		return nil, err
	}
	return str(sign + Text(v)), nil
}

func splitRight(a *args) (Value, error) {
	most := a.int("maxsplit", -1)
	if most < 0 {
		return splitText(a, a.input())
	}
	s, sep := a.input(), a.text("sep", "")
	if !a.given("sep") {
		return texts(splitBlanksRight(s, most)), nil
	}
	if sep == "" {
		return nil, errors.New("the separator is empty")
	}
	var out []string
	for i := strings.LastIndex(s, sep); i >= 0 && len(out) < most; i = strings.LastIndex(s, sep) {
		out = append(out, s[i+len(sep):])
		s = s[:i]
	}
	out = append(out, s)
	slices.Reverse(out)
	return texts(out), nil
}

func splitBlanksRight(s string, most int) []string {
	var out []string
	for s = strings.TrimRightFunc(s, unicode.IsSpace); s != ""; s = strings.TrimRightFunc(s, unicode.IsSpace) {
		at := strings.LastIndexFunc(s, unicode.IsSpace)
		if len(out) == most || at < 0 {
			out = append(out, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		out = append(out, s[at+n:])
		s = s[:at]
	}
	slices.Reverse(out)
	return out
}

// splitLines cuts at line ends of any kind; the last line end begins no line.
func splitLines(s string, keepEnds bool) []string {
	var out []string
	for s != "" {
		i := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keepEnds {
			out = append(out, s[:i+n])
		} else {
			out = append(out, s[:i])
		}
		s = s[i+n:]
	}
	return out
}

// partition cuts at the first separator or at the last one.
func partition(a *args, atLast bool) (Value, error) {
	s, sep := a.input(), a.text("sep", "")
	if sep == "" {
		return nil, errors.New("the separator is empty")
	}
	i := strings.Index(s, sep)
	if atLast {
		i = strings.LastIndex(s, sep)
	}
	switch {
	case i >= 0:
		return newTuple(str(s[:i]), str(sep), str(s[i+len(sep):])), nil
	case atLast:
		return newTuple(str(""), str(""), str(s)), nil
	}
	return newTuple(str(s), str(""), str("")), nil
}

func joinMethod(a *args) (Value, error) {
	var parts []string
	size := 0
	for _, item := range a.list("items") {
		s, ok := item.(Str)
		if !ok {
			return nil, fmt.Errorf("wants texts, not %s; the filter join takes any", kindOf(item))
		}
		parts = append(parts, s.text)
		size += len(s.text) + len(a.input())
	}
	if err := a.budget.text(size); err != nil {
		return nil, err
	}
	return str(strings.Join(parts, a.input())), nil
}

// affix asks for one of the texts at an end of the input.
func affix(a *args, name string, has func(s, part string) bool) (Value, error) {
	if a.given("start") || a.given("end") {
		return nil, errors.New("start and end are not supported; take a slice first")
	}
	parts := []Value{a.get(name)}
	if t, ok := parts[0].(*Tuple); ok {
		parts = t.Items
	}
	for _, p := range parts {
		s, ok := p.(Str)
		if !ok {
			return nil, fmt.Errorf("wants a str or a tuple of them, not %s", kindOf(p))
		}
		if has(a.input(), s.text) {
			return Bool(true), nil
		}
	}
	return Bool(false), nil
}

func position(a *args, find func(s, sub string) int, must bool) (Value, error) {
	i := find(a.input(), a.text("sub", ""))
	if i < 0 && must {
		return nil, errors.New("the text is not found")
	}
	if i < 0 {
		return integer(-1), nil
	}
	return integer(utf8.RuneCountInString(a.input()[:i])), nil
}
