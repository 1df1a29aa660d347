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

// A plan that makes an object and takes it away again cannot know its UID; one of
// an object that is there is held to that object.
func TestDigestOfADelete(t *testing.T) {
	rn := &run{Runner: &Runner{}}
	planned := modules.APIStep{Verb: modules.Delete, Ref: modules.Ref{Kind: "pod", Name: "a"}}
	now := planned
	now.UID = "1234"
	assert.NotEqual(t, rn.stepDigest(planned, nil), rn.stepDigest(now, nil))
	assert.Equal(t, rn.stepDigest(planned, nil), rn.unborn(now, nil))
	replaced := now
	replaced.UID = "5678"
	assert.NotEqual(t, rn.stepDigest(replaced, nil), rn.unborn(now, nil), "another object than the one that was reviewed")
	now.Verb = modules.Patch
	assert.Equal(t, rn.stepDigest(now, nil), rn.unborn(now, nil), "only a delete is bound to a UID")
}
