package modules

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ahead is this machine in a plan: what stands here, and what is predicted.
type ahead struct {
	*here
	predicted []Effect
	leads     map[string]string // where paths lead through links of the plan
}

func (a *ahead) Predicted(thing Thing, name string) (Effect, bool) {
	if to := a.leads[name]; to != "" {
		return Effect{Thing: thing, Name: to, State: Elsewhere{}, By: "before"}, true
	}
	return (&fake{predicted: a.predicted}).Predicted(thing, name)
}

func plannedPath(name string, f File) Effect {
	f.Exists = true
	return Effect{Thing: APath, Name: name, State: f, By: "before"}
}

func plannedDir(name string) Effect {
	return plannedPath(name, File{Mode: fs.ModeDir | 0o755, Owner: "root", Group: "root", Data: []byte{}})
}

func plannedFile(name, text string) Effect {
	return plannedPath(name, File{Mode: 0o640, Owner: "app", Group: "app", UID: -1, GID: -1, Data: []byte(text), Size: int64(len(text))})
}

func plannedGone(name string) Effect {
	return Effect{Thing: APath, Name: name, Gone: true, By: "before"}
}

func TestFilesOfAPlan(t *testing.T) {
	at := func(m *file) { m.Mode = "0640" }
	tests := []struct {
		name  string
		m     func(dir string) Module
		ahead func(dir string) []Effect
		steps []string // DIR stands for the directory
		err   string
	}{
		{name: "copy into a new directory",
			m:     func(d string) Module { return newCopy(d+"/new/x", withContent("a")) },
			ahead: func(d string) []Effect { return []Effect{plannedDir(d + "/new"), plannedGone(d + "/new/x")} },
			steps: []string{"write DIR/new/x (1 bytes)"}},
		{name: "copy to a new directory by its name",
			m:     func(d string) Module { return newCopy(d+"/new", fromLocal("b", "b")) },
			ahead: func(d string) []Effect { return []Effect{plannedDir(d + "/new"), plannedGone(d + "/new/b")} },
			steps: []string{"write DIR/new/b (1 bytes)"}},
		{name: "copy of what is written already",
			m:     func(d string) Module { return newCopy(d+"/x", withContent("a")) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "a")} }},
		{name: "copy of something else",
			m:     func(d string) Module { return newCopy(d+"/old", withContent("a")) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/old", "b")} },
			steps: []string{"write DIR/old (1 bytes)"}},
		{name: "copy of what is there, after it is gone",
			m:     func(d string) Module { return newCopy(d+"/old", withContent("old")) },
			ahead: func(d string) []Effect { return []Effect{plannedGone(d + "/old")} },
			steps: []string{"write DIR/old (3 bytes)"}},
		{name: "copy below what is gone",
			m: func(d string) Module { return newCopy(d+"/sub/x", withContent("a")) },
			ahead: func(d string) []Effect {
				return []Effect{plannedGone(d + "/sub"), plannedGone(d + "/sub/x")}
			},
			err: `directory "DIR/sub" does not exist on the target; create it first (file, state: directory)`},
		{name: "copy with other attributes",
			m: func(d string) Module {
				return newCopy(d+"/x", func(m *copyFile) { withContent("a")(m); m.Mode, m.Owner = "0600", "web" })
			},
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "a")} },
			steps: []string{"chown web -- DIR/x", "chmod 0600 -- DIR/x"}},
		{name: "copy over an unknown content",
			m:     func(d string) Module { return newCopy(d+"/x", withContent("a")) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/x", File{Mode: 0o600, Size: -1})} },
			err:   `known after apply: the content of "DIR/x", which the task "before" makes`},
		{name: "copy over an unknown thing",
			m:     func(d string) Module { return newCopy(d+"/x", withContent("a")) },
			ahead: func(d string) []Effect { return []Effect{{Thing: APath, Name: d + "/x", By: "before"}} },
			err:   `known after apply: what "DIR/x" is, which the task "before" makes`},
		{name: "copy beside a package",
			m:     func(d string) Module { return newCopy(d+"/conf.d/x", withContent("a")) },
			ahead: func(string) []Effect { return []Effect{{Thing: APackage, Name: "", State: "1", By: "before"}} },
			err:   `known after apply: whether directory "DIR/conf.d" comes with package "", which the task "before" installs`},
		{name: "a mode that was set already",
			m:     func(d string) Module { return newFile(d+"/old", "file", at) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/old", File{Mode: 0o640})} }},
		{name: "the content stays where only the mode was set",
			m:     func(d string) Module { return newCopy(d+"/old", withContent("old")) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/old", File{Mode: 0o640})} }},
		{name: "another mode than was set",
			m:     func(d string) Module { return newFile(d+"/old", "file", func(m *file) { m.Mode = "0600" }) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/old", File{Mode: 0o640})} },
			steps: []string{"chmod 0600 -- DIR/old"}},
		{name: "a mode that nobody knows",
			m:     func(d string) Module { return newFile(d+"/x", "file", at) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/x", File{Data: []byte{}})} },
			err:   `known after apply: the mode of "DIR/x", which the task "before" makes`},
		{name: "an owner that nobody knows",
			m:     func(d string) Module { return newFile(d+"/x", "file", func(m *file) { m.Owner = "app" }) },
			ahead: func(d string) []Effect { return []Effect{plannedPath(d+"/x", File{Mode: 0o600, Data: []byte{}})} },
			err:   `known after apply: the owner of "DIR/x", which the task "before" makes`},
		{name: "a number for an owner of whom the name is known",
			m:     func(d string) Module { return newFile(d+"/x", "file", func(m *file) { m.Owner = "7" }) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "a")} },
			err:   `known after apply: the owner of "DIR/x", which the task "before" makes`},
		{name: "a directory that is made already",
			m:     func(d string) Module { return newFile(d+"/new", "directory", func(m *file) { m.Mode = "0755" }) },
			ahead: func(d string) []Effect { return []Effect{plannedDir(d + "/new")} }},
		{name: "a directory below one",
			m:     func(d string) Module { return newFile(d+"/new/sub", "directory", at) },
			ahead: func(d string) []Effect { return []Effect{plannedDir(d + "/new"), plannedGone(d + "/new/sub")} },
			steps: []string{"mkdir -p -- DIR/new/sub", "chmod 0640 -- DIR/new/sub"}},
		{name: "a directory that is gone by then",
			m:     func(d string) Module { return newFile(d+"/sub", "directory", nil) },
			ahead: func(d string) []Effect { return []Effect{plannedGone(d + "/sub")} },
			steps: []string{"mkdir -p -- DIR/sub"}},
		{name: "what is written is removed again",
			m:     func(d string) Module { return newFile(d+"/x", "absent", nil) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "a")} },
			steps: []string{"rm DIR/x"}},
		{name: "what is gone is not removed again",
			m:     func(d string) Module { return newFile(d+"/old", "absent", nil) },
			ahead: func(d string) []Effect { return []Effect{plannedGone(d + "/old")} }},
		{name: "touched already",
			m: func(d string) Module {
				return newFile(d+"/x", "touch", func(m *file) { m.AccessTime, m.ModificationTime = "preserve", "preserve" })
			},
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "")} }},
		{name: "a link to what is written",
			m:     func(d string) Module { return newFile(d+"/link", "link", func(m *file) { m.Src = d + "/x" }) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "a")} },
			steps: []string{"ln -s -f -n -- DIR/x DIR/link"}},
		{name: "a link that is made already",
			m: func(d string) Module { return newFile(d+"/link", "link", func(m *file) { m.Src = "old" }) },
			ahead: func(d string) []Effect {
				return []Effect{plannedPath(d+"/link", File{Mode: fs.ModeSymlink | 0o777, Link: "old"})}
			}},
		{name: "at a link to what is written",
			m: func(d string) Module {
				return newCopy(d+"/tied", func(m *copyFile) { withContent("a")(m); m.Follow = true })
			},
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/old", "a")} }},
		{name: "a hard link that nobody can tell",
			m:     func(d string) Module { return newFile(d+"/x", "hard", func(m *file) { m.Src = d + "/old" }) },
			ahead: func(d string) []Effect { return []Effect{plannedFile(d+"/x", "old")} },
			err:   `known after apply: whether "DIR/x" shares a file with "DIR/old", when the task "before" is done`},
		{name: "all below a new directory",
			m: func(d string) Module {
				return newFile(d+"/new", "directory", func(m *file) { m.Recurse, m.Owner = true, "root" })
			},
			ahead: func(d string) []Effect {
				return []Effect{plannedDir(d + "/new"), {Thing: SomePaths, Name: d + "/new/**", State: []Effect{plannedFile(d+"/new/x", "a")}}}
			},
			steps: []string{"find DIR/new/ -mindepth 1 '!' -user root -exec chown -h root -- '{}' +"}},
		{name: "all below an old directory is another's, of a user yet to be made",
			m: func(d string) Module {
				return newFile(d+"/sub", "directory", func(m *file) { m.Recurse, m.Owner = true, "nobody-yet" })
			},
			ahead: func(string) []Effect {
				return []Effect{{Thing: AUser, Name: "nobody-yet", State: User{Name: "nobody-yet", UID: -1}}}
			},
			steps: []string{"chown nobody-yet -- DIR/sub", "find DIR/sub/ -mindepth 1 '!' -user nobody-yet -exec chown -h nobody-yet -- '{}' +"}},
		{name: "nothing below is another's, once all is set",
			m: func(d string) Module {
				return newFile(d+"/sub", "directory", func(m *file) { m.Recurse, m.Mode = true, "0700" })
			},
			ahead: func(d string) []Effect {
				x := plannedPath(d+"/sub/x", File{Mode: 0o700})
				return []Effect{plannedPath(d+"/sub", File{Mode: fs.ModeDir | 0o700}), x, {Thing: SomePaths, Name: d + "/sub/**", State: []Effect{x}}}
			}},
	}
	for shell, h := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.Mkdir(dir+"/sub", 0o755))
				written(t, dir+"/sub/x", "x", 0o644)
				written(t, dir+"/old", "old", 0o644)
				require.NoError(t, os.Symlink("old", dir+"/tied"))
				change, err := tt.m(dir).Check(t.Context(), &ahead{here: h, predicted: tt.ahead(dir)})
				if tt.err != "" {
					require.ErrorContains(t, err, inDir(tt.err, dir))
					return
				}
				require.NoError(t, err)
				want := []string{}
				for _, s := range tt.steps {
					want = append(want, inDir(s, dir))
				}
				assert.Equal(t, want, stepLines(change))
				assert.Equal(t, len(want) == 0, len(change.Diffs) == 0)
			})
		}
	}
}

