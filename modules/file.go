package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

func init() {
	register(Def{
		Name: "file",
		Doc:  "Make a path a file, a directory, a link or nothing, with owner and mode",
		New:  func() Module { return &file{Follow: true} },
	})
}

type file struct {
	Path             string `arg:"path,required" alias:"dest name" doc:"The path on the target."`
	State            string `arg:"state" enum:"absent directory file hard link touch" doc:"What the path shall be; file means that it must be there already, and is what a missing path gets where state is not given."`
	Mode             any    `arg:"mode" doc:"Permission bits in octal, such as \"0755\"."`
	Owner            string `arg:"owner" doc:"The user who owns the path; a name or a number."`
	Group            string `arg:"group" doc:"The group that owns the path; a name or a number."`
	Src              string `arg:"src" doc:"What a link points at, on the target; relative to the link's directory."`
	Recurse          bool   `arg:"recurse" doc:"Whether mode, owner and group hold for everything below the directory too."`
	Force            bool   `arg:"force" doc:"Whether a link may point at nothing, and may replace a file or an empty directory."`
	Follow           bool   `arg:"follow" doc:"Whether mode, owner and group are those of what a symbolic link points at."`
	AccessTime       string `arg:"access_time" enum:"now preserve" doc:"With touch: what the time of the last access becomes."`
	ModificationTime string `arg:"modification_time" enum:"now preserve" doc:"With touch: what the time of the last change becomes."`
}

func (m *file) Validate() error {
	_, err := attributesOf(m.Mode, m.Owner, m.Group)
	link := m.State == "link" || m.State == "hard"
	switch {
	case m.Path == "":
		return errPathEmpty
	case m.State == "absent" && strings.Trim(path.Clean(m.Path), "/") == "":
		return fmt.Errorf("path %q would remove the whole file system", m.Path)
	case m.Src != "" && !link:
		return errors.New("src needs state link or hard")
	case m.Recurse && m.State != "directory" && m.State != "":
		return errors.New("recurse needs state directory")
	case m.State == "hard" && m.Src == "":
		return errors.New("state hard needs src, the file to share")
	case (m.AccessTime != "" || m.ModificationTime != "") && m.State != "touch":
		return errors.New("access_time and modification_time need state touch")
	}
	return err
}

func (m *file) Check(ctx context.Context, t Target) (Change, error) {
	attrs, err := attributesOf(m.Mode, m.Owner, m.Group)
	if err != nil {
		return Change{}, err
	}
	words := []string{shellWord(withoutSlash(m.Path))}
	if m.Src != "" {
		words = append(words, shellWord(m.source()))
	}
	places, err := lookAt(ctx, t, "", words...)
	if err != nil {
		return Change{}, err
	}
	w := filing{file: m, place: places[0], attributes: attrs}
	if m.Src != "" {
		w.src = places[1]
	}
	err = errors.Join(w.err, w.src.err)
	if err != nil && !(m.State == "absent" && errors.Is(err, errThroughFile)) {
		return Change{}, err
	}
	change, err := w.check(ctx, t)
	change.Vars = w.vars()
	for _, e := range change.Effects {
		if e.Name == w.straight(w.path) || e.Name == w.straight(w.meant()) {
			w.after(e, change.Vars)
		}
	}
	return change, err
}

// after makes the values of a result those that hold when the change is made.
func (w filing) after(e Effect, vars map[string]any) {
	for _, key := range attributeKeys {
		delete(vars, key)
	}
	f, ok := e.State.(File)
	if !ok || e.Gone {
		vars["state"] = "absent"
		return
	}
	in := f.inode("")
	vars["state"] = in.kind()
	if w.State == "hard" {
		vars["state"], in.size = "hard", w.src.end.size
	}
	in.foretell(vars)
}

// source is where src is found: a symbolic link means it from its directory.
func (m *file) source() string {
	if m.State == "link" && !path.IsAbs(m.Src) && !expands(m.Src) {
		return path.Dir(withoutSlash(m.Path)) + "/" + m.Src
	}
	return m.Src
}

// filing is a file that knows its place.
type filing struct {
	*file
	place
	attributes
	src place // of a link
}

