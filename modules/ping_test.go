package modules

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPing(t *testing.T) {
	tests := []struct {
		name, data string
		target     *fake
		err        string
	}{
		{"answers", "pong", &fake{commands: map[string]Output{":": {}}}, ""},
		{"own data", "hello", &fake{commands: map[string]Output{":": {}}}, ""},
		{"asked to fail", "crash", &fake{}, `data is "crash": failed as asked`},
		{"unreachable", "pong", &fake{errs: map[string]error{":": errors.New("no route")}}, "no route"},
		{"broken shell", "pong", &fake{commands: map[string]Output{":": {Code: 127, Stderr: "gone\n"}}},
			"the shell answers, but cannot even do nothing: exit code 127: gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			change, err := (&ping{Data: tt.data}).Check(t.Context(), tt.target)
			if tt.err != "" {
				assert.EqualError(t, err, tt.err)
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, Change{Vars: map[string]any{"ping": tt.data}}, change)
		})
	}
}
