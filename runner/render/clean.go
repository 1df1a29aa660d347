package render

import (
	"fmt"
	"strings"
	"unicode"
)

type color string

const (
	plain   color = ""
	red     color = "\x1b[0;31m"
	green   color = "\x1b[0;32m"
	yellow  color = "\x1b[0;33m"
	blue    color = "\x1b[0;34m"
	magenta color = "\x1b[0;35m"
	cyan    color = "\x1b[0;36m"
	reset         = "\x1b[0m"
)

// clean makes text safe for a terminal: a control character that came from a
// target is shown as its escape and does nothing.
func clean(text string) string {
	if !strings.ContainsFunc(text, controls) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if controls(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// controls are the characters that steer a terminal, and those that reorder
// text so that it reads as something else.
func controls(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

// oneLine is text without line ends and tabs, for a place that has one line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}
