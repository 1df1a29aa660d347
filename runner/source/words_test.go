package source_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func TestWords(t *testing.T) {
	tests := map[string][]string{
		"":                         nil,
		"  a  b\tc\n":              {"a", "b", "c"},
		`a='b c' d="e f"`:          {"a=b c", "d=e f"},
		`a\ b \"c`:                 {"a b", `"c`},
		`"a \"b\" \n" '\n'`:        {`a "b" \n`, `\n`},
		"x={{ a b }} y":            {"x={{ a b }}", "y"},
		`x={{ a | default("b") }}`: {`x={{ a | default("b") }}`},
		`"{{ a["b"] }}" c`:         {`{{ a["b"] }}`, "c"},
		"{{ open":                  {"{{", "open"},
		"it''s":                    {"its"},
	}
	for text, want := range tests {
		words, err := source.Words(text)
		require.NoError(t, err, text)
		var got []string
		for _, w := range words {
			got = append(got, w.Text)
			assert.Equal(t, w.Raw, text[w.Start:w.Start+len(w.Raw)], "the raw word stands where it says")
		}
		assert.Equal(t, want, got, "%q", text)
	}
	_, err := source.Words("a 'b")
	assert.EqualError(t, err, "the quote ' at character 3 is not closed")
}
