package jinja

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

// vars is a scope of a few variables.
type vars map[string]Value

func (v vars) Lookup(name string) (Value, bool) {
	value, ok := v[name]
	return value, ok
}

func (v vars) Names() []string {
	var names []string
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// at is a place in a file of that text.
func at(line, col int) source.Pos {
	return source.Pos{File: &source.File{Name: "site.yml"}, Line: line, Col: col}
}

func render(t testing.TB, text string, s Scope) Value {
	t.Helper()
	v, err := renderText(text, s)
	require.NoError(t, err)
	return v
}

func renderText(text string, s Scope) (Value, error) {
	template, err := Parse(text, at(1, 1))
	if err != nil {
		return nil, err
	}
	return template.Render(s)
}
