package jinja

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func TestErrorsSayWhereAndWhat(t *testing.T) {
	scope := vars{
		"node":   str("web1"),
		"result": FromGo(map[string]any{"stdout": "x", "rc": 0}),
		"bad":    Trusted("port {{ misspelt }}", source.Pos{File: &source.File{Name: "vars.yml"}, Line: 7, Col: 9}),
		"list":   FromGo([]any{1}),
	}
	for _, c := range []struct{ text, want string }{
		{"{{ nope }}", `site.yml:1:4: "nope" is undefined; did you mean "node"?`},
		{"ab\n  {{ absent }}", `site.yml:2:6: "absent" is undefined`},
		{"é {{ absent }}", `site.yml:1:6: "absent" is undefined`},
		{"{{ result.stdot }}", `site.yml:1:4: "result.stdot" is undefined: there is no such key; did you mean "stdout"?`},
		{"{{ result['stdot'] }}", `site.yml:1:4: "result['stdot']" is undefined: there is no such key; did you mean "stdout"?`},
		{"{{ result.a.b }}", `site.yml:1:4: "result.a.b" is undefined: there is no such key`},
		{"{{ absent.a.b }}", `site.yml:1:4: "absent.a.b" is undefined: there is no "absent"`},
		{"{{ list[3] }}", `site.yml:1:4: "list[3]" is undefined: it has 1 items`},
		{"{{ node.x }}", `site.yml:1:4: "node.x" is undefined: a str has no "x"`},
		{"{{ [] | first }}", `site.yml:1:4: "...|first" is undefined: the list is empty`},
		{"{{ bad }}", `vars.yml:7:17: "misspelt" is undefined`},
		{"{{ bad ~ 'x' }}", `vars.yml:7:17: "misspelt" is undefined`},
		{"{{ [1, [absent]] }}", `site.yml:1:9: "absent" is undefined`},
		{"{{ 1 + 'a' }}", `site.yml:1:4: there is no int + str`},
		{"{{ 1 < 'a' }}", `site.yml:1:4: int and str have no order`},
		{"{{ 1 // 0 }}", `site.yml:1:4: division by zero`},
		{"{{ node() }}", `site.yml:1:4: unknown function "node"`},
		{"{{ rang(3) }}", `site.yml:1:4: unknown function "rang"; did you mean "range"?`},
		{"{{ node | uper }}", `site.yml:1:11: unknown filter "uper"; did you mean "upper"?`},
		{"{{ node | community.general.json_query('x') }}", `site.yml:1:11: the filter "community.general.json_query" is not supported; use map, select and selectattr`},
		{"{{ node is strng }}", `site.yml:1:12: unknown test "strng"; did you mean "string"?`},
		{"{{ [1] | map('nofilter') }}", `site.yml:1:4: filter map: unknown filter "nofilter"`},
		{"{{ [1] | select('evn') }}", `site.yml:1:4: filter select: unknown test "evn"; did you mean "even"?`},
		{"{{ lookup('env', 'HOME') }}", `site.yml:1:4: lookup is not supported yet; put the value into a variable, or register it from a task`},
		{"{{ query('x') }}", `site.yml:1:4: query is not supported yet; put the value into a variable, or register it from a task`},
		{"x\n{% include 'a' %}", `site.yml:2:4: the tag "include" is not supported; put the text into this file, or render the other one with a template task`},
		{"{% iff x %}", `site.yml:1:4: unknown tag "iff"; did you mean "if"?`},
		{"{% do x %}", `site.yml:1:4: unknown tag "do"`},
		{"{{ node", `site.yml:1:1: "{{" is never closed; close it with "}}"`},
		{"{# x", `site.yml:1:1: "{#" is never closed; close the comment with "#}"`},
		{"{{ 'x }}", `site.yml:1:4: the string is never closed; close it with "'"`},
		{"{{ (1 }}", `site.yml:1:7: unexpected "}": nothing of its kind is open`},
		{"{{ 1 2 }}", `site.yml:1:6: unexpected "2"; want "}}"`},
		{"{{ }}", `site.yml:1:4: unexpected "}}"; want an expression`},
		{"{% if node %}x", `site.yml:1:15: unexpected the end; want "{% endif %}"`},
		{"{{ node | replace('a') }}", `site.yml:1:4: filter replace: the argument "new" is missing`},
		{"{{ node | upper(1) }}", `site.yml:1:4: filter upper: takes at most 0 arguments, not 1`},
		{"{{ node | trim(charz='x') }}", `site.yml:1:4: filter trim: there is no argument "charz"; it takes chars`},
		{"{{ node | center('x') }}", `site.yml:1:4: filter center: the argument "width" must be a small int, not a str`},
		{"{{ node | regex_search('a(?=b)') }}", `site.yml:1:4: filter regex_search: the pattern "a(?=b)": a lookahead, "(?=", is not supported`},
		{`{{ node | regex_search('(a)\1') }}`, `site.yml:1:4: filter regex_search: the pattern "(a)\\1": a reference to a group, "\\1", is not supported`},
		{"{{ 'x\n' is search('x$') }}", `site.yml:1:4: test search: "$" on a text that ends with a line end is not supported; trim the text, or use \Z or multiline=True`},
		{"{{ node | random }}", `site.yml:1:4: filter random: it gives another answer every time, so that a plan could not be kept; write the value down, or take it from a hash of the host's name`},
		{"{{ absent | mandatory }}", `site.yml:1:4: filter mandatory: "absent" is mandatory and not defined`},
		{"{{ node | from_json }}", `site.yml:1:4: filter from_json: the text is no JSON: a mistake at byte 1`},
		{"a {{ omit }}", `site.yml:1:6: omit can only be a whole value, not a part of a text`},
		{"{% for i in 5 %}{% endfor %}", `site.yml:1:13: an int is not a list`},
		{"{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", `site.yml:1:1: "a" is undefined: the macro "m" was called without it`},
	} {
		t.Run(c.text, func(t *testing.T) {
			_, err := renderText(c.text, scope)
			require.EqualError(t, err, c.want)
			var e *source.Error
			require.ErrorAs(t, err, &e)
			assert.Positive(t, e.Len)
		})
	}
}

func TestExpressionRefusesTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"{{ x }}":         `site.yml:4:9: "{{" inside an expression; this is an expression already: write the names as they are`,
		"x == '{{ y }}'":  "",
		"a == {{ b }}":    `site.yml:4:14: "{{" inside an expression; this is an expression already: write the names as they are`,
		"{'a': {'b': 1}}": "",
		"x and":           `site.yml:4:14: unexpected the end; want an expression`,
		"x y":             `site.yml:4:11: unexpected "y"; want an operator or the end`,
		"(x":              `site.yml:4:9: "(" is never closed`,
		"":                `site.yml:4:9: unexpected the end; want an expression`,
	} {
		_, err := ParseExpr(text, at(4, 9))
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.EqualError(t, err, want, text)
	}
}

func TestVariablesThatReferToThemselves(t *testing.T) {
	scope := vars{
		"a": Trusted("{{ b }}", at(1, 4)), "b": Trusted("<{{ c.x }}>", at(2, 4)),
		"c":     FromGo(map[string]any{"x": Trusted("{{ a }}", at(3, 7))}),
		"self":  Trusted("{{ self | default(1) }}", at(5, 7)),
		"twice": Trusted("{{ one }}{{ one }}", at(6, 1)), "one": Trusted("{{ 1 }}", at(7, 1)),
	}
	_, err := renderText("{{ a }}", scope)
	require.EqualError(t, err, "site.yml:3:10: a variable refers to itself: a -> b -> c.x -> a")
	_, err = renderText("{{ self }}", scope)
	require.EqualError(t, err, "site.yml:5:10: a variable refers to itself: self -> self")
	assert.Equal(t, "11", Text(render(t, "{{ twice }}", scope)))
}

func TestLimits(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"steps", "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}", "gave up after 1000000 steps"},
		{"text", "{{ 'x' * 100000000 }}", "longer than 16 MiB"},
		{"growing text", "{% set ns = namespace(x='0123456789') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "longer than 16 MiB"},
		{"output", "{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}", "longer than 16 MiB"},
		{"range", "{{ range(1000001) }}", "longer than 1000000 items"},
		{"list", "{{ [1] * 10000000 }}", "longer than 1000000 items"},
		{"nested lists", "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "gave up"},
		{"macros", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "more than 200 deep"},
		{"recursive loop", "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "more than 200 deep"},
		{"power", "{{ 10 ** 1000000 }}", "more than 65536 bits"},
		{"product", "{{ range(1000) | product(range(1000), range(1000)) }}", "longer than 1000000 items"},
		{"permutations", "{{ range(20) | permutations }}", "longer than 1000000 items"},
		{"padding", "{{ 'x' | center(1000000000) }}", "longer than 16 MiB"},
		{"format", "{{ '%1000000000d' | format(1) }}", "longer than 16 MiB"},
		{"format method", "{{ '{:1000000000}'.format(1) }}", "longer than 16 MiB"},
		{"brackets", "{{ " + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + " }}", "more than 500 deep"},
		{"sum", "{{ 1" + strings.Repeat(" + 1", 10000) + " }}", "more than 500 parts"},
		{"signs", "{{ " + strings.Repeat("-", 10000) + "1 }}", "more than 500 deep"},
		{"ifs", strings.Repeat("{% if 1 %}", 10000), "more than 500 deep"},
		{"aliases", "{{ 'a: &a [x,x,x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]' | from_yaml }}", "gave up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			template, err := ParseFile(c.text, source.Pos{})
			if err == nil {
				_, err = template.Render(vars{})
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestErrorsDoNotShowValues(t *testing.T) {
	const secret = "hunter2"
	scope := vars{"password": str(secret), "conf": FromGo(map[string]any{"password": secret, "n": []any{secret}})}
	for _, text := range []string{
		"{{ password + 1 }}", "{{ password | from_json }}", "{{ (password ~ ': [') | from_yaml }}", "{{ password | b64decode }}",
		"{{ password.x }}", "{{ conf.x }}", "{{ conf + 1 }}", "{{ password | center(password) }}", "{{ password() | upper }}",
		"{{ password < 1 }}", "{{ conf | dict2items | sort }}", "{{ '%d' % password }}", "{{ password | human_to_bytes }}",
		"{{ [password] | sum }}", "{{ conf.n | items2dict }}", "{{ ('http://[' ~ password) | urlsplit }}", "{% for i in conf.n %}{{ i.x }}{% endfor %}",
		"{{ password | regex_replace('[0-9]', '') | human_to_bytes }}", "{{ (password ~ ' x') is version('1', '>') }}", "{{ conf.n | map(attribute='x') | list }}", "{{ conf[password ~ 'x'] }}",
	} {
		_, err := renderText(text, scope)
		require.Error(t, err, text)
		assert.NotContains(t, err.Error(), secret[:6], text)
	}
}
