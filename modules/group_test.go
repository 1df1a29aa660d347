package modules

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func numbered(n int) *int { return &n }

func TestGroup(t *testing.T) {
	there := Output{Stdout: "web:x:100:a,b\n"}
	none := Output{Code: 2}
	for _, c := range []struct {
		name      string
		group     group
		getent    Output
		predicted []Effect
		diffs     []string
		steps     []string
		gid       any // registered; nil: not known
	}{
		{name: "as asked", group: group{GID: numbered(100)}, getent: there, gid: 100},
		{name: "any number", group: group{}, getent: there, gid: 100},
		{name: "missing", group: group{}, getent: none, diffs: []string{"group web: absent -> present"}, steps: []string{"groupadd -- web"}},
		{
			name: "missing, of the system, with a number", group: group{GID: numbered(9), System: true}, getent: none,
			diffs: []string{"group web: absent -> present, gid 9"}, steps: []string{"groupadd -r -g 9 -- web"}, gid: 9,
		},
		{
			name: "another number", group: group{GID: numbered(7)}, getent: there,
			diffs: []string{"gid of group web: 100 -> 7"}, steps: []string{"groupmod -g 7 -- web"}, gid: 7,
		},
		{
			name: "unwanted", group: group{State: "absent"}, getent: there,
			diffs: []string{"group web: present -> absent"}, steps: []string{"groupdel -- web"},
		},
		{name: "unwanted, and not there", group: group{State: "absent"}, getent: none},
		{
			name: "made by an earlier task", group: group{GID: numbered(7)}, getent: none,
			predicted: []Effect{{Thing: AGroup, Name: "web", State: Group{Name: "web", GID: 7}}}, gid: 7,
		},
		{
			name: "made with a number that the host chooses", group: group{}, getent: none, gid: Unforeseen{Reason: `the number of group web, which the task "make it" makes`},
			predicted: []Effect{{Thing: AGroup, Name: "web", State: Group{Name: "web", GID: -1}, By: "make it"}},
		},
		{
			name: "removed by an earlier task", group: group{}, getent: there, predicted: []Effect{{Thing: AGroup, Name: "web", Gone: true}},
			diffs: []string{"group web: absent -> present"}, steps: []string{"groupadd -- web"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := c.group
			g.Name = "web"
			if g.State == "" {
				g.State = "present"
			}
			require.NoError(t, g.Validate())
			change := check(t, &g, &fake{commands: map[string]Output{"getent group web": c.getent}, predicted: c.predicted})
			assert.Equal(t, c.diffs, diffLines(change))
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.gid, change.Vars["gid"])
			assert.Equal(t, len(c.steps), len(change.Effects), "a step without an effect")
		})
	}
}

func TestGroupEffects(t *testing.T) {
	target := &fake{commands: map[string]Output{"getent group web": {Code: 2}}}
	change := check(t, &group{Name: "web", State: "present"}, target)
	assert.Equal(t, []Effect{{Thing: AGroup, Name: "web", State: Group{Name: "web", GID: -1}}}, change.Effects)
}

func TestGroupCannotTell(t *testing.T) {
	for want, target := range map[string]*fake{
		"exit code 1":      {commands: map[string]Output{"getent group web": {Code: 1, Stderr: "broken"}}},
		"wanted a line":    {commands: map[string]Output{"getent group web": {Stdout: "nonsense"}}},
		"no number":        {commands: map[string]Output{"getent group web": {Stdout: "web:x:many:"}}},
		"unexpected query": {},
		"which the task":   {commands: map[string]Output{"getent group web": {Code: 2}}, predicted: []Effect{{Thing: AGroup, Name: "web", By: "x"}}},
	} {
		_, err := (&group{Name: "web", State: "present", GID: numbered(5)}).Check(context.Background(), target)
		assert.ErrorContains(t, err, want)
	}
}

func TestGroupArguments(t *testing.T) {
	for _, name := range []string{"", "-r", "a b", "a:b", "123", "a,b", "../x", "a\nb"} {
		assert.Error(t, (&group{Name: name}).Validate(), name)
	}
	assert.Error(t, (&group{Name: "a", GID: numbered(-1)}).Validate())
	assert.NoError(t, (&group{Name: "_a.b-c9", GID: numbered(0)}).Validate())
}
