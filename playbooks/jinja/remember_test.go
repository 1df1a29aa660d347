package jinja

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEncodeKeepsTheValue(t *testing.T) {
	odd := &Dict{}
	require.NoError(t, odd.set(Int{small: 1}, str("one")))
	require.NoError(t, odd.set(Bool(false), None{}))
	dollar := &Dict{}
	dollar.Set("$tuple", str("a user's own key"))
	nested := &Dict{}
	nested.Set("z", newList([]Value{Int{small: 1}, Float(1), Float(1e300), str("<&>\u2028")}))
	nested.Set("a", newTuple(Bool(true), newTuple([]Value{}...), odd))
	for name, v := range map[string]Value{
		"none": None{}, "true": Bool(true), "int": Int{small: -7}, "float": Float(2), "small": Float(1e-9), "text": str("{{ no }}\n\x00é"),
		"big": newInt(new(big.Int).Lsh(big.NewInt(1), 90)), "infinite": Float(math.Inf(-1)), "bytes": str("\xff\xfe"),
		"odd keys": odd, "dollar": dollar, "nested": nested, "empty": &Dict{}, "empty list": newList([]Value{}),
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(v)
			require.NoError(t, err)
			back, err := Decode(data)
			require.NoError(t, err)
			assert.Equal(t, v, back, "%s", data)
		})
	}
}

func TestWhatIsNotKnownIsNotKept(t *testing.T) {
	_, err := Encode(Unknown{Reason: "r"})
	assert.Error(t, err)
	_, err = Encode(&Dict{Rest: &Unknown{Reason: "the result of x"}})
	assert.ErrorContains(t, err, "the result of x")
	v, err := Decode([]byte(`{"$undefined":true}`))
	require.NoError(t, err)
	assert.IsType(t, Undefined{}, v)
}

func TestDecodeRefusesWhatEncodeDoesNotWrite(t *testing.T) {
	for _, data := range []string{``, `{`, `[1`, `{"a"`, `{"$tuple":1}`, `{"$pairs":[1]}`, `{"$bytes":"%"}`, `{"$float":"x"}`} {
		_, err := Decode([]byte(data))
		assert.Error(t, err, data)
	}
}
