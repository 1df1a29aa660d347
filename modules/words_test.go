package modules

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplitWords(t *testing.T) {
	tests := []struct {
		text string
		want []string
		err  string
	}{
		{text: "", want: nil},
		{text: "  echo\thi \n there ", want: []string{"echo", "hi", "there"}},
		{text: `echo "a b" 'c d'`, want: []string{"echo", "a b", "c d"}},
		{text: `echo a"b c"d''`, want: []string{"echo", "ab cd"}},
		{text: `echo "" ''`, want: []string{"echo", "", ""}},
		{text: `echo a\ b "q\"\\\n" 'x\'`, want: []string{"echo", "a b", `q"\\n`, `x\`}},
		{text: "echo > /tmp/x | cat; $HOME # no", want: []string{"echo", ">", "/tmp/x", "|", "cat;", "$HOME", "#", "no"}},
		{text: "echo 'open", err: "the quote ' is never closed"},
		{text: `echo end\`, err: "nothing follows the last backslash"},
	}
	for _, tt := range tests {
		got, err := SplitWords(tt.text)
		if tt.err != "" {
			assert.EqualError(t, err, tt.err, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		assert.Equal(t, tt.want, got, tt.text)
	}
}

func TestShellWord(t *testing.T) {
	tests := []struct{ word, want string }{
		{"plain", "plain"},
		{"", ""},
		{"a b; rm -rf *", "a b; rm -rf *"},
		{"$GREETING", "it's $(date) *"},
		{"x${GREETING}y", "xit's $(date) *y"},
		{"$NOT_THERE/${NOT_THERE}", "$NOT_THERE/${NOT_THERE}"},
		{"$1 $? ${a:-b} $", "$1 $? ${a:-b} $"},
		{"~root/a b", "/root/a b"},
		{"a~root", "a~root"},
		{"`id`$(id)\\\"'", "`id`$(id)\\\"'"},
	}
	for name, h := range shells(t) {
		for _, tt := range tests {
			out, err := h.Query(context.Background(), Run{
				Shell: "printf %s " + shellWord(tt.word),
				Env:   map[string]string{"GREETING": "it's $(date) *"},
			})
			require.NoError(t, err)
			assert.Equal(t, tt.want, out.Stdout, "%s: %s as %s", name, tt.word, shellWord(tt.word))
		}
	}
}

// A word without a home directory or a variable is never anything but itself.
func TestShellWordIsLiteral(t *testing.T) {
	h := shells(t)["sh"]
	rapid.Check(t, func(r *rapid.T) {
		word := rapid.StringMatching("[ -#%-}é\n]{0,20}").Draw(r, "word")
		out, err := h.Query(context.Background(), Run{Shell: "printf %s " + shellWord(word)})
		require.NoError(r, err)
		require.Equal(r, word, out.Stdout)
	})
}
