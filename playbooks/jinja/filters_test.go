package jinja

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func filterScope() vars {
	return vars{
		"a": FromGo(map[string]any{"l": []any{1, 2}, "d": map[string]any{"x": 1, "y": 2}, "k": "a"}),
		"b": FromGo(map[string]any{"l": []any{2, 3}, "d": map[string]any{"y": 3}, "m": "b"}),
		"users": FromGo([]any{
			map[string]any{"name": "al", "groups": []any{"adm", "dev"}, "auth": map[string]any{"keys": []any{"k1"}}},
			map[string]any{"name": "bo", "groups": []any{"dev"}},
		}),
		"results": FromGo(map[string]any{"results": []any{map[string]any{"changed": false}, map[string]any{"changed": true}}}),
		"failed":  FromGo(map[string]any{"failed": true, "changed": false}),
		"ok":      FromGo(map[string]any{"changed": true, "skipped": false}),
	}
}

func TestAnsibleFiltersAndTests(t *testing.T) {
	for text, want := range map[string]string{
		"{{ a | combine(b) }}":                                                                             "{'d': {'y': 3}, 'k': 'a', 'l': [2, 3], 'm': 'b'}",
		"{{ a | combine(b, recursive=true) }}":                                                             "{'d': {'x': 1, 'y': 3}, 'k': 'a', 'l': [2, 3], 'm': 'b'}",
		"{{ (a | combine(b, list_merge='append')).l }}":                                                    "[1, 2, 2, 3]",
		"{{ (a | combine(b, list_merge='prepend')).l }}":                                                   "[2, 3, 1, 2]",
		"{{ (a | combine(b, list_merge='append_rp')).l }}":                                                 "[1, 2, 3]",
		"{{ (a | combine(b, list_merge='prepend_rp')).l }}":                                                "[2, 3, 1]",
		"{{ (a | combine(b, list_merge='keep')).l }}":                                                      "[1, 2]",
		"{{ [a, b] | combine == a | combine(b) }}":                                                         "True",
		"{{ {} | combine(a, {'k': 1}, {'k': 2}) | dict2items | length }}":                                  "3",
		"{{ {'a': 1} | dict2items(key_name='k', value_name='v') }}":                                        "[{'k': 'a', 'v': 1}]",
		"{{ [{'k': 'a', 'v': 1}] | items2dict(key_name='k', value_name='v') }}":                            "{'a': 1}",
		"{{ [1, 2, 2] | union([2, 3]) }}":                                                                  "[1, 2, 3]",
		"{{ [1, 2, 2] | symmetric_difference([2, 3]) }}":                                                   "[1, 3]",
		"{{ [{'a': 1}, {'a': 1}] | unique }}":                                                              "[{'a': 1}]",
		"{{ [1, [2, [3, none]]] | flatten }}":                                                              "[1, 2, 3]",
		"{{ [1, [2, [3]]] | flatten(levels=1) }}":                                                          "[1, 2, [3]]",
		"{{ [1, 2] | zip(['a', 'b', 'c']) | list }}":                                                       "[(1, 'a'), (2, 'b')]",
		"{{ [1] | zip_longest(['a', 'b'], fillvalue='-') | list }}":                                        "[(1, 'a'), ('-', 'b')]",
		"{{ dict(['a', 'b'] | zip([1, 2])) }}":                                                             "{'a': 1, 'b': 2}",
		"{{ [1, 2, 3] | permutations(2) | length }}":                                                       "6",
		"{{ [1, 2, 3] | combinations(2) | list }}":                                                         "[(1, 2), (1, 3), (2, 3)]",
		"{{ users | subelements('groups') | map('last') | list }}":                                         "['adm', 'dev', 'dev']",
		"{{ users | subelements('auth.keys', skip_missing=true) | map('last') | list }}":                   "['k1']",
		"{{ ['x', 'y'] | map('extract', {'x': 1, 'y': 2}) | list }}":                                       "[1, 2]",
		"{{ 'd' | extract(a, 'x') }}":                                                                      "1",
		"{{ 'd' | extract(a, ['x']) }}":                                                                    "1",
		"{{ 10 | human_readable }}":                                                                        "10.00 Bytes",
		"{{ 1048576 | human_readable(isbits=true) }}":                                                      "1.00 Mb",
		"{{ '10M' | human_to_bytes }} {{ '1.5 KB' | human_to_bytes }} {{ '7' | human_to_bytes }}":          "10485760 1536 7",
		"{{ none | ternary(1, 2, 3) }} {{ 0 | ternary(1, 2) }}":                                            "3 2",
		"{{ true | ternary('y', nope) }}":                                                                  "y",
		"{{ ['a', '/b', 'c'] | path_join }}":                                                               "/b/c",
		"{{ '/a/b/' | basename }}|{{ '/a/b/' | dirname }}|{{ '/a' | dirname }}|{{ 'a' | dirname }}":        "|/a/b|/|",
		"{{ '.bashrc' | splitext }} {{ 'a.b/c' | splitext }}":                                              "('.bashrc', '') ('a.b/c', '')",
		"{{ 'a' | to_uuid }}":                                                                              "9b6d1a0c-51b1-5093-93fc-cf09a700edff",
		"{{ 'héllo' | b64encode }}":                                                                        "aMOpbGxv",
		"{{ 'a' | checksum }} {{ 'a' | md5 }}":                                                             "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8 0cc175b9c0f1b6a831c399e269772661",
		"{{ 'http://u:p@h:80/p/q?x=1#f' | urlsplit('port') }}":                                             "80",
		"{{ 'http://u:p@h:80/p/q?x=1#f' | urlsplit('netloc') }}":                                           "u:p@h:80",
		"{{ 'a' | comment('c') }}":                                                                         "//\n// a\n//",
		"{{ 'a\nb' | comment('cblock') }}":                                                                 "/*\n *\n * a\n * b\n *\n */",
		"{{ 'no' | bool }} {{ 'TRUE' | bool }} {{ 1 | bool }} {{ none | bool }}":                           "False True True ",
		"{{ '1.2.10' is version('1.2.9', '>') }}":                                                          "True",
		"{{ '1.2' is version('1.2.0', 'lt') }}":                                                            "True",
		"{{ '1.2.0-rc.1' is version('1.2.0', '<', version_type='semver') }}":                               "True",
		"{{ '1.2b1' is version('1.2', '<', strict=true) }}":                                                "True",
		"{{ '7.19' is version('7.9', '>=') and '7.19' is version('7.19', '==') }}":                         "True",
		"{{ [1, 2] is superset([1]) }} {{ [1] is subset([1, 2]) }} {{ [1, 2] is contains(2) }}":            "True True True",
		"{{ [true, 0] is any }} {{ [true, 0] is all }}":                                                    "True False",
		"{{ 'foo' is match('FO', ignorecase=true) }} {{ 'xfoo' is regex('foo', match_type='fullmatch') }}": "True False",
		"{{ results is changed }} {{ failed is failed }} {{ failed is succeeded }} {{ ok is changed }} {{ ok is skipped }} {{ ok is reachable }}": "True True False True False True",
		"{{ 'yes' is truthy(convert_bool=true) }} {{ '' is falsy }}":                                                                              "True True",
		"{{ 'x' | ansible.builtin.upper }} {{ 'x' is ansible.builtin.match('x') }}":                                                               "X True",
		"{{ 'a,b' | split(',') | map('upper') | join('-') }}":                                                                                     "A-B",
		"{{ nope | default(omit) is defined }}":                                                                                                   "True",
		"{{ 'Ab' is lower }} {{ 5 is odd }} {{ '/x' is abs }}":                                                                                    "False True True",
	} {
		// With a text in front of it the answer is printed.
		assert.Equal(t, want, Text(render(t, "{{ '' }}"+text, filterScope())), text)
	}
}