// inDir puts the directory where DIR stands.
func inDir(text, dir string) string { return strings.ReplaceAll(text, "DIR", dir) }

func TestThroughALinkOfAPlan(t *testing.T) {
	for shell, h := range shells(t) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(dir+"/r/1/full", 0o755))
		written(t, dir+"/r/1/x", "x", 0o644)
		plan := &ahead{here: h, predicted: []Effect{plannedPath(dir+"/now", File{Mode: fs.ModeSymlink | 0o777, Link: "r/1"})},
			leads: map[string]string{dir + "/now/x": dir + "/r/1/x", dir + "/now/new": dir + "/r/1/new",
				dir + "/now/deep/new": dir + "/r/1/deep/new", dir + "/now/deep": dir + "/r/1/deep", dir + "/now/full/new": dir + "/r/1/full/new",
				dir + "/now/full": dir + "/r/1/full"}}
		assert.Empty(t, check(t, newCopy(dir+"/now/x", withContent("x")), plan).Steps, shell)
		assert.Equal(t, []string{"write " + dir + "/now/x (1 bytes)"}, stepLines(check(t, newCopy(dir+"/now/x", withContent("y")), plan)))
		assert.Equal(t, []string{"write " + dir + "/now/new (1 bytes)"}, stepLines(check(t, newCopy(dir+"/now/new", withContent("y")), plan)))
		assert.Equal(t, []string{"write " + dir + "/now/full/new (1 bytes)"}, stepLines(check(t, newCopy(dir+"/now/full/new", withContent("y")), plan)))
		assert.Equal(t, true, statOf(t, plan, func(m *stat) { m.Path = dir + "/now/x" })["isreg"])
		assert.Equal(t, true, statOf(t, plan, func(m *stat) { m.Path, m.Follow = dir+"/now", true })["isdir"])
		_, err := newCopy(dir+"/now/deep/new", withContent("y")).Check(t.Context(), plan)
		assert.ErrorContains(t, err, `directory "`+dir+`/now/deep" does not exist`)
		made := check(t, newFile(dir+"/now/deep", "directory", nil), plan)
		assert.Equal(t, []Diff{{What: dir + "/now/deep", Have: "absent", Want: "directory"}}, made.Diffs)
	}
}

