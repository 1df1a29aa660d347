package jinja

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is what a machine may send in the hope that it is evaluated.
const hostile = "{{ 1 + 1 }}{% set x = 1 %}{# no #}"

func hostileScope() vars {
	d := &Dict{}
	d.Set("key", str(hostile))
	d.Set(hostile, str("value"))
	return vars{
		"out":    FromGo(hostile),
		"result": FromGo(map[string]any{"stdout": hostile, "lines": []any{hostile}}),
		"d":      d,
		// What the user wrote around it is evaluated, and it is not.
		"wrapped": Trusted("{{ out }}", at(2, 2)),
		"part":    Trusted("<{{ out }}>", at(3, 2)),
		"deep":    newList([]Value{Trusted("{{ result }}", at(4, 2))}),
	}
}

func TestUntrustedTextIsNeverATemplate(t *testing.T) {
	for text, want := range map[string]string{
		"{{ out }}":                                    hostile,
		"a {{ out }}":                                  "a " + hostile,
		"{{ result.stdout }}":                          hostile,
		"{{ result['lines'][0] }}":                     hostile,
		"{{ out ~ '' }}":                               hostile,
		"{{ '{{ ' + '1 }}' }}":                         "{{ 1 }}",
		"{{ '{' ~ '{ 1 }' ~ '}' }}":                    "{{ 1 }}",
		"{{ wrapped }}":                                hostile,
		"{{ part }}":                                   "<" + hostile + ">",
		"{{ wrapped | default('x') }}":                 hostile,
		"{{ deep[0].stdout }}":                         hostile,
		"{{ deep | map(attribute='stdout') | first }}": hostile,
		"{{ d.key }}":                                  hostile,
		"{{ d.keys() | last }}":                        hostile,
		"{{ d | dict2items | map(attribute='key') | last }}":                        hostile,
		"{% set y = out %}{{ y }}":                                                  hostile,
		"{% set y %}{{ out }}{% endset %}{{ y }}":                                   hostile,
		"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(out) }}":                         hostile,
		"{% for line in result.lines %}{{ line }}{% endfor %}":                      hostile,
		"{{ out | b64encode | b64decode }}":                                         hostile,
		"{{ out | to_json | from_json }}":                                           hostile,
		"{{ [out] | to_yaml | from_yaml | first }}":                                 hostile,
		"{{ out | replace('q', 'r') | trim | string }}":                             hostile,
		"{{ out | regex_replace('no', 'no') }}":                                     hostile,
		"{{ '%s' | format(out) }}":                                                  hostile,
		"{{ '{}'.format(out) }}":                                                    hostile,
		"{{ [out] | join(',') }}":                                                   hostile,
		"{{ {'a': 1} | combine({'a': out}) | map('extract', {'a': out}) | first }}": hostile,
		"{% raw %}{{ 1 }}{% endraw %}":                                              "{{ 1 }}",
	} {
		t.Run(text, func(t *testing.T) {
			v := render(t, text, hostileScope())
			assert.Equal(t, want, Text(v))

			// The result is data for whoever renders it again.
			again, err := Resolve(v, hostileScope())
			require.NoError(t, err)
			assert.Equal(t, want, Text(again))
		})
	}
}

func TestTrustedTextIsRenderedWhereverItIs(t *testing.T) {
	scope := vars{"n": integer(5), "version": Trusted("{{ n + 1 }}", at(1, 1)),
		"conf": newList([]Value{Trusted("v{{ version }}", at(2, 1)), str("x")})}
	for text, want := range map[string]string{
		"{{ version }}":                           "6",
		"{{ version + 1 }}":                       "7",
		"{{ conf }}":                              "['v6', 'x']",
		"{{ conf[0] }}":                           "v6",
		"{{ conf | length }}":                     "2",
		"{{ 'v6' in conf }}":                      "True",
		"{{ conf == ['v6', 'x'] }}":               "True",
		"{{ conf + ['y'] }}":                      "['v6', 'x', 'y']",
		"{% for c in conf %}{{ c }};{% endfor %}": "v6;x;",
		"{{ {'a': conf} | to_json }}":             `{"a": ["v6", "x"]}`,
		"{{ version is integer }}":                "True",
	} {
		assert.Equal(t, want, Text(render(t, text, scope)), text)
	}
	v, err := Resolve(scope["conf"], scope)
	require.NoError(t, err)
	assert.Equal(t, []any{"v6", "x"}, ToGo(v))
	assert.NotNil(t, scope["conf"].(*List).Items[0].(Str).origin, "the scope's own value stays as it was")
}

func TestRenderingDoesNotChangeTheScope(t *testing.T) {
	scope := vars{"d": FromGo(map[string]any{"a": 1}), "l": FromGo([]any{1}), "alias": Trusted("{{ l }}", at(1, 1))}
	for text, want := range map[string]string{
		"{% set _ = d.update({'b': 2}) %}{{ d }}":  "{'a': 1, 'b': 2}",
		"{% set _ = l.append(2) %}{{ l }}":         "[1, 2]",
		"{% set _ = alias.append(2) %}{{ alias }}": "[1, 2]",
		"{{ l.pop() }}":                    "1",
		"{% set _ = l.append(l) %}{{ l }}": "[1, [1]]",
	} {
		assert.Equal(t, want, Text(render(t, text, scope)), text)
		assert.Equal(t, "{'a': 1} [1]", Text(scope["d"])+" "+Text(scope["l"]), text)
	}
	_, err := renderText("{{ d['update']({'b': 2}) }}", scope)
	require.ErrorContains(t, err, "can only be called by its name")
}

// A settled dictionary is not searched for templates, however big it is: it is
// the very same value that comes back.
func TestSettled(t *testing.T) {
	open, settled := &Dict{}, &Dict{Settled: true}
	for _, d := range []*Dict{open, settled} {
		d.Set("a", Trusted("{{ 1 + 1 }}", at(1, 1)))
	}
	got, err := Resolve(open, vars{})
	require.NoError(t, err)
	assert.Equal(t, "{'a': 2}", Text(got))
	got, err = Resolve(settled, vars{})
	require.NoError(t, err)
	assert.Same(t, settled, got)
}