func (w filing) check(ctx context.Context, t Target) (Change, error) {
	switch w.state() {
	case "absent":
		return w.absent(), nil
	case "directory":
		return w.directory(ctx, t)
	case "touch":
		return w.touch()
	case "link":
		return w.symlink()
	case "hard":
		return w.hardLink()
	}
	return w.present(t)
}

// state is the argument, or what is there already.
func (w filing) state() string {
	switch {
	case w.State != "":
		return w.State
	case w.Recurse, w.self.is(typeDir):
		return "directory"
	case w.self.is(typeLink):
		return "link"
	}
	return "file"
}

func (w filing) absent() Change {
	if w.self == nil {
		return Change{}
	}
	return Change{
		Diffs:   []Diff{{What: w.path, Have: w.self.kind(), Want: "absent"}},
		Steps:   []Step{Remove{Path: w.path, Recursive: w.self.is(typeDir)}},
		Effects: []Effect{{Thing: APath, Name: w.straight(w.path), Gone: true}},
	}
}

func (w filing) present(t Target) (Change, error) {
	in := w.at(w.Follow)
	switch {
	case in == nil:
		return Change{}, hoped(t, fmt.Sprintf("file %q", w.path), fmt.Errorf("file %q does not exist; create it (state: touch, or the module copy)", w.path))
	case in.is(typeDir) || in.is(typeLink):
		return Change{}, fmt.Errorf("%q is a %s, and state file wants a file", w.path, in.kind())
	}
	return w.attributesOnly(in)
}

func (w filing) attributesOnly(in *inode) (Change, error) {
	diffs, steps, err := w.against(w.path, in, w.Follow)
	change := Change{Diffs: diffs, Steps: steps}
	if len(steps) > 0 {
		change.Effects = w.effects(w.meant(), w.kept(in))
	}
	return change, err
}

// meant is the path whose attributes are meant: that at the end of a link, where
// links are followed.
func (w filing) meant() string {
	if w.Follow {
		return w.final()
	}
	return w.path
}

// touch is an event, not a state: unless both times are preserved it is taken
// every time, and its steps are opaque so that nobody looks for an end of it.
func (w filing) touch() (Change, error) {
	in := w.at(w.Follow)
	state := w.AccessTime == "preserve" && w.ModificationTime == "preserve"
	if in == nil {
		steps := append([]Step{Command("touch", "--", w.path)}, w.set(w.path)...)
		if !state {
			steps = opaque(steps)
		}
		return Change{
			Diffs:   []Diff{{What: w.path, Have: "absent", Want: "file"}},
			Steps:   steps,
			Effects: w.effects(w.meant(), w.made(w.maker, 0, w.maker.masked(0o666))),
		}, nil
	}
	argv, what := []string{"touch"}, "times"
	switch {
	case state:
		return w.attributesOnly(in)
	case w.AccessTime == "preserve":
		argv, what = append(argv, "-m"), "modification time"
	case w.ModificationTime == "preserve":
		argv, what = append(argv, "-a"), "access time"
	}
	if !w.Follow {
		argv = append(argv, "-h")
	}
	change, err := w.attributesOnly(in)
	change.Diffs = append(change.Diffs, Diff{What: what + " of " + w.path, Have: "as they are", Want: "now"})
	change.Steps = opaque(append(change.Steps, Command(append(argv, "--", w.path)...)))
	return change, err
}

func opaque(steps []Step) []Step {
	for i, s := range steps {
		if r, ok := s.(Run); ok {
			r.Opaque = true
			steps[i] = r
		}
	}
	return steps
}

func (w filing) vars() map[string]any {
	in, path := w.self, w.path
	if w.Follow && w.end != nil && w.link != "" && w.state() != "link" {
		in, path = w.end, w.real
	}
	vars := map[string]any{"path": path, "dest": path, "state": in.kind()}
	if w.Src != "" {
		vars["src"] = w.Src
	}
	if in == nil {
		return vars
	}
	if in.is(typeFile) && in.links > 1 {
		vars["state"] = "hard"
	}
	in.register(vars)
	return vars
}
