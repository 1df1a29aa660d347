package source

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// Print writes every mistake with the line it is in and a caret below it.
func (e Errors) Print(w io.Writer) error {
	for _, mistake := range e.Sorted() {
		if _, err := io.WriteString(w, mistake.Error()+"\n"+mistake.snippet()); err != nil {
			return err
		}
	}
	return nil
}

// longest is how many characters of a line are shown: beyond it a snippet hides
// the message instead of explaining it.
const longest = 160

// snippet is the line of the mistake with a caret; empty where there is no line.
func (e *Error) snippet() string {
	if e.Pos.File == nil || e.Pos.Line < 1 {
		return ""
	}
	line := []rune(printable(e.Pos.File.line(e.Pos.Line)))
	col := e.Pos.Col - 1
	if len(line) == 0 || len(line) > longest || col < 0 || col > len(line) {
		return ""
	}
	length := min(max(e.Len, 1), max(len(line)-col, 1))
	number := strconv.Itoa(e.Pos.Line)
	margin := strings.Repeat(" ", len(number)) + " |"

	var under strings.Builder
	for _, r := range line[:col] {
		if r == '\t' {
			under.WriteByte('\t')
			continue
		}
		under.WriteString(strings.Repeat(" ", width(r)))
	}
	under.WriteByte('^')
	columns := 0
	for _, r := range line[col:min(col+length, len(line))] {
		columns += width(r)
	}
	under.WriteString(strings.Repeat("~", max(columns-1, 0)))
	return fmt.Sprintf("%s\n%s | %s\n%s %s\n", margin, number, string(line), margin, under.String())
}

// printable replaces what a terminal would obey instead of showing.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// width is how many columns a terminal gives to a character.
func width(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0xFF01 && r <= 0xFF60, r >= 0x1F300 && r <= 0x1FAFF:
		return 2
	}
	return 1
}
