package runner

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

// told is what tasks of a plan, named a, b, c..., would change on the machine m.
func told(changes ...modules.Change) *predictions {
	p := &predictions{}
	for i, c := range changes {
		p.add("m", string(rune('a'+i)), c)
	}
	return p
}

func leaving(effects ...modules.Effect) modules.Change { return modules.Change{Effects: effects} }

func taking(steps ...modules.Step) modules.Change { return modules.Change{Steps: steps} }

func pathIs(name string, f modules.File) modules.Effect {
	return modules.Effect{Thing: modules.APath, Name: name, State: f}
}

// newDir is a directory that was not there before.
func newDir(name string) modules.Effect {
	return pathIs(name, modules.File{Exists: true, Mode: fs.ModeDir | 0o755, Data: []byte{}})
}

func linkTo(name, to string) modules.Effect {
	return pathIs(name, modules.File{Exists: true, Mode: fs.ModeSymlink | 0o777, Link: to})
}

func gonePath(name string) modules.Effect {
	return modules.Effect{Thing: modules.APath, Name: name, Gone: true}
}

func TestPredictedPaths(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []modules.Change
		ask     string
		found   string // the name it is found under; empty: nothing is predicted
		gone    bool
		by      string
	}{
		{name: "nothing known", ask: "/x"},
		{name: "written", changes: []modules.Change{taking(modules.Write{Path: "/x"})}, ask: "/x", found: "/x", by: "a"},
		{name: "not tidy", changes: []modules.Change{taking(modules.Write{Path: "/a//x/"})}, ask: "/a/./x", found: "/a/x", by: "a"},
		{name: "beside it", changes: []modules.Change{taking(modules.Write{Path: "/x"})}, ask: "/xy"},
		{name: "removed", changes: []modules.Change{taking(modules.Remove{Path: "/x"})}, ask: "/x", found: "/x", gone: true, by: "a"},
		{name: "below what is removed", changes: []modules.Change{taking(modules.Remove{Path: "/x", Recursive: true})}, ask: "/x/y/z", found: "/x/y/z", gone: true, by: "a"},
		{name: "the later one counts", changes: []modules.Change{taking(modules.Write{Path: "/x"}), taking(modules.Remove{Path: "/x"})}, ask: "/x", found: "/x", gone: true, by: "b"},
		{name: "goes with its directory", changes: []modules.Change{taking(modules.Write{Path: "/d/x"}), taking(modules.Remove{Path: "/d", Recursive: true}), leaving(newDir("/d"))},
			ask: "/d/x", found: "/d/x", gone: true, by: "c"},
		{name: "of a name alike", changes: []modules.Change{taking(modules.Write{Path: "/dx"}), taking(modules.Remove{Path: "/d", Recursive: true})}, ask: "/dx", found: "/dx", by: "a"},
		{name: "a new directory is empty", changes: []modules.Change{leaving(newDir("/d"))}, ask: "/d/x", found: "/d/x", gone: true, by: "a"},
		{name: "but for what is put there", changes: []modules.Change{leaving(newDir("/d")), taking(modules.Write{Path: "/d/x"})}, ask: "/d/x", found: "/d/x", by: "b"},
		{name: "an old directory is not", changes: []modules.Change{leaving(pathIs("/d", modules.File{Exists: true, Mode: fs.ModeDir | 0o700}))}, ask: "/d/x"},
		{name: "below a file there is nothing", changes: []modules.Change{taking(modules.Write{Path: "/x"})}, ask: "/x/y", found: "/x/y", gone: true, by: "a"},
		{name: "through a link", changes: []modules.Change{taking(modules.Write{Path: "/r/1/x"}), leaving(linkTo("/now", "r/1"))}, ask: "/now/x", found: "/r/1/x", by: "a"},
		{name: "through a link to what is there", changes: []modules.Change{leaving(linkTo("/now", "/r/1"))}, ask: "/now/x", found: "/r/1/x", by: "a"},
		{name: "the link itself", changes: []modules.Change{leaving(linkTo("/now", "/r/1"))}, ask: "/now", found: "/now", by: "a"},
		{name: "through two links", changes: []modules.Change{leaving(linkTo("/a", "/b")), leaving(linkTo("/b/c", "../d")), taking(modules.Write{Path: "/d/x"})}, ask: "/a/c/x", found: "/d/x", by: "c"},
		{name: "a circle leads nowhere", changes: []modules.Change{leaving(linkTo("/a", "/b")), leaving(linkTo("/b", "/a"))}, ask: "/a/x", found: "/a/x", gone: true, by: "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, ok := told(c.changes...).of("m")(modules.APath, c.ask)
			require.Equal(t, c.found != "", ok)
			assert.Equal(t, c.found, e.Name)
			assert.Equal(t, c.gone, e.Gone)
			assert.Equal(t, c.by, e.By)
		})
	}
}