func TestWhatHasNoAnswerIsAnError(t *testing.T) {
	for _, text := range []string{
		"{{ [1] | combine({}) }}", "{{ a | combine(b, list_merge='x') }}", "{{ a | combine(b, other=1) }}", "{{ [1, 'a'] | sort }}",
		"{{ [{'a': 1}] | items2dict }}", "{{ users | subelements('auth.keys') }}", "{{ '1.x' is version('1.2', '>') }}",
		"{{ '1' is version('1', '~') }}", "{{ '' is version('1') }}", "{{ 'a' | hash('crc') }}", "{{ '%' | b64decode }}",
		"{{ [] | batch(0) }}", "{{ 5 | list }}", "{{ 'x' is failed }}", "{{ nope is failed }}", "{{ 'a' | regex_replace('[', 'x') }}",
		"{{ '10X' | human_to_bytes }}", "{{ [1, 2] | map }}", "{{ users | selectattr }}", "{{ users | map(attribute='auth') | list }}",
		"{{ 'a' is regex('a', match_type='x') }}", "{{ a | to_json(default=1) }}", "{{ {} is divisibleby(2) }}", "{{ range() }}",
		"{{ dict([1]) }}", "{{ 'a'.join([1]) }}", "{{ 'abc'.translate({}) }}", "{{ [].sort() }}", "{% set ns.x = 1 %}",
		"{% set a, b = [1] %}", "{{ [1] | groupby('x') }}", "{{ 'a' | regex_search('(?<=a)b') }}", "{{ 'a' | regex_search('[^\\\\W]') }}",
		"{{ 'é' is search('\\\\bx') }}", "{{ now() }}", "{{ 'x' | password_hash }}", "{{ '/x' is file }}", "{{ range(3, 0, 0) }}",
	} {
		template, err := ParseFile(text, source.Pos{})
		if err == nil {
			_, err = template.Render(filterScope())
		}
		var e *source.Error
		require.ErrorAs(t, err, &e, text)
	}
}
