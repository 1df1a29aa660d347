package modules

import (
	"errors"
	"regexp"
	"strings"
)

// SplitWords splits text into words as a POSIX shell does with quotes and
// backslashes, and as nothing else: no variables, no operators, no comments.
func SplitWords(text string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune // the quote that is open, or 0
		escape bool // the rune before was a backslash
	)
	for _, r := range text {
		switch {
		case escape:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escape = false
		case r == '\\' && quote != '\'':
			escape, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	switch {
	case quote != 0:
		return nil, errors.New("the quote " + string(quote) + " is never closed")
	case escape:
		return nil, errors.New("nothing follows the last backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

var (
	homeOf   = regexp.MustCompile(`^~[A-Za-z0-9_.-]*(/|$)`)
	variable = regexp.MustCompile(`\$(?:[A-Za-z_][A-Za-z0-9_]*\b|\{[A-Za-z_][A-Za-z0-9_]*\})`)
	bracket  = regexp.MustCompile(`^\[[!^]?[A-Za-z0-9_.-]+\]`)
)

// expands says whether the target has to complete a word: a home directory at
// its start, or a variable in it.
func expands(word string) bool { return homeOf.MatchString(word) || variable.MatchString(word) }

// shellWord is shell text for one word in which only home directories and
// variables have a meaning. A variable that the target does not have stays as
// it is written, and no value is split or read as shell text.
func shellWord(word string) string { return assemble(word, Quote) }

func shellWords(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return quoted
}

// shellPattern is shellWord with the wildcards *, ? and [abc] left alive.
func shellPattern(word string) string { return assemble(word, quoteAroundWildcards) }

func assemble(word string, literal func(string) string) string {
	var b strings.Builder
	if home := homeOf.FindString(word); home != "" {
		b.WriteString(home)
		word = word[len(home):]
		if word == "" {
			return b.String()
		}
	}
	rest := word
	for {
		at := variable.FindStringIndex(rest)
		if at == nil {
			break
		}
		if at[0] > 0 {
			b.WriteString(literal(rest[:at[0]]))
		}
		b.WriteString(variableOrItself(rest[at[0]:at[1]]))
		rest = rest[at[1]:]
	}
	if rest != "" || word == "" {
		b.WriteString(literal(rest))
	}
	return b.String()
}

// variableOrItself turns $NAME into "${NAME-\$NAME}": the value, or the text.
func variableOrItself(ref string) string {
	name := strings.Trim(ref, "${}")
	return `"${` + name + `-\` + strings.ReplaceAll(ref, "}", `\}`) + `}"`
}

func quoteAroundWildcards(text string) string {
	var b strings.Builder
	plain := 0 // where the text that is not yet written begins
	flush := func(end int) {
		if end > plain {
			b.WriteString(Quote(text[plain:end]))
		}
	}
	for i := 0; i < len(text); {
		n := 0 // length of the wildcard here
		switch text[i] {
		case '*', '?':
			n = 1
		case '[':
			n = len(bracket.FindString(text[i:]))
		}
		if n == 0 {
			i++
			continue
		}
		flush(i)
		b.WriteString(text[i : i+n])
		i += n
		plain = i
	}
	flush(len(text))
	return b.String()
}
