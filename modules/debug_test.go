package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDebug(t *testing.T) {
	tests := []struct {
		name string
		m    debug
		vars map[string]any
	}{
		{"nothing given", debug{}, map[string]any{"msg": "Hello world!"}},
		{"text", debug{Msg: "hi"}, map[string]any{"msg": "hi"}},
		{"empty text", debug{Msg: ""}, map[string]any{"msg": ""}},
		{"list", debug{Msg: []any{1, "b"}}, map[string]any{"msg": []any{1, "b"}}},
		{"variable", debug{Var: Expr{Text: "r.rc", Value: int64(0)}}, map[string]any{"r.rc": int64(0)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.m.Validate())
			assert.Equal(t, Change{Vars: tt.vars}, check(t, &tt.m, &fake{}))
		})
	}
}

func TestDebugValidate(t *testing.T) {
	assert.EqualError(t, (&debug{Msg: "a", Var: Expr{Text: "b"}}).Validate(),
		"msg and var exclude each other; keep one of them")
	assert.EqualError(t, (&debug{Verbosity: -1}).Validate(), "verbosity must not be negative")
}

func TestVerbosity(t *testing.T) {
	assert.Equal(t, 2, Verbosity(&debug{Verbosity: 2}))
	assert.Zero(t, Verbosity(&fail{}))
}
