package runner

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"runbook/modules"
)

// A plan and its apply are held to what a file gets, but for what names the moment.
func TestDigestOfAWrite(t *testing.T) {
	digest := func(w modules.Write) []string {
		return (&run{Runner: &Runner{}}).digest(modules.Change{Steps: []modules.Step{w}}, nil).Steps
	}
	one, two := modules.Write{Path: "/a/1", Data: []byte("1"), Mode: 0o600}, modules.Write{Path: "/a/2", Data: []byte("2"), Mode: 0o600}
	assert.NotEqual(t, digest(one), digest(two))
	one.Event, two.Event = true, true
	assert.Equal(t, digest(one), digest(two))
	two.Path = "/b/2"
	assert.NotEqual(t, digest(one), digest(two), "another directory is another plan")
	two.Path, two.Mode = one.Path, 0o644
	assert.NotEqual(t, digest(one), digest(two))
}
