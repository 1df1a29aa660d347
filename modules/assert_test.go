package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAssert(t *testing.T) {
	yes, no, no2 := Expr{Text: "a == 1", True: true}, Expr{Text: `b is "x"`}, Expr{Text: "c"}
	tests := []struct {
		name string
		m    assertion
		vars map[string]any
		err  string
	}{
		{"all hold", assertion{That: []Expr{yes, yes}}, map[string]any{"msg": "All assertions passed"}, ""},
		{"own words", assertion{That: []Expr{yes}, SuccessMsg: "fine"}, map[string]any{"msg": "fine"}, ""},
		{"nothing to hold", assertion{}, map[string]any{"msg": "All assertions passed"}, ""},
		{"every broken one is named", assertion{That: []Expr{no, yes, no2}},
			map[string]any{"msg": "Assertion failed", "assertion": `b is "x"`, "evaluated_to": false},
			`does not hold: "b is \"x\"", "c"`},
		{"own words fail", assertion{That: []Expr{no2}, FailMsg: []any{"one", "two"}},
			map[string]any{"msg": []any{"one", "two"}, "assertion": "c", "evaluated_to": false},
			"one\ntwo (does not hold: \"c\")"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.m.Validate())
			change, err := tt.m.Check(t.Context(), &fake{})
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.err)
			}
			assert.Equal(t, Change{Vars: tt.vars}, change)
		})
	}
}

func TestAssertValidate(t *testing.T) {
	assert.EqualError(t, (&assertion{FailMsg: 3}).Validate(), "fail_msg must be a text or a list of texts, not 3")
	assert.EqualError(t, (&assertion{SuccessMsg: []any{"a", true}}).Validate(),
		"success_msg must be a text or a list of texts, not true")
}
