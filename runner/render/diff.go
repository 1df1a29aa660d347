package render

import (
	"fmt"
	"strings"

	"runbook/modules"
)

const (
	diffContext = 3
	diffLines   = 2000 // more lines between the first and the last difference are not compared one by one: it is quadratic
	briefLines  = 20   // of a diff, where nobody asked for all of it
	briefWidth  = 200  // characters of a line, likewise
)

// unified prints two contents as a unified diff: the beginning of it, or all
// with -D.
func (t *Terminal) unified(d modules.Diff) {
	all, ok := compare(split(d.Have), split(d.Want))
	if !ok {
		t.printf(plain, "    %s -> %s, too many to compare", plural(len(split(d.Have)), "line"), plural(len(split(d.Want)), "line"))
		return
	}
	t.printf(red, "  --- before: %s", d.What)
	t.printf(green, "  +++ after: %s", d.What)
	shown := hunks(all)
	more := 0
	if !t.o.Diff && len(shown) > briefLines+1 { // a line that says "1 more" is no shorter
		more = len(shown) - briefLines
		shown = shown[:briefLines]
	}
	for _, e := range shown {
		text := strings.ReplaceAll(t.brief(e.text), "\n", "\n  ")
		switch e.op {
		case '-':
			t.printf(red, "  -%s", text)
		case '+':
			t.printf(green, "  +%s", text)
		case '@':
			t.printf(cyan, "  %s", text)
		default:
			t.printf(plain, "   %s", text)
		}
	}
	if more > 0 {
		t.printf(plain, "  ... %d more lines (-D shows all)", more)
	}
}

// brief is as much of a line as a screen can bear, or all with -D.
func (t *Terminal) brief(line string) string {
	runes := []rune(line)
	if t.o.Diff || len(runes) <= 2*briefWidth {
		return line
	}
	return fmt.Sprintf("%s... %d more characters (-D shows all)", string(runes[:briefWidth]), len(runes)-briefWidth)
}

// split cuts a text into its lines. A last line without an end says so, as it
// differs from the same line with one.
func split(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !strings.HasSuffix(text, "\n") {
		lines[len(lines)-1] += noNewline
	}
	return lines
}

const noNewline = "\n\\ No newline at the end"

type edit struct {
	op   byte // ' ', '-', '+'; '@' opens a hunk
	text string
}

// compare turns a into b, or says that there is too much between them.
func compare(a, b []string) ([]edit, bool) {
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	tail := 0
	for tail < min(len(a), len(b))-same && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	if max(len(a), len(b))-same-tail > diffLines {
		return nil, false
	}
	var out []edit
	for _, line := range a[:same] {
		out = append(out, edit{' ', line})
	}
	out = append(out, edits(a[same:len(a)-tail], b[same:len(b)-tail])...)
	for _, line := range a[len(a)-tail:] {
		out = append(out, edit{' ', line})
	}
	return out, true
}

// edits turns a into b by the longest common subsequence.
func edits(a, b []string) []edit {
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || (i < len(a) && common[i+1][j] >= common[i][j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}

// hunks keeps the changes with a few lines around them.
func hunks(all []edit) []edit {
	near := make([]bool, len(all))
	for i, e := range all {
		if e.op == ' ' {
			continue
		}
		for k := max(0, i-diffContext); k <= min(len(all)-1, i+diffContext); k++ {
			near[k] = true
		}
	}
	var out []edit
	oldLine, newLine := 1, 1
	for i, e := range all {
		if near[i] && (i == 0 || !near[i-1]) {
			out = append(out, edit{'@', fmt.Sprintf("@@ -%d +%d @@", oldLine, newLine)})
		}
		if near[i] {
			out = append(out, e)
		}
		if e.op != '+' {
			oldLine++
		}
		if e.op != '-' {
			newLine++
		}
	}
	return out
}