func TestStatOfAPlan(t *testing.T) {
	h := shells(t)["sh"]
	dir := t.TempDir()
	written(t, dir+"/old", "old", 0o600)
	predicted := []Effect{
		plannedFile(dir+"/x", "abc"), plannedGone(dir + "/old"), {Thing: APath, Name: dir + "/vague", By: "before"},
		plannedPath(dir+"/unread", File{Mode: 0o600, Size: -1}), {Thing: APath, Name: dir + "/perhaps", State: Unforeseen{"why"}},
		plannedPath(dir+"/link", File{Mode: fs.ModeSymlink | 0o777, Link: "x"}),
	}
	of := func(name string, follow bool) map[string]any {
		return statOf(t, &ahead{here: h, predicted: predicted}, func(m *stat) { m.Path, m.Follow = dir+"/"+name, follow })
	}
	x := of("x", false)
	assert.Subset(t, x, map[string]any{
		"exists": true, "isreg": true, "isdir": false, "mode": "0640", "rusr": true, "woth": false, "size": int64(3), "pw_name": "app",
		"checksum": "a9993e364706816aba3e25717850c26c9cd0d89d",
	})
	why := Unforeseen{`what it is, which the task "before" makes`}
	for _, key := range []string{"uid", "gid", "mtime", "atime", "ctime", "inode", "dev", "nlink", "readable"} {
		assert.Equal(t, why, x[key], key)
	}
	assert.Equal(t, map[string]any{"exists": false}, of("old", false))
	vague := of("vague", false)
	assert.Equal(t, true, vague["exists"])
	assert.IsType(t, Unforeseen{}, vague["isdir"])
	assert.Equal(t, why, of("unread", false)["checksum"])
	assert.Subset(t, of("link", false), map[string]any{"islnk": true, "lnk_target": "x"})
	assert.Subset(t, of("link", true), map[string]any{"islnk": false, "isreg": true, "size": int64(3)})
	_, err := (&stat{Path: dir + "/perhaps"}).Check(t.Context(), &ahead{here: h, predicted: predicted})
	assert.Equal(t, Unforeseen{"why"}, err)
}

