package modules

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAptFreshLists(t *testing.T) {
	const policy = "@lists /var/tmp/x\n@policy\nrbdemo:\n  Candidate: 1.0\n"
	for title, c := range map[string]struct {
		name, errors string
		answer       Output
		err          error
		notes        []string
		fails        string
		left         bool // there is no folder to remove
	}{
		"all there":      {name: "rbdemo", answer: Output{Stdout: policy}},
		"some are not":   {name: "rbdemo", errors: "warn", answer: Output{Stdout: "@incomplete\n" + policy, Stderr: "E: Failed to fetch x\n"}, notes: []string{"some package lists cannot be fetched: Failed to fetch x"}},
		"some must be":   {name: "rbdemo", errors: "fail", answer: Output{Stdout: "@incomplete\n" + policy, Stderr: "E: Failed to fetch x\n"}, fails: "the package lists cannot be fetched: Failed to fetch x"},
		"in none":        {name: "nosuch", answer: Output{Stdout: policy}, fails: `package "nosuch" is not in this host's package lists, fetched just now: either the name is wrong or its repository is not among the sources`},
		"a full disk":    {name: "rbdemo", answer: Output{Stderr: "mktemp: no space left\n"}, left: true, fails: "no folder for the package lists: mktemp: no space left"},
		"cannot be told": {name: "rbdemo", err: errors.New("no route"), left: true, fails: "no route"},
	} {
		t.Run(title, func(t *testing.T) {
			a := aptWith(func(a *apt) { a.Name, a.UpdateCache, a.UpdateErrors = []string{c.name}, true, c.errors })
			target := &fake{commands: map[string]Output{
				a.probe().String(): {Stdout: recorded(t, "apt/look")}, a.fresh().String(): c.answer, "rm -rf -- /var/tmp/x": {},
			}}
			if c.err != nil {
				target.errs = map[string]error{a.fresh().String(): c.err}
			}
			change, err := a.Check(t.Context(), target)
			assert.Equal(t, !c.left, target.asked[len(target.asked)-1] == "rm -rf -- /var/tmp/x", "what was made for the look is removed")
			if c.fails != "" {
				assert.EqualError(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.notes, change.Notes)
			assert.Len(t, change.Steps, 1)
		})
	}
}

// What an update would bring is planned before it is made, and the host's own
// lists stay as they are.
func TestAptFreshConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 1.0")
	r.sh("apt-get -qq update; apt-get -y install rbdemo")
	r.pack("rbdemo 2.0")
	a := aptWith(func(a *apt) { a.Name, a.State, a.UpdateCache = []string{"rbdemo"}, "latest", true })
	lists := "find /var/lib/apt /tmp -printf '%p %s\n' | sort; cat /var/lib/apt/lists/*_Packages"
	before := r.sh(lists)
	change := check(t, a, r)
	assert.Equal(t, before, r.sh(lists), "a look changes nothing")
	assert.Equal(t, Diff{What: "package rbdemo", Have: "1.0", Want: "2.0"}, change.Diffs[1])
	require.Len(t, change.Steps, 2)
	r.take(change)
	assert.Empty(t, check(t, a, r).Diffs)
}
