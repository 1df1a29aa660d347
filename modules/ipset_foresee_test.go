package modules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSetsOfAPlan(t *testing.T) {
	options := map[string]string{"family": "inet", "hashsize": "1024", "maxelem": "65536", "bucketsize": "12"}
	planned := func(s IPSet) Effect { return Effect{Thing: ASet, Name: "foreign", State: s, By: "before"} }
	absent := strings.Replace(recorded(t, "ipset/look"), "@have\ncreate foreign hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x4b3f7e8a\nadd foreign 10.0.0.1\n", "", 1)
	unreadable := recorded(t, "ipset/unreadable")
	ahead := plannedPackage("ipset", "7.17")
	const soon = `known after apply: what ipset says when the task "install" has installed package "ipset"`
	for name, c := range map[string]struct {
		set    func(*ipset)
		look   string
		ahead  []Effect
		steps  int
		leaves []Effect
		err    string
	}{
		"made by then":          {look: absent, ahead: []Effect{planned(IPSet{"hash:ip", options, []string{"10.0.0.1"}})}},
		"made and to be filled": {look: absent, ahead: []Effect{planned(IPSet{"hash:ip", options, []string{}})}, steps: 1, leaves: []Effect{{Thing: ASet, Name: "foreign", State: IPSet{"hash:ip", options, []string{"10.0.0.1"}}}}},
		"with one more": {look: absent, set: func(s *ipset) { s.Exact = false }, ahead: []Effect{planned(IPSet{"hash:ip", options, []string{"10.0.0.2"}})}, steps: 1,
			leaves: []Effect{{Thing: ASet, Name: "foreign", State: IPSet{"hash:ip", options, []string{"10.0.0.1", "10.0.0.2"}}}}},
		"of another type by then": {look: absent, ahead: []Effect{planned(IPSet{"hash:net", options, nil})}, err: "is of type hash:net family inet, and hash:ip family inet is wanted"},
		"gone by then":            {look: recorded(t, "ipset/look"), ahead: []Effect{{Thing: ASet, Name: "foreign", Gone: true}}, steps: 1, leaves: []Effect{{Thing: ASet, Name: "foreign", State: IPSet{"hash:ip", options, []string{"10.0.0.1"}}}}},
		"gone twice":              {look: recorded(t, "ipset/look"), set: func(s *ipset) { s.State, s.Members = "absent", nil }, ahead: []Effect{{Thing: ASet, Name: "foreign", Gone: true}}},
		"made by then, to go": {look: absent, set: func(s *ipset) { s.State, s.Members = "absent", nil }, ahead: []Effect{planned(IPSet{"hash:ip", options, nil})}, steps: 1,
			leaves: []Effect{{Thing: ASet, Name: "foreign", Gone: true}}},
		"nobody knows":                   {look: absent, ahead: []Effect{{Thing: ASet, Name: "foreign", State: Unforeseen{"why"}}}, err: "known after apply: why"},
		"ipset itself comes":             {look: "@missing\n", ahead: []Effect{ahead}, err: soon},
		"ipset itself becomes newer":     {look: unreadable, ahead: []Effect{ahead}, err: soon},
		"what it refuses, a newer takes": {look: "@refused\nipset v7.17: Error in line 2: Syntax error: x\n", ahead: []Effect{ahead}, err: soon},
	} {
		t.Run(name, func(t *testing.T) {
			set := newIpset("foreign", "10.0.0.1")
			if c.set != nil {
				c.set(set)
			}
			change, err := set.Check(t.Context(), &fake{commands: map[string]Output{set.query().String(): {Stdout: c.look}}, predicted: c.ahead})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Len(t, change.Steps, c.steps)
			assert.Equal(t, c.leaves, change.Effects)
		})
	}
	report := newIpset("")
	_, err := report.Check(t.Context(), &fake{commands: map[string]Output{report.reportQuery().String(): {Stdout: recorded(t, "ipset/report")}}, predicted: []Effect{ahead}})
	assert.EqualError(t, err, soon)
}