func TestAMachineHasItsOwnPredictions(t *testing.T) {
	p := told(taking(modules.Write{Path: "/x"}))
	_, ok := p.of("other")(modules.APath, "/x")
	assert.False(t, ok)
	_, ok = new(predictions).of("m")(modules.APath, "/x")
	assert.False(t, ok)
}

func TestWhatAWriteLeaves(t *testing.T) {
	old := modules.File{Exists: true, Mode: 0o600, Owner: "app", UID: 7, Group: "web", GID: 8, Data: []byte("old"), Size: 3}
	for _, c := range []struct {
		name   string
		before []modules.Change
		write  modules.Write
		want   modules.File
	}{
		{"of all", nil, modules.Write{Data: []byte("ab"), Mode: 0o640, Owner: "u", Group: "g"},
			modules.File{Exists: true, Data: []byte("ab"), Size: 2, Mode: 0o640, Owner: "u", Group: "g", UID: -1, GID: -1}},
		{"mode and owner of what may be there are not known", nil, modules.Write{},
			modules.File{Exists: true, Data: []byte{}, UID: -1, GID: -1}},
		{"those of the plan are", []modules.Change{leaving(pathIs("/x", old))}, modules.Write{Data: []byte("n")},
			modules.File{Exists: true, Data: []byte("n"), Size: 1, Mode: 0o600, Owner: "app", UID: 7, Group: "web", GID: 8}},
		{"a new file has the usual mode", []modules.Change{leaving(gonePath("/x"))}, modules.Write{},
			modules.File{Exists: true, Data: []byte{}, Mode: 0o644, UID: -1, GID: -1}},
		{"in a new directory too", []modules.Change{leaving(newDir("/"))}, modules.Write{},
			modules.File{Exists: true, Data: []byte{}, Mode: 0o644, UID: -1, GID: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.write.Path = "/x"
			e, ok := told(append(c.before, taking(c.write))...).of("m")(modules.APath, "/x")
			require.True(t, ok)
			assert.Equal(t, c.want, e.State)
		})
	}
}

func TestEffectsOverruleStepsAndKeepWhatTheyDoNotTouch(t *testing.T) {
	mode := modules.File{Exists: true, Mode: 0o600, Owner: "app"}
	p := told(taking(modules.Write{Path: "/x", Data: []byte("ab")}), leaving(pathIs("/x", mode)))
	e, _ := p.of("m")(modules.APath, "/x")
	mode.Data, mode.Size = []byte("ab"), 2
	assert.Equal(t, mode, e.State, "a new mode does not change the content")

	unknown := modules.File{Exists: true, Mode: 0o600, Size: -1}
	p.add("m", "c", leaving(pathIs("/x", unknown)))
	e, _ = p.of("m")(modules.APath, "/x")
	assert.Equal(t, unknown, e.State, "a new content does")

	c := taking(modules.Write{Path: "/y", Mode: 0o600})
	c.Effects = []modules.Effect{pathIs("/y", modules.File{Exists: true, Mode: fs.ModeSetuid | 0o755, Data: []byte{}})}
	e, _ = told(c).of("m")(modules.APath, "/y")
	assert.Equal(t, fs.ModeSetuid|0o755, e.State.(modules.File).Mode)

	p = told(leaving(newDir("/d")), leaving(pathIs("/d", modules.File{Exists: true, Mode: fs.ModeDir | 0o700})))
	e, ok := p.of("m")(modules.APath, "/d/x")
	assert.True(t, ok && e.Gone, "a new mode does not fill a new directory")
}

