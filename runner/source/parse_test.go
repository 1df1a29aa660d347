package source_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"runbook/runner/source"
)

func parse(t *testing.T, text string) (*source.File, *yaml.Node) {
	t.Helper()
	f := &source.File{Name: "x.yml", Data: []byte(text)}
	n, errs := source.Parse(f)
	require.NoError(t, errs.Err())
	return f, n
}

func TestParseFindsMistakes(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"duplicate key":         {"a: 1\nb: 2\na: 3\n", `x.yml:3:1: key "a" stands here twice; the first is at x.yml:1:1`},
		"tab":                   {"a:\n\tb: 1\n", `x.yml:2:1: not YAML: found character that cannot start any token; indent with spaces, not with tabs`},
		"unclosed list":         {"a: [1, 2\n", `x.yml:1:4: not YAML: did not find expected ',' or ']'; close it with ]`},
		"unclosed list later":   {"a: [1]\nb: 2\nc: [1, 2\nd: 3\n", `x.yml:3:4: not YAML: did not find expected ',' or ']'; close it with ]`},
		"bad indent":            {"a:\n  b: 1\n   c: 2\n", `x.yml:3:5: not YAML: mapping values are not allowed in this context; quote the value if ": " is part of it, or look at the indentation`},
		"indent too small":      {"a:\n   b: 1\n  c: 2\n", `x.yml:3:3: not YAML: did not find expected key; look at the indentation of this line and the one above`},
		"two colons":            {"msg: foo: bar\n", `x.yml:1:9: not YAML: mapping values are not allowed in this context; quote the value if ": " is part of it, or look at the indentation`},
		"two colons further on": {"a: 1\nb: 2\nmsg: foo: bar\n", `x.yml:3:9: not YAML: mapping values are not allowed in this context; quote the value if ": " is part of it, or look at the indentation`},
		"unquoted template":     {"a: 1\nb: {{ x }}\n", `x.yml:2:4: a value that starts with {{ must be quoted; write "{{ ... }}"`},
		"template with text":    {"b: {{ x }} foo\n", `x.yml:1:1: not YAML: did not find expected key; quote the whole value: "{{ ... }}"`},
		"open quote":            {"a: 1\nb: \"foo\nc: 1\n", `x.yml:2:4: not YAML: found unexpected end of stream; close the quote`},
		"unknown anchor":        {"a: 1\nb: *nope\n", `x.yml:2:8: not YAML: unknown anchor 'nope' referenced`},
		"alias to itself":       {"a: &x [*x]\n", `x.yml:1:8: alias "x" is part of what it stands for`},
		"two documents":         {"a: 1\n---\nb: 1\n", `x.yml:3:1: one document per file, found a second one; remove the "---" line or use two files`},
		"foreign tag":           {"a: !ruby/object x\n", `x.yml:1:4: unknown tag "!ruby/object"`},
		"vault":                 {"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n", `x.yml:1:4: tag "!vault" is not supported yet`},
		"key that is a list":    {"? [a]\n: 1\n", `x.yml:1:3: a key must be text, found a list`},
		"not UTF-8":             {"a: 1\nb: \xff\n", `x.yml:2:4: byte 0xff is not UTF-8; save the file as UTF-8`},
		"NUL":                   {"a: \x00\n", `x.yml:1:4: control character 0x00 is not allowed; write it as \x00 in double quotes`},
		"merge of a text":       {"a:\n  <<: x\n", `x.yml:2:7: the merge key wants a mapping or a list of mappings, found text`},
		"two mistakes":          {"a: {b: 1, b: 2}\nc: !x 1\n", "x.yml:1:11: key \"b\" stands here twice; the first is at x.yml:1:5\nx.yml:2:4: unknown tag \"!x\""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := source.Parse(&source.File{Name: "x.yml", Data: []byte(tt.text)})
			require.Error(t, errs.Err())
			assert.Equal(t, tt.want, errs.Error())
		})
	}
}

