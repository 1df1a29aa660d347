package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMerging(t *testing.T) {
	parse := func(text string) Object {
		all, err := parseManifest("test", []byte(text))
		require.NoError(t, err)
		return all[0]
	}
	one, two := parse("{a: 1, b: {c: 2, d: [x]}, e: 5}"), parse("{a: 1, b: {c: 3, d: [y]}, f: {g: 6}}")
	patch := mergeDifference(one, two)
	assert.Equal(t, parse("{b: {c: 3, d: [y]}, f: {g: 6}, e: null}"), patch)
	assert.Equal(t, two, mergePatched(one, patch))
	assert.Equal(t, parse("{a: 1, b: {c: 2, d: [x]}, e: 5}"), one, "nothing was changed in place")

	assert.Equal(t, parse("{l: [{name: a, v: 1, w: 2}, {name: b}]}"), laidOver(parse("{l: [{name: a, v: 1}]}"), parse("{l: [{name: a, w: 2}, {name: b}]}")))
	assert.Equal(t, parse("{a: 9, b: {c: 3, d: [y], z: 0}, f: {g: 6}}"), carryOver(parse("{a: 9, b: {c: 2, d: [x], z: 0}, e: 5}"), one, two))
	assert.Equal(t, parse("{a: 1, b: {d: 4}}"), withoutLost(parse("{a: 1, b: {c: 2, d: 4}, e: 3}"), parse("{b: {c: 2}, e: 3}"), parse("{b: {}}")))
}

func TestRenamed(t *testing.T) {
	o := Object{"metadata": map[string]any{"name": "x1", "labels": map[string]any{"name": "x1", "other": "x12"}}, "list": []any{"x1", int64(1)}}
	assert.Equal(t, Object{"metadata": map[string]any{"name": "y", "labels": map[string]any{"name": "y", "other": "x12"}}, "list": []any{"y", int64(1)}}, renamed(o, "x1", "y"))
	assert.Equal(t, Object{"a": ""}, renamed(Object{"a": ""}, "", "y"))
}

func TestNeedsItsKeys(t *testing.T) {
	for want, patches := range map[bool][]any{
		false: {Object{"a": "b"}, Object{"l": []any{map[string]any{"name": "x", "v": int64(1)}}}},
		true: {
			Object{"$patch": "replace"}, Object{"a": nil}, Object{"l": []any{"x"}}, Object{"l": []any{map[string]any{"containerPort": int64(80)}}},
			Object{"l": []any{map[string]any{"name": "x", "$patch": "delete"}}},
		},
	} {
		for _, p := range patches {
			assert.Equal(t, want, needsItsKeys(p), "%v", p)
		}
	}
}
