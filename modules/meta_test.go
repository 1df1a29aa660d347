package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMeta(t *testing.T) {
	m := &meta{Action: "end_host"}
	assert.Equal(t, Change{}, check(t, m, &fake{}))

	action, ok := MetaAction(m)
	assert.True(t, ok)
	assert.Equal(t, "end_host", action)

	_, ok = MetaAction(&fail{})
	assert.False(t, ok)
}
