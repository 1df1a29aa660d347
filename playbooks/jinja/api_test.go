package jinja

import (
	"encoding/json"
	"math"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func TestOneExpressionKeepsItsType(t *testing.T) {
	scope := vars{"n": integer(5), "l": FromGo([]any{1, "a"}), "none": None{}}
	for text, want := range map[string]any{
		"{{ n }}":                    int64(5),
		"{{ n / 2 }}":                2.5,
		"{{ n == 5 }}":               true,
		"{{ l }}":                    []any{int64(1), "a"},
		"{{ none }}":                 nil,
		"{{ {'a': (1, 2)} }}":        map[string]any{"a": []any{int64(1), int64(2)}},
		"{{ 2 ** 64 }}":              new(big.Int).Lsh(big.NewInt(1), 64),
		" {{ n }}":                   " 5",
		"{{ n }}{{ n }}":             "55",
		"{{ '5' }}":                  "5",
		"{{ '[1]' }}":                "[1]",
		"{{ none }}.":                ".",
		"{{ omit }}":                 Omit,
		"{{ nope | default(omit) }}": Omit,
		"plain":                      "plain",
		"":                           "",
		"{# all gone #}":             "",
	} {
		assert.Equal(t, want, ToGo(render(t, text, scope)), text)
	}
}

// In a playbook a backslash inside {{ }} stands for itself, as Ansible has it;
// in a template file Jinja's escapes hold, and in a when too.
func TestBackslashes(t *testing.T) {
	scope := vars{"s": str("a1\nb2")}
	text := `{{ s | regex_replace('(\w)\d', '\1') }}{{ '\n' | length }}{{ 'it\'s' }}{% if '\n' in s %}y{% endif %}`
	assert.Equal(t, "a\nb2it's", Text(render(t, text, scope)))

	template, err := ParseFile(`{{ s | regex_replace('(\\w)\\d', '\\1') }}{{ '\n' | length }}{% if '\n' in s %}y{% endif %}`, source.Pos{})
	require.NoError(t, err)
	v, err := template.Render(scope)
	require.NoError(t, err)
	assert.Equal(t, "a\nb1y", Text(v))

	e, err := ParseExpr(`'\n' in s`, source.Pos{})
	require.NoError(t, err)
	v, err = e.Eval(scope)
	require.NoError(t, err)
	assert.Equal(t, Bool(true), v)
}

func TestNames(t *testing.T) {
	for text, want := range map[string][]string{
		"{{ a + b.c[d] }}{{ range(e) | map(f) }}":                                  {"a", "b", "d", "e", "f"},
		"{% for x in xs if x.y > z %}{{ x }}{{ loop.index }}{% endfor %}{{ x }}":   {"x", "xs", "z"},
		"{% set a = b %}{{ a }}":                                                   {"b"},
		"{% if c %}{% set a = 1 %}{% endif %}{{ a }}":                              {"a", "c"},
		"{% macro m(p, q=r) %}{{ p }}{{ varargs }}{{ s }}{% endmacro %}{{ m(1) }}": {"r", "s"},
		"{% with a = b %}{{ a }}{% endwith %}{{ a }}":                              {"a", "b"},
		"plain": nil,
	} {
		template, err := Parse(text, source.Pos{})
		require.NoError(t, err, text)
		assert.Equal(t, want, template.Names(), text)
	}
	e, err := ParseExpr("ansible_facts.os == 'x' and n is defined", source.Pos{})
	require.NoError(t, err)
	assert.Equal(t, []string{"ansible_facts", "n"}, e.Names())
}

func TestFromGoAndBack(t *testing.T) {
	type name string
	for _, c := range []struct{ in, want any }{
		{nil, nil}, {true, true}, {7, int64(7)}, {uint64(math.MaxUint64), new(big.Int).SetUint64(math.MaxUint64)},
		{int8(-1), int64(-1)}, {float32(0.5), 0.5}, {"x", "x"}, {name("x"), "x"}, {[]string{"a"}, []any{"a"}},
		{map[string]int{"b": 1, "a": 2}, map[string]any{"a": int64(2), "b": int64(1)}}, {(*int)(nil), nil},
		{map[any]any{1: "x"}, map[string]any{"1": "x"}}, {json.Number("1.5"), 1.5}, {json.Number("12345678901234567890"), mustInt("12345678901234567890")},
		{[2]bool{true}, []any{true, false}}, {Omit, Omit}, {[]any{Unknown{"x"}}, []any{Unknown{"x"}}},
	} {
		assert.Equal(t, c.want, ToGo(FromGo(c.in)))
	}
	assert.Equal(t, "{'a': 2, 'b': 1}", Text(FromGo(map[string]any{"b": 1, "a": 2})))
}

func mustInt(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

func TestDictWithARest(t *testing.T) {
	d := &Dict{}
	d.Set("a", Bool(true))
	_, ok := d.Get("b")
	assert.False(t, ok)
	d.Rest = &Unknown{"later"}
	v, ok := d.Get("b")
	assert.True(t, ok)
	assert.Equal(t, Unknown{"later"}, v)
	assert.Same(t, d, ToGo(d))
}

func TestTruth(t *testing.T) {
	for _, v := range []Value{None{}, Bool(false), Int{}, Float(0), str(""), newList(nil), newTuple(), &Dict{}, Undefined{}} {
		truth, known := Truth(v)
		assert.False(t, truth, v.typeName())
		assert.True(t, known, v.typeName())
	}
	for _, v := range []Value{Bool(true), integer(-1), Float(0.1), str("0"), newList([]Value{None{}}), newTuple(None{}), Omit} {
		truth, known := Truth(v)
		assert.True(t, truth && known, v.typeName())
	}
}

func TestFirstLineCanSetHowBlocksAreTrimmed(t *testing.T) {
	assert.Equal(t, "\nx\n\n", Text(render(t, "#jinja2: trim_blocks: False\n{% if true %}\nx\n{% endif %}\n", nil)))
	_, err := Parse("#jinja2: variable_start_string: '[['\n", at(1, 1))
	require.ErrorContains(t, err, "is no setting")
	_, err = Parse("#jinja2: newline_sequence: True\n", at(1, 1))
	require.ErrorContains(t, err, `"newline_sequence" is not supported`)
}

func TestManyRenderAtOnce(t *testing.T) {
	scope := vars{"l": newList([]Value{Trusted("{{ n }}", at(1, 1)), integer(2)}), "n": integer(1)}
	template, err := Parse("{% set _ = l.append(3) %}{{ l | map('string') | join(',') }}{{ 'x1' is match('x[0-9]') }}", at(1, 1))
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			v, err := template.Render(scope)
			assert.NoError(t, err)
			assert.Equal(t, str("1,2,3True"), v)
		})
	}
	group.Wait()
}

func BenchmarkEval(b *testing.B) {
	e, err := ParseExpr("n > 40 and os == 'Debian'", source.Pos{})
	require.NoError(b, err)
	scope := vars{"n": integer(42), "os": str("Debian")}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := e.Eval(scope); err != nil || v != Bool(true) {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseExpr("n > 40 and os == 'Debian'", source.Pos{}); err != nil {
			b.Fatal(err)
		}
	}
}
