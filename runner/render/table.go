package render

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// column is one of a table's. Where the terminal is too narrow, those that may
// shrink are cut, and if that is not enough the spare ones are left out, 1
// first. Nothing is cut in a pipe.
type column struct {
	head    string
	right   bool
	shrinks bool
	spare   int
}

type row struct {
	cells []string
	tone  color
	below func() // prints what belongs to the row; may be nil
}

const (
	gap       = 2 // between two columns
	narrowest = 8 // that a column shrinks to
)

// table prints rows under their heads, each column as wide as it must be. With
// limit zero there is no terminal to be too narrow.
func (t *Terminal) table(limit int, columns []column, rows []row) {
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	lines := [][]string{heads}
	for _, r := range rows {
		line := make([]string, len(columns))
		for i, cell := range r.cells {
			line[i] = clean(oneLine(cell))
		}
		lines = append(lines, line)
	}
	columns, lines = fit(limit, columns, lines)
	widths, _ := measure(limit, columns, lines)
	if strings.Join(heads, "") != "" {
		t.printf(plain, "%s", aligned(columns, widths, lines[0]))
	}
	for i, r := range rows {
		t.printf(r.tone, "%s", aligned(columns, widths, lines[i+1]))
		if r.below != nil {
			r.below()
		}
	}
}

// fit leaves spare columns out until the rest has room, or none is spare.
func fit(limit int, columns []column, lines [][]string) ([]column, [][]string) {
	for spare := 1; spare <= len(columns); spare++ {
		if _, ok := measure(limit, columns, lines); ok {
			break
		}
		out := slices.IndexFunc(columns, func(c column) bool { return c.spare == spare })
		if out < 0 {
			break
		}
		columns = slices.Delete(slices.Clone(columns), out, out+1)
		for i := range lines {
			lines[i] = slices.Delete(slices.Clone(lines[i]), out, out+1)
		}
	}
	return columns, lines
}

// measure is how wide the columns are to be, and whether that is within limit:
// the widest that may shrink gives way, again and again, until all have room or
// none can give any more.
func measure(limit int, columns []column, lines [][]string) ([]int, bool) {
	widths := make([]int, len(columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if limit <= 0 {
		return widths, true
	}
	sum := gap * (len(columns) - 1)
	for _, w := range widths {
		sum += w
	}
	for ; sum > limit; sum-- {
		widest := -1
		for i, c := range columns {
			if c.shrinks && widths[i] > narrowest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

func aligned(columns []column, widths []int, cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		cell = cut(cell, widths[i])
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		if columns[i].right {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// cut is text no longer than width, with dots where something is missing.
func cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-3]) + "..."
}
