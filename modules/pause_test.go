package modules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPause(t *testing.T) {
	seconds, minutes := 90*time.Second, 1.5
	for name, m := range map[string]*pause{
		"seconds": {Seconds: &seconds}, "minutes": {Minutes: &minutes},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, m.Validate())
			change := check(t, m, &fake{})
			assert.Equal(t, []Step{Pause{For: 90 * time.Second}}, change.Steps)
			assert.Empty(t, change.Diffs)
			assert.Equal(t, int64(90), change.Vars["delta"])
		})
	}
	change := check(t, &pause{Seconds: &seconds, Prompt: "let it settle"}, &fake{})
	assert.Equal(t, []string{"let it settle"}, change.Notes)
}

func TestPauseValidate(t *testing.T) {
	seconds, negative, minutes := time.Second, -time.Second, 1.0
	tests := []struct {
		m   pause
		err string
	}{
		{pause{}, "neither seconds nor minutes given: waiting for an answer needs a terminal and is not supported"},
		{pause{Prompt: "go?"}, "neither seconds nor minutes given: waiting for an answer needs a terminal and is not supported"},
		{pause{Seconds: &seconds, Minutes: &minutes}, "seconds and minutes exclude each other; keep one of them"},
		{pause{Seconds: &negative}, "the time to wait must not be negative"},
	}
	for _, tt := range tests {
		assert.EqualError(t, tt.m.Validate(), tt.err)
	}
}
