package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMeta(t *testing.T) {
	assert.Equal(t, Change{}, check(t, &meta{Action: "end_host"}, &fake{}))
}
