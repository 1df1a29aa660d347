package jinja

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

// scopeOf reads the variables of a file of cases.
func scopeOf(t testing.TB, raw json.RawMessage) vars {
	v, err := fromJSON(string(bytes.TrimSpace(raw)))
	require.NoError(t, err)
	scope := vars{}
	for i, k := range v.(*Dict).keys {
		scope[Text(k)] = v.(*Dict).values[i]
	}
	return scope
}

// compatCase is one template with the answers that Ansible gave.
type compatCase struct {
	Kind     string
	Template string
	Ansible  []string // status, text, type
	Native   []string // the same with native types
}

func compatCases(t testing.TB) (vars, []compatCase) {
	data, err := os.ReadFile("testdata/jinja-cases.json")
	require.NoError(t, err)
	var file struct {
		Vars  json.RawMessage
		Cases []compatCase
	}
	require.NoError(t, json.Unmarshal(data, &file))
	return scopeOf(t, file.Vars), file.Cases
}

// refused are the cases that Ansible answers and this engine answers with an
// error, each on purpose.
var refused = []string{
	"{{ lookup('env','HOME') }}",
	"{{ s | random is defined }}",
	"{{ '10.0.0.1/24'|ipaddr('network') }}",
	"{{ users|community.general.json_query('[0].name') }}",
	"{{ '/tmp' is directory }}",
	"{% include 'nope' ignore missing %}ok",
}

// guessed are the cases whose text Ansible reads back as a Python literal, so
// that the type of the answer depends on what the text looks like.
var guessed = []string{
	"{{ lst | join(',') }}",
	"{{ d | tojson }}",
	"{{ lst[0] ~ '' }}",
	"{{ 'a' if fl }}",
}

var nativeTypes = map[string]string{"NativeJinjaText": "str", "Markup": "str", "AnsibleUnsafeText": "str"}

func TestAnswersAsAnsible(t *testing.T) {
	scope, cases := compatCases(t)
	same := 0
	for _, c := range cases {
		t.Run(c.Template, func(t *testing.T) {
			var v Value
			template, err := ParseFile(c.Template, source.Pos{})
			if err == nil {
				v, err = template.Render(scope)
			}
			if c.Ansible[0] == "err" || slices.Contains(refused, c.Template) {
				require.Error(t, err)
				var e *source.Error
				require.ErrorAs(t, err, &e)
			} else {
				require.NoError(t, err)
				assert.Equal(t, c.Ansible[1], Text(v))
				if c.Kind == "expr" && !slices.Contains(guessed, c.Template) {
					want := c.Native[2]
					if plain, ok := nativeTypes[want]; ok {
						want = plain
					}
					assert.Equal(t, want, v.typeName())
				}
			}
			if !t.Failed() && !slices.Contains(refused, c.Template) {
				same++
			}
		})
	}
	assert.Len(t, cases, 223)
	assert.GreaterOrEqual(t, same, 200)
}

// TestAnswersAsPython compares with Jinja and the Python modules behind
// Ansible's filters, where that does not need Ansible itself.
func TestAnswersAsPython(t *testing.T) {
	data, err := os.ReadFile("testdata/python-cases.json")
	require.NoError(t, err)
	var file struct {
		Vars  json.RawMessage
		Cases [][3]string // template, status, text
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Cases)
	for _, c := range file.Cases {
		t.Run(c[0], func(t *testing.T) {
			var v Value
			template, err := ParseFile(c[0], source.Pos{})
			if err == nil {
				v, err = template.Render(scopeOf(t, file.Vars))
			}
			if c[1] == "err" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c[2], Text(v))
		})
	}
}