func TestParseBoundsWhatAFileAsksFor(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := '1'; i <= '9'; i++ {
		bomb += strings.ReplaceAll("aN: &aN [*aM, *aM, *aM, *aM, *aM, *aM, *aM, *aM, *aM]\n", "N", string(i))
		bomb = strings.ReplaceAll(bomb, "M", string(i-1))
	}
	tests := map[string]struct{ text, want string }{
		"alias bomb": {bomb, "aliases stand for more than 10000 values"},
		"depth":      {strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 deep"},
		"size":       {strings.Repeat("# comment\n", source.MaxSize/10+1), "the file is bigger than 4194304 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := source.Parse(&source.File{Name: "x.yml", Data: []byte(tt.text)})
			require.Len(t, errs, 1)
			assert.Contains(t, errs[0].Msg, tt.want)
		})
	}
}

func TestParsePutsAliasesAndMergesInPlace(t *testing.T) {
	_, n := parse(t, `
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
same: *base
one: {<<: *base, b: 9}
two:
  <<: [*more, *base]
`)
	assert.Equal(t, map[string]any{
		"base": map[string]any{"a": int64(1), "b": int64(2)},
		"more": map[string]any{"b": int64(3), "c": int64(4)},
		"same": map[string]any{"a": int64(1), "b": int64(2)},
		"one":  map[string]any{"a": int64(1), "b": int64(9)},
		"two":  map[string]any{"a": int64(1), "b": int64(3), "c": int64(4)},
	}, source.Value(n))
}

func TestEmptyDocumentIsNull(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n"} {
		_, n := parse(t, text)
		assert.Nil(t, source.Value(n), "%q", text)
	}
}

func TestScalarsAreThoseOfYAML11(t *testing.T) {
	_, n := parse(t, `
- [yes, No, on, OFF, "yes", y]
- [0644, 0x1F, 0b101, 1_000, 08, 1:30, 0o644, 99999999999999999999]
- [1.5, 1., .5, 1e3, 1.0e+3, 1.2.3]
- [~, null, "", 'null', Null]
- [2020-01-01, !!str 5, !!int "7", !!float 3]
`)
	got := source.Value(n).([]any)
	assert.Equal(t, []any{true, false, true, false, "yes", "y"}, got[0])
	assert.Equal(t, []any{int64(420), int64(31), int64(5), int64(1000), "08", int64(90), "0o644"}, got[1].([]any)[:7])
	assert.EqualValues(t, "99999999999999999999", got[1].([]any)[7].(interface{ String() string }).String())
	assert.Equal(t, []any{1.5, 1.0, 0.5, "1e3", 1000.0, "1.2.3"}, got[2])
	assert.Equal(t, []any{nil, nil, "", "null", nil}, got[3])
	assert.Equal(t, []any{"2020-01-01", "5", int64(7), 3.0}, got[4])
}

func TestTextStartsBehindQuotesTagsAndBlockMarks(t *testing.T) {
	f, n := parse(t, "plain: text\nquoted: \"text\"\ntagged: !!str 'text'\nblock: |\n\n    text\n")
	want := []string{"x.yml:1:8", "x.yml:2:10", "x.yml:3:16", "x.yml:6:5"}
	var got []string
	for _, value := range source.Pairs(n) {
		got = append(got, f.Text(value).String())
	}
	assert.Equal(t, want, got)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x [*x]", "- {{ x }}", "a: |\n  b\n", "<<: {a: 1}", "? {a: b}\n: c", "a: [1,", "\ta: 1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &source.File{Name: "x.yml", Data: data}
		n, errs := source.Parse(file)
		if len(errs) > 0 {
			require.NoError(t, errs.Print(new(strings.Builder)))
			for _, e := range errs {
				require.Positive(t, e.Pos.Line)
			}
			return
		}
		source.Value(n)
		inside(file, n)
		var v struct {
			Name string   `arg:"name,required"`
			List []string `arg:"list"`
		}
		file.Vet(n, &v)
		file.Decode(n, &v)
	})
}

// inside asks for the place of every character of every text.
func inside(f *source.File, n *yaml.Node) {
	for i := range n.Value {
		f.Inside(n, i)
	}
	for _, item := range n.Content {
		inside(f, item)
	}
}
