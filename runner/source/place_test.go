package source_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"runbook/runner/source"
)

func TestInsideFindsTheWordHoweverTheTextIsWritten(t *testing.T) {
	tests := map[string]string{
		"plain":                     "a: one TWO three\n",
		"single quotes":             "a: 'it''s ''one'' TWO'\n",
		"double quotes":             `a: "\"one\"\n\tTWO"` + "\n",
		"plain over lines":          "a: one\n   and\n   TWO three\n",
		"plain, first on its line":  "a:\n  one\n  TWO\n",
		"literal":                   "a: |\n  one\n    x\n\n  and TWO\n  three\n",
		"folded":                    "a: >-\n  one\n  and TWO\n  three\n",
		"folded with an empty line": "a: >-\n  one\n\n  and TWO\n",
		"double quotes over lines":  "a: \"one\n   and TWO\"\n",
		"tagged":                    "a: !!str \"one TWO\"\n",
		"first":                     "a: TWO\n",
		"first of folded":           "a: >\n   TWO\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			f, n := parse(t, text)
			value := n.Content[1]
			before := text[:strings.Index(text, "TWO")]
			line := 1 + strings.Count(before, "\n")
			col := len(before) - strings.LastIndex(before, "\n")
			assert.Equal(t, f.At(line, col).String(), f.Inside(value, strings.Index(value.Value, "TWO")).String())
		})
	}
}

func TestRelocate(t *testing.T) {
	f, n := parse(t, "a: |\n    one\n    two x\nb: >\n    one\n    two x\nc: x\n")
	literal, folded, plain := n.Content[1], n.Content[3], n.Content[5]

	err := f.Relocate(literal, f.At(3, 5).Errorf(1, "bad"))
	assert.EqualError(t, err, "x.yml:3:9: bad", "the indent is not part of the text")
	err = f.Relocate(folded, f.At(5, 13).Errorf(1, "bad"))
	assert.EqualError(t, err, "x.yml:6:9: bad", "the text has one line, the file has two")
	err = f.Relocate(plain, f.At(7, 4).Errorf(1, "bad"))
	assert.EqualError(t, err, "x.yml:7:4: bad")

	other := &source.File{Name: "y.yml"}
	for _, elsewhere := range []*source.Error{other.At(7, 4).Errorf(1, "bad"), f.At(9, 1).Errorf(1, "bad"), f.At(7, 90).Errorf(1, "bad")} {
		assert.Same(t, elsewhere, f.Relocate(plain, elsewhere), "it is about another text")
	}
}
