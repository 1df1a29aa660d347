package modules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPackagesOfAPlan(t *testing.T) {
	gone := func(name, state string) Effect {
		e := Effect{Thing: APackage, Name: name, Gone: true, By: "remove"}
		if state != "" {
			e.State = state
		}
		return e
	}
	sources := func(f File) Effect {
		return Effect{Thing: SomePaths, Name: "/etc/apt/**", State: []Effect{plannedPath("/etc/apt/sources.list.d/x.list", f)}}
	}
	written := sources(File{Data: []byte("deb x")})
	const unsure = `known after apply: what the package lists have when the task "before" has changed /etc/apt/sources.list.d/x.list`
	for name, c := range map[string]struct {
		args    func(*apt)
		ahead   []Effect
		command string
		answer  string // recorded, or what apt says
		diffs   []string
		steps   []string
		leaves  []Effect
		err     string
	}{
		"installed by then": {args: func(a *apt) { a.Name = []string{"rbfoe"} }, ahead: []Effect{plannedPackage("rbfoe", "1.0")}},
		"newest by then":    {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, ahead: []Effect{plannedPackage("rbdemo", "2.0")}},
		"an older one by then": {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, ahead: []Effect{plannedPackage("rbdemo", "1.5")},
			command: "install -- rbdemo", answer: "apt/latest", diffs: []string{"package rblib: 1.0 -> 2.0", "package rbdemo: 1.5 -> 2.0"},
			steps:  []string{aptStep + "--no-remove install -- rbdemo=2.0"},
			leaves: []Effect{{Thing: APackage, Name: "rblib", State: "2.0"}, {Thing: APackage, Name: "rbdemo", State: "2.0"}}},
		"one of two by then": {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, ahead: []Effect{plannedPackage("rblib", "2.0")},
			command: "install -- rbdemo", answer: "apt/latest", diffs: []string{"package rbdemo: 1.0 -> 2.0"},
			steps:  []string{aptStep + "--no-remove install -- rbdemo=2.0"},
			leaves: []Effect{{Thing: APackage, Name: "rbdemo", State: "2.0"}}},
		"an older one again": {args: func(a *apt) { a.Name, a.AllowDowngrade = []string{"rbdemo=1.0"}, true }, ahead: []Effect{plannedPackage("rbdemo", "2.0")},
			command: "install -- rbdemo=1.0", answer: "Done\n", diffs: []string{"package rbdemo: 2.0 -> 1.0"},
			steps:  []string{aptStep + "--no-remove --allow-downgrades install -- rbdemo=1.0"},
			leaves: []Effect{{Thing: APackage, Name: "rbdemo", State: "1.0"}}},
		"gone by then": {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "absent" }, ahead: []Effect{gone("rbdemo", "config-files")}},
		"gone by then, but for its configuration": {args: func(a *apt) { a.Name, a.State, a.Purge = []string{"rbdemo"}, "absent", true }, ahead: []Effect{gone("rbdemo", "config-files")},
			command: "--purge remove -- rbdemo", answer: "Purg rbdemo [1.0]\n", diffs: []string{"package rbdemo: 1.0 -> purged"},
			steps: []string{aptStep + "--purge remove -- rbdemo"}, leaves: []Effect{{Thing: APackage, Name: "rbdemo", Gone: true}}},
		"gone by then, wanted again": {args: func(a *apt) { a.Name = []string{"rbdemo"} }, ahead: []Effect{gone("rbdemo", "")},
			command: "install -- rbdemo", answer: "Done\n", diffs: []string{"package rbdemo: not installed -> 2.0"},
			steps: []string{aptStep + "--no-remove install -- rbdemo=2.0"}, leaves: []Effect{{Thing: APackage, Name: "rbdemo", State: "2.0"}}},
		"installed by then, to go": {args: func(a *apt) { a.Name, a.State = []string{"rbfoe"}, "absent" }, ahead: []Effect{plannedPackage("rbfoe", "1.0")},
			command: "remove -- rbfoe", answer: "Done\n", diffs: []string{"package rbfoe: 1.0 -> removed"},
			steps: []string{aptStep + "remove -- rbfoe"}, leaves: []Effect{{Thing: APackage, Name: "rbfoe", Gone: true, State: "config-files"}}},
		"nobody knows":                       {args: func(a *apt) { a.Name = []string{"rbdemo"} }, ahead: []Effect{{Thing: APackage, Name: "rbdemo", State: Unforeseen{"why"}}}, err: "known after apply: why"},
		"other sources, and not in the old":  {args: func(a *apt) { a.Name = []string{"nosuch"} }, ahead: []Effect{written}, err: unsure},
		"other sources, and another version": {args: func(a *apt) { a.Name, a.UpdateCache = []string{"rbfoe"}, true }, ahead: []Effect{written}, err: unsure},
		"other sources, and newest":          {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, ahead: []Effect{written}, err: unsure},
		"other sources, and there already":   {args: func(a *apt) { a.Name = []string{"rbdemo"} }, ahead: []Effect{written}},
		"other sources, and to go": {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "absent" }, ahead: []Effect{written}, command: "remove -- rbdemo", answer: "apt/absent",
			diffs: []string{"package rbdemo: 1.0 -> removed"}, steps: []string{aptStep + "remove -- rbdemo"}, leaves: []Effect{{Thing: APackage, Name: "rbdemo", Gone: true, State: "config-files"}}},
		"only a mode of the sources": {args: func(a *apt) { a.Name = []string{"nosuch"} }, ahead: []Effect{sources(File{Mode: 0o600})}, err: `package "nosuch" is not in this host's package lists`},
		"lists of other sources": {args: func(a *apt) { a.CacheValidTime = 1 << 40 }, ahead: []Effect{written}, diffs: []string{"package lists: older than the sources -> fetched"},
			steps:  []string{"apt-get -q -o APT::Update::Error-Mode=any update"},
			leaves: []Effect{{Thing: APath, Name: aptStamp, State: aptLists{[]string{"/etc/apt/sources.list.d/x.list\nbefore"}}}}},
		"lists of other sources, fetched by then": {args: func(a *apt) { a.CacheValidTime = 1 << 40 },
			ahead: []Effect{written, {Thing: APath, Name: aptStamp, State: aptLists{[]string{"/etc/apt/sources.list.d/x.list\nbefore"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := aptWith(c.args)
			require.NoError(t, a.Validate())
			target := &fake{commands: map[string]Output{a.probe().String(): {Stdout: recorded(t, "apt/look")}}, predicted: c.ahead}
			if c.command != "" {
				answer := c.answer
				if strings.HasPrefix(answer, "apt/") {
					answer = recorded(t, answer)
				}
				target.commands[aptPlanned+c.command] = Output{Stdout: answer}
			}
			change, err := a.Check(t.Context(), target)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, said(change.Diffs))
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.leaves, change.Effects)
		})
	}
}