func TestGuardsOfAPlan(t *testing.T) {
	h := shells(t)["sh"]
	dir := t.TempDir()
	written(t, dir+"/old.log", "", 0o600)
	log := plannedFile(dir+"/new.log", "")
	goneLog := plannedGone(dir + "/old.log")
	matches := func(found ...Effect) Effect { return Effect{Thing: SomePaths, Name: dir + "/*.log", State: found} }
	for name, c := range map[string]struct {
		creates, removes, chdir string
		ahead                   []Effect
		runs                    bool
		err                     string
	}{
		"created by then":          {creates: dir + "/new.log", ahead: []Effect{log}},
		"created by then, nearby":  {creates: "new.log", chdir: dir, ahead: []Effect{log}},
		"gone by then":             {creates: dir + "/old.log", ahead: []Effect{goneLog}, runs: true},
		"removes what is gone":     {removes: dir + "/old.log", ahead: []Effect{goneLog}},
		"removes what is made":     {removes: dir + "/new.log", ahead: []Effect{log}, runs: true},
		"a pattern":                {creates: dir + "/*.log", ahead: []Effect{goneLog, matches(log, goneLog)}},
		"a pattern that may match": {creates: dir + "/*.log", ahead: []Effect{goneLog, matches(goneLog)}, err: `known after apply: what the task "before" leaves that matches`},
		"a pattern in a new place": {creates: dir + "/*.log", ahead: []Effect{plannedDir(dir)}, runs: true},
		"nobody knows":             {creates: dir + "/x", ahead: []Effect{{Thing: APath, Name: dir + "/x", State: Unforeseen{"why"}}}, err: "known after apply: why"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newCommand(func(m *command) { m.Cmd, m.Creates, m.Removes, m.Chdir = "true", c.creates, c.removes, c.chdir })
			change, err := m.Check(t.Context(), &ahead{here: h, predicted: c.ahead})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.runs, len(change.Steps) > 0)
		})
	}
	change := check(t, newCommand(func(m *command) { m.Cmd, m.Creates = "true", dir+"/made" }), h)
	assert.Equal(t, []Effect{{Thing: APath, Name: dir + "/made", State: Unforeseen{}}}, change.Effects, "whether it does make it nobody can foresee")
}

func TestWaitForAPathOfAPlan(t *testing.T) {
	h := shells(t)["sh"]
	dir := t.TempDir()
	written(t, dir+"/old", "ready", 0o600)
	predicted := []Effect{plannedFile(dir+"/x", "is ready"), plannedGone(dir + "/old"), plannedPath(dir+"/unread", File{Size: -1})}
	for name, c := range map[string]struct {
		path, state, regex, have, err string
	}{
		"made by then":   {path: "/x", state: "started"},
		"says so":        {path: "/x", state: "started", regex: "ready$"},
		"says otherwise": {path: "/x", state: "started", regex: "done", have: "there, without a match"},
		"gone by then":   {path: "/old", state: "absent"},
		"missing then":   {path: "/old", state: "started", have: "absent"},
		"nobody knows":   {path: "/unread", state: "started", regex: "x", err: `known after apply: the content of "` + dir + `/unread", which the task "before" makes`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newWaitFor(func(m *waitFor) { m.Path, m.State, m.SearchRegex = dir+c.path, c.state, c.regex })
			change, err := m.Check(t.Context(), &ahead{here: h, predicted: predicted})
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.have == "", len(change.Diffs) == 0)
			if c.have != "" {
				assert.Equal(t, c.have, change.Diffs[0].Have)
			}
		})
	}
}
