package source

import (
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// fromParser are the messages whose line the YAML library counts from zero.
var fromParser = map[string]bool{
	"did not find expected <document start>": true,
	"did not find expected '-' indicator":    true,
	"did not find expected key":              true,
	"did not find expected node content":     true,
	"did not find expected ',' or ']'":       true,
	"did not find expected ',' or '}'":       true,
}

// unclosed are the messages about something that was opened and not closed: the
// library knows where it was opened, and that is what people look for.
var unclosed = map[string]string{
	"did not find expected ',' or ']'":                             "close it with ]",
	"did not find expected ',' or '}'":                             "close it with }, or quote the text",
	"found unexpected end of stream":                               "close the quote",
	"found unexpected document indicator":                          "close the quote",
	"did not find expected comment or line break":                  "",
	"could not find expected directive name":                       "",
	"found a tab character where an indentation space is expected": "",
}

// syntaxError says where the mistake is that the YAML library found. The library
// gives no place, or the line above, or the start of what surrounds it. But it
// stops at the first mistake, so the mistake ends where the shortest beginning of
// the file that has it ends.
func (f *File) syntaxError(err error) *Error {
	_, msg := splitMessage(err)
	lines := strings.SplitAfter(string(f.Data), "\n")
	line := min(f.libraryLine(err), len(lines))
	advice, opened := unclosed[msg]
	if !opened {
		line += sort.Search(len(lines)-line, func(k int) bool {
			return fails(strings.Join(lines[:line+k], ""), msg)
		})
	}
	before, text := strings.Join(lines[:line-1], ""), strings.TrimRight(lines[line-1], "\r\n")
	col := len(leading(text)) + 1
	switch {
	case opened && fromParser[msg]:
		col = max(openBracket(text), col)
	case !fromParser[msg]:
		col = min(len([]rune(text)), 1+sort.Search(len([]rune(text)), func(k int) bool {
			head, _ := cut(text, k+2)
			return fails(before+head, msg)
		}))
	}
	return f.At(line, col).Errorf(1, "not YAML: %s", msg).Try("%s", syntaxHint(msg, text, col, advice))
}

// libraryLine is the line that the library means. It gives none for its line
// zero, so it is asked again with an empty line above.
func (f *File) libraryLine(err error) int {
	var n yaml.Node
	if again := yaml.Unmarshal(append([]byte("\n"), f.Data...), &n); again != nil {
		err = again
	}
	line, msg := splitMessage(err)
	if !fromParser[msg] {
		line--
	}
	return max(line, 1)
}

// openBracket is the column of the last bracket that the line leaves open; 0
// where it leaves none.
func openBracket(text string) int {
	var open []int
	var quote rune
	for i, r := range []rune(text) {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			open = append(open, i+1)
		case (r == ']' || r == '}') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

// fails reports whether the text has the mistake that the message describes.
func fails(text, msg string) bool {
	var n yaml.Node
	err := yaml.Unmarshal([]byte(text), &n)
	if err == nil {
		return false
	}
	_, got := splitMessage(err)
	return got == msg
}

func splitMessage(err error) (line int, msg string) {
	msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1]) // the expression matches digits only; a huge number is cut to the file
		msg = msg[len(m[0]):]
	}
	return line, msg
}

func syntaxHint(msg, text string, col int, advice string) string {
	before, rest := cut(text, col)
	switch {
	case strings.HasPrefix(rest, "\t") || strings.Trim(before, " ") == "" && strings.Contains(leading(text), "\t"):
		return "indent with spaces, not with tabs"
	case strings.Contains(text, ": {{") || strings.Contains(text, "- {{"):
		return `quote the whole value: "{{ ... }}"`
	case msg == "mapping values are not allowed in this context":
		return `quote the value if ": " is part of it, or look at the indentation`
	case msg == "found character that cannot start any token":
		return "quote the value"
	case advice != "":
		return advice
	case msg == "did not find expected key" || msg == "did not find expected '-' indicator":
		return "look at the indentation of this line and the one above"
	}
	return ""
}

func cut(text string, col int) (before, rest string) {
	runes := []rune(text)
	at := min(max(col-1, 0), len(runes))
	return string(runes[:at]), string(runes[at:])
}

// leading is the white space that a line starts with.
func leading(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))]
}