func TestPredictedPackages(t *testing.T) {
	version := func(name, v string) modules.Effect {
		return modules.Effect{Thing: modules.APackage, Name: name, State: v}
	}
	gone := modules.Effect{Thing: modules.APackage, Name: "web", Gone: true}
	_, ok := told(leaving(gone)).of("m")(modules.APackage, "")
	assert.False(t, ok, "a package that goes brings nothing")

	foresee := told(leaving(version("lib", "1"), version("web", "2"))).of("m")
	e, ok := foresee(modules.APackage, "")
	assert.True(t, ok)
	assert.Equal(t, modules.Effect{Thing: modules.APackage, Name: "web", State: "2", By: "a"}, e)
	e, _ = foresee(modules.APackage, "lib")
	assert.Equal(t, "1", e.State)

	e, ok = told(leaving(version("lib", "1"), version("web", "2")), leaving(gone)).of("m")(modules.APackage, "")
	assert.True(t, ok)
	assert.Equal(t, "lib", e.Name)
}

func TestPredictedPathsThatMatch(t *testing.T) {
	foresee := told(taking(modules.Write{Path: "/d/b.log"}, modules.Write{Path: "/d/a.log"}, modules.Write{Path: "/d/sub/c.log"}, modules.Write{Path: "/dd"}),
		taking(modules.Remove{Path: "/d/z.log"})).of("m")
	for pattern, want := range map[string][]string{
		"/d/*.log": {"/d/a.log", "/d/b.log", "/d/z.log"}, "/d/**": {"/d/a.log", "/d/b.log", "/d/sub/c.log", "/d/z.log"},
		"/**": {"/d/a.log", "/d/b.log", "/d/sub/c.log", "/d/z.log", "/dd"}, "/no/*": nil, "/d/[": nil,
	} {
		e, ok := foresee(modules.SomePaths, pattern)
		assert.Equal(t, want != nil, ok, pattern)
		var names []string
		for _, found := range e.State.([]modules.Effect) {
			names = append(names, found.Name)
			assert.Equal(t, found.Name == "/d/z.log", found.Gone)
		}
		assert.Equal(t, want, names, pattern)
	}
}

func TestAnEffectWithoutAReasonGetsOne(t *testing.T) {
	p := &predictions{}
	p.add("m", "make it", leaving(modules.Effect{Thing: modules.APath, Name: "/x", State: modules.Unforeseen{}}))
	e, _ := p.of("m")(modules.APath, "/x")
	assert.Equal(t, modules.Unforeseen{Reason: `what the task "make it" makes of path "/x"`}, e.State)
	below, ok := p.of("m")(modules.APath, "/x/y")
	assert.True(t, ok)
	assert.Equal(t, e.State, below.State)
}