// A task after one that fetches the lists is planned by lists as they will be.
func TestListsThatAnEarlierTaskFetches(t *testing.T) {
	a := aptWith(func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" })
	target := &fake{
		predicted: []Effect{{Thing: APath, Name: aptStamp, State: aptLists{}, By: "update"}},
		commands: map[string]Output{
			a.probe().String(): {Stdout: strings.Replace(recorded(t, "apt/look"), "Candidate: 2.0", "Candidate: 1.0", 1)},
			a.fresh().String(): {Stdout: "@lists /var/tmp/x\n@policy\nrbdemo:\n  Candidate: 2.0\n"}, "rm -rf -- /var/tmp/x": {},
			strings.Replace(aptPlanned, "apt-get", "apt-get -c /var/tmp/x/apt.conf", 1) + "install -- rbdemo": {Stdout: recorded(t, "apt/latest")},
		},
	}
	change := check(t, a, target)
	assert.Equal(t, []string{"package rblib: 1.0 -> 2.0", "package rbdemo: 1.0 -> 2.0"}, said(change.Diffs))
	assert.Equal(t, []string{aptStep + "--no-remove install -- rbdemo=2.0"}, stepLines(change), "it does not fetch them itself")
}

// A run that died after its update does not fetch the lists a second time.
func TestAptRemembersWhatItSawFirst(t *testing.T) {
	made := func() *apt { return aptWith(func(a *apt) { a.UpdateCache = true }) }
	look := recorded(t, "apt/look")
	first := made()
	assert.Nil(t, first.Seen())
	require.Len(t, check(t, first, &fake{commands: map[string]Output{first.probe().String(): {Stdout: look}}}).Steps, 1)

	resumed := made()
	require.NoError(t, resumed.Recall(first.Seen()))
	fetched := &fake{commands: map[string]Output{resumed.probe().String(): {Stdout: strings.Replace(look, "clean 1795385699", "clean 1795385700", 1)}}}
	assert.Empty(t, check(t, resumed, fetched).Steps)
	assert.Len(t, check(t, made(), fetched).Steps, 1, "who does not remember fetches them again")
	assert.ErrorContains(t, made().Recall([]byte("x")), "what was first seen of the packages cannot be read")
}
