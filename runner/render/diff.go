package render

import (
	"fmt"
	"strings"

	"runbook/modules"
)

const (
	diffContext = 3
	diffLines   = 2000 // longer texts are not compared line by line: it is quadratic
)

// unified prints two contents as a unified diff.
func (t *Terminal) unified(d modules.Diff) {
	a, b := split(d.Have), split(d.Want)
	if len(a) > diffLines || len(b) > diffLines {
		t.printf(plain, "    %d lines -> %d lines, too many to compare", len(a), len(b))
		return
	}
	t.printf(red, "  --- before: %s", d.What)
	t.printf(green, "  +++ after: %s", d.What)
	for _, e := range hunks(edits(a, b)) {
		switch e.op {
		case '-':
			t.printf(red, "  -%s", e.text)
		case '+':
			t.printf(green, "  +%s", e.text)
		case '@':
			t.printf(cyan, "  %s", e.text)
		default:
			t.printf(plain, "   %s", e.text)
		}
	}
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

type edit struct {
	op   byte // ' ', '-', '+'; '@' opens a hunk
	text string
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
