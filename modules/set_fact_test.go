package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSetFact(t *testing.T) {
	m := &setFact{Variables: map[string]any{"one": int64(1), "_list": []any{"a"}}}
	require.NoError(t, m.Validate())
	change := check(t, m, &fake{})
	assert.Equal(t, Change{Vars: map[string]any{
		"ansible_facts": map[string]any{"one": int64(1), "_list": []any{"a"}},
	}}, change)
	d, _ := Lookup("set_fact")
	assert.Equal(t, SetFacts, d.Facts)
}

func TestSetFactValidate(t *testing.T) {
	one := map[string]any{"one": 1}
	tests := []struct {
		m   setFact
		err string
	}{
		{setFact{}, "no variable given; write at least one as NAME: VALUE"},
		{setFact{Variables: one, Cacheable: true}, "cacheable is not supported: facts last as long as the run; drop it"},
		{setFact{Variables: map[string]any{"1st": 1, "ok": 2}}, `"1st" cannot name a variable; use letters, digits and _, beginning with no digit`},
		{setFact{Variables: map[string]any{"b c": 1, "a-b": 2}}, `"a-b" cannot name a variable; use letters, digits and _, beginning with no digit`},
	}
	for _, tt := range tests {
		assert.EqualError(t, tt.m.Validate(), tt.err)
	}
}