func TestReadFileForesees(t *testing.T) {
	disk := map[string]modules.File{
		"/old":   {Exists: true, Data: []byte("old"), Size: 3, Mode: 0o644, Owner: "root", Group: "root"},
		"/r/1/x": {Exists: true, Data: []byte("one"), Size: 3, Mode: 0o600},
		"/link":  {Exists: true, Data: []byte("old"), Size: 3, Link: "old"},
	}
	read := func(_ context.Context, name string) (modules.File, error) {
		if name == "/lost" {
			return modules.File{}, errors.New("lost")
		}
		return disk[name], nil
	}
	for _, c := range []struct {
		name    string
		changes []modules.Change
		ask     string
		want    modules.File
		err     string
	}{
		{name: "nothing known", ask: "/old", want: disk["/old"]},
		{name: "lost", ask: "/lost", err: "lost"},
		{name: "written", changes: []modules.Change{taking(modules.Write{Path: "/old", Data: []byte("new"), Mode: 0o600, Owner: "u", Group: "g"})}, ask: "/old",
			want: modules.File{Exists: true, Data: []byte("new"), Size: 3, Mode: 0o600, Owner: "u", Group: "g", UID: -1, GID: -1}},
		{name: "removed", changes: []modules.Change{taking(modules.Remove{Path: "/old"})}, ask: "/old"},
		{name: "of unknown content", changes: []modules.Change{leaving(pathIs("/old", modules.File{Exists: true, Size: -1}))}, ask: "/old",
			err: `known after apply: the content of "/old", which the task "a" makes`},
		{name: "of unknown kind", changes: []modules.Change{leaving(modules.Effect{Thing: modules.APath, Name: "/old"})}, ask: "/old",
			err: `known after apply: what "/old" is, which the task "a" makes`},
		{name: "of unknown presence", changes: []modules.Change{leaving(modules.Effect{Thing: modules.APath, Name: "/old", State: modules.Unforeseen{Reason: "why"}})}, ask: "/old",
			err: "known after apply: why"},
		{name: "only its mode", changes: []modules.Change{leaving(pathIs("/old", modules.File{Exists: true, Mode: 0o600, Owner: "app", UID: 7}))}, ask: "/old",
			want: modules.File{Exists: true, Data: []byte("old"), Size: 3, Mode: 0o600, Owner: "app", UID: 7, Group: "root"}},
		{name: "through a link of the plan", changes: []modules.Change{leaving(linkTo("/now", "r/1"))}, ask: "/now/x", want: disk["/r/1/x"]},
		{name: "at a link of the plan", changes: []modules.Change{leaving(linkTo("/now", "r/1/x"))}, ask: "/now",
			want: modules.File{Exists: true, Data: []byte("one"), Size: 3, Mode: 0o600, Link: "r/1/x"}},
		{name: "at a link to what is written", changes: []modules.Change{taking(modules.Write{Path: "/old", Data: []byte("n"), Mode: 0o600})}, ask: "/link",
			want: modules.File{Exists: true, Data: []byte("n"), Size: 1, Mode: 0o600, UID: -1, GID: -1, Link: "old"}},
		{name: "in a circle", changes: []modules.Change{leaving(linkTo("/a", "b"), linkTo("/b", "a"))}, ask: "/a", err: "the links that the plan makes lead in a circle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := told(c.changes...).readFile(t.Context(), "m", c.ask, read)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, f)
		})
	}
}

func TestPredictionsAreSafeForManyHosts(t *testing.T) {
	var p predictions
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				p.add("m", "a", taking(modules.Write{Path: "/x"}))
				_, ok := p.of("m")(modules.APath, "/x")
				assert.True(t, ok)
			}
		})
	}
	all.Wait()
}

func TestWhatMayRunMayLeaveAnything(t *testing.T) {
	p := told(taking(modules.Write{Path: "/x"}), leaving(newDir("/d")))
	c := taking(modules.Write{Path: "/y"}, modules.Remove{Path: "/x"})
	c.Effects = []modules.Effect{{Thing: modules.APackage, Name: "web", State: "1"}}
	p.perhaps("m", "c", "whether it runs", c)
	foresee := p.of("m")
	for name, thing := range map[string]modules.Thing{"/y": modules.APath, "/x": modules.APath, "web": modules.APackage} {
		e, ok := foresee(thing, name)
		assert.True(t, ok)
		assert.False(t, e.Gone, "that is not known")
		assert.Equal(t, modules.Unforeseen{Reason: "whether it runs"}, e.State)
	}
	e, _ := foresee(modules.APath, "/d")
	assert.IsType(t, modules.File{}, e.State, "what it does not touch stays foreseen")
}

func TestWhatAResultDoesNotKnowIsUnknown(t *testing.T) {
	v := registered(map[string]any{"stat": map[string]any{"exists": true, "mtime": modules.Unforeseen{Reason: "why"}}, "list": []any{1, modules.Unforeseen{Reason: "why"}}})
	unknown, found := jinja.FindUnknown(v)
	require.True(t, found)
	assert.Equal(t, "why", unknown.Reason)
	stat, _ := v.(*jinja.Dict).Get("stat")
	exists, _ := stat.(*jinja.Dict).Get("exists")
	assert.Equal(t, jinja.Bool(true), exists)
	_, found = jinja.FindUnknown(registered(map[string]any{"a": []any{"b"}}))
	assert.False(t, found)
}
