package jinja

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func unknownScope() vars {
	because := Unknown{Reason: "the result of the task above"}
	result := &Dict{Rest: &because}
	result.Set("changed", because)
	result.Set("rc", integer(0))
	return vars{
		"later":  because,
		"result": result,
		"list":   newList([]Value{integer(1), because}),
		"n":      integer(1),
		"conf":   Trusted("port {{ later }}", at(1, 1)),
	}
}

func TestUnknownSpreads(t *testing.T) {
	for _, text := range []string{
		"{{ later }}", "a {{ later }} b", "{{ conf }}", "{{ later + 1 }}", "{{ -later }}", "{{ later ~ 'x' }}", "{{ not later }}",
		"{{ later == 1 }}", "{{ 1 < later }}", "{{ later and n }}", "{{ later or n }}", "{{ 1 if later else 2 }}", "{{ later.a.b }}",
		"{{ later[0] }}", "{{ later[1:] }}", "{{ later | default('x') }}", "{{ later | upper }}", "{{ later | default(1) | int }}",
		"{{ 'a' | replace('a', later) }}", "{{ later.split(',') }}", "{{ later is match('x') }}", "{{ result.missing }}",
		"{{ result is changed }}", "{{ result is failed }}", "{{ result is skipped }}", "{{ result | length }}", "{{ result | to_json }}",
		"{{ result.get('missing', 1) }}", "{{ 'missing' in result }}", "{{ list | join(',') }}", "{{ list | sort }}", "{{ list[1] }}",
		"{{ 5 in list }}", "{{ list == [1, 2] }}", "{{ list | select('gt', 0) | list }}", "{{ '%s' % later }}", "{{ '{}'.format(later) }}",
		"{{ range(later) }}", "{% if later %}a{% endif %}", "{% for i in later %}a{% endfor %}", "{% for k in result %}a{% endfor %}",
		"{% for i in list if i > 0 %}a{% endfor %}", "{% set x %}{{ later }}{% endset %}a{{ x }}",
		"{% macro m() %}{{ later }}{% endmacro %}a{{ m() }}", "{% filter upper %}{{ later }}{% endfilter %}", "x {{ list }}",
		"{% for i in list %}{{ i }}{% endfor %}", "{{ later | ternary(1, 2) }}", "{{ later is not none }}", "{{ later is not match('x') }}",
		"{{ {'a': later} | combine(result) | dict2items }}", "{% set a, b = later %}{{ a }}",
	} {
		t.Run(text, func(t *testing.T) {
			v := render(t, text, unknownScope())
			u, ok := v.(Unknown)
			require.True(t, ok, "%s gives %s", text, Text(v))
			assert.Equal(t, "the result of the task above", u.Reason)
		})
	}
}

func TestWhatDoesNotDependOnAnUnknownIsKnown(t *testing.T) {
	for text, want := range map[string]string{
		"{{ later is defined }}":                            "True",
		"{{ later is not defined }}":                        "False",
		"{{ result.missing is defined }}":                   "True",
		"{{ false and later }}":                             "False",
		"{{ true or later }}":                               "True",
		"{{ n if true else later }}":                        "1",
		"{{ result.rc }}":                                   "0",
		"{{ list | length }}":                               "2",
		"{{ list | first }}":                                "1",
		"{{ list[0] }}":                                     "1",
		"{{ [later, 3] | last }}":                           "3",
		"{{ {'a': later, 'b': 2}.b }}":                      "2",
		"{{ {'a': later} | combine({'a': 3}) }}":            "{'a': 3}",
		"{{ true | ternary(1, later) }}":                    "1",
		"{% if n %}{{ n }}{% else %}{{ later }}{% endif %}": "1",
	} {
		assert.Equal(t, want, Text(render(t, text, unknownScope())), text)
	}
}

func TestAnUnknownItemLeavesTheListKnown(t *testing.T) {
	v := render(t, "{{ list }}", unknownScope())
	require.IsType(t, &List{}, v)
	u, ok := FindUnknown(v)
	assert.True(t, ok)
	assert.NotEmpty(t, u.Reason)
	_, known := Truth(u)
	assert.False(t, known)
}

func TestMistakesBehindAnUnknownAreFound(t *testing.T) {
	_, err := renderText("{{ later }} {{ nope }}", unknownScope())
	require.ErrorContains(t, err, `"nope" is undefined`)
}
