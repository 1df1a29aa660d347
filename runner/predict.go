package runner

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

// predictions is what the tasks of a plan would have made of each machine by
// now: the Checks of later tasks look there first. The zero value is ready, and
// safe for concurrent use. An apply adds nothing to it, and so foresees nothing.
type predictions struct {
	mu       sync.Mutex
	machines map[string]*foreseen
}

// foreseen is what is predicted of one machine.
type foreseen struct {
	things   map[modules.Thing]map[string]modules.Effect
	packages []modules.Effect // the one that was added last; see modules.Target on packages without a name
}

// linkHops bounds following links that point at each other.
const linkHops = 40

// add keeps what a change of a task would leave: its Effects, and those of its
// Write and Remove steps, which they overrule. What is added later replaces
// what was known of the same thing, but for the content of a path that the
// change does not touch.
func (p *predictions) add(machine, task string, c modules.Change) {
	p.put(machine, task, c, nil)
}

// perhaps keeps what a change may leave, of a task of which the plan does not
// know whether it runs. The reason completes "known after apply: ".
func (p *predictions) perhaps(machine, task, reason string, c modules.Change) {
	p.put(machine, task, c, &modules.Unforeseen{Reason: reason})
}

// put is add, or with doubt perhaps.
func (p *predictions) put(machine, task string, c modules.Change, doubt *modules.Unforeseen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range slices.Concat(p.on(machine).ofSteps(c.Steps), c.Effects) {
		if doubt != nil {
			e.State, e.Gone = *doubt, false
		}
		p.on(homeOf(machine, e.Thing)).put(e, task)
	}
}

// ofSteps are the effects that steps have by themselves.
func (m *foreseen) ofSteps(steps []modules.Step) []modules.Effect {
	var all []modules.Effect
	for _, s := range steps {
		switch s := s.(type) {
		case modules.Write:
			all = append(all, m.written(s))
		case modules.Remove:
			all = append(all, modules.Effect{Thing: modules.APath, Name: s.Path, Gone: true})
		}
	}
	return all
}

// of is the machine's foresight, for target.foresee.
func (p *predictions) of(machine string) func(modules.Thing, string) (modules.Effect, bool) {
	return func(thing modules.Thing, name string) (modules.Effect, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		m := p.machines[homeOf(machine, thing)]
		if m == nil {
			return modules.Effect{}, false
		}
		switch {
		case thing == modules.APath:
			return m.path(path.Clean(name))
		case thing == modules.SomePaths:
			return m.paths(name)
		case thing == modules.APackage && name == "":
			return m.lastPackage()
		}
		e, ok := m.things[thing][name]
		return e, ok
	}
}

// readFile answers ReadFile from the predictions, and from the machine where
// they say nothing. The error is modules.Unforeseen where the content is yet to
// be made.
func (p *predictions) readFile(ctx context.Context, machine, name string, read func(context.Context, string) (modules.File, error)) (modules.File, error) {
	foresee := p.of(machine)
	link := "" // what the path itself points at, if it is one
	for range linkHops {
		e, ok := foresee(modules.APath, name)
		if _, elsewhere := e.State.(modules.Elsewhere); elsewhere {
			name, ok = e.Name, false
		}
		var f modules.File
		var err error
		if ok {
			f, err = predictedFile(ctx, e, read)
		} else {
			f, err = read(ctx, name)
		}
		if err != nil {
			return f, err
		}
		next := linked(name, f.Link)
		if _, ahead := foresee(modules.APath, next); f.Link == "" || f.Mode&fs.ModeSymlink == 0 && !ahead {
			f.Link = cmp.Or(link, f.Link)
			return f, nil
		}
		link, name = cmp.Or(link, f.Link), next
	}
	return modules.File{}, fmt.Errorf("read %q: the links that the plan makes lead in a circle", name)
}

// predictedFile is the file that an effect speaks of. A link is not followed.
func predictedFile(ctx context.Context, e modules.Effect, read func(context.Context, string) (modules.File, error)) (modules.File, error) {
	f, known := e.State.(modules.File)
	switch vague, isVague := e.State.(modules.Unforeseen); {
	case e.Gone:
		return modules.File{}, nil
	case isVague:
		return modules.File{}, vague
	case !known:
		return modules.File{}, modules.Unforeseen{Reason: fmt.Sprintf("what %q is, which the task %q makes", e.Name, e.By)}
	case f.Mode&fs.ModeSymlink != 0 || f.Data != nil:
		return f, nil
	case f.Size < 0 && f.Mode.IsRegular():
		return modules.File{}, modules.Unforeseen{Reason: fmt.Sprintf("the content of %q, which the task %q makes", e.Name, e.By)}
	}
	now, err := read(ctx, e.Name)
	if err != nil || !now.Exists {
		return now, err
	}
	return dressed(now, f), nil
}

// dressed is a file that keeps its content, and gets the attributes that are
// known of another.
func dressed(f, as modules.File) modules.File {
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if as.Mode&bits != 0 {
		f.Mode = f.Mode&^bits | as.Mode&bits
	}
	if as.Owner != "" {
		f.Owner, f.UID = as.Owner, as.UID
	}
	if as.Group != "" {
		f.Group, f.GID = as.Group, as.GID
	}
	return f
}

// linked is where a link at a path points.
func linked(at, to string) string {
	if path.IsAbs(to) {
		return path.Clean(to)
	}
	return path.Join(path.Dir(at), to)
}

func (m *foreseen) put(e modules.Effect, task string) {
	e.By = task
	if u, vague := e.State.(modules.Unforeseen); vague && u.Reason == "" {
		e.State = modules.Unforeseen{Reason: fmt.Sprintf("what the task %q makes of %s %q", task, e.Thing, e.Name)}
	}
	if e.Thing == modules.APath {
		e.Name, _ = m.through(path.Clean(e.Name))
		e = m.merged(e)
	}
	if e.Thing == modules.APackage && !e.Gone {
		m.packages = append(m.packages, e)
	}
	if m.things[e.Thing] == nil {
		m.things[e.Thing] = map[string]modules.Effect{}
	}
	m.things[e.Thing][e.Name] = e
}

// merged is an effect on a path after what was there before it. What is gone
// takes with it all that would have been below.
func (m *foreseen) merged(e modules.Effect) modules.Effect {
	known := m.things[modules.APath]
	if e.Gone {
		for name := range known {
			if below(name, e.Name) {
				delete(known, name)
			}
		}
		return e
	}
	now, isFile := e.State.(modules.File)
	before, wasFile := known[e.Name].State.(modules.File)
	if isFile && wasFile && now.Data == nil && now.Size >= 0 && now.Link == "" && now.Mode.Type() == before.Mode.Type() {
		now.Data, now.Size = before.Data, before.Size
		e.State = now
	}
	return e
}

// written is what a Write leaves. It keeps mode and owner of what was there;
// what that is only the target knows, unless the plan does.
func (m *foreseen) written(w modules.Write) modules.Effect {
	f := modules.File{Exists: true, Mode: w.Mode.Perm(), Owner: w.Owner, Group: w.Group, UID: -1, GID: -1}
	f.Data = append([]byte{}, w.Data...)
	f.Size = int64(len(f.Data))
	if e, ok := m.path(path.Clean(w.Path)); ok {
		old, _ := e.State.(modules.File)
		switch {
		case w.Mode != 0:
		case e.Gone:
			f.Mode = 0o644
		case old.Mode.IsRegular():
			f.Mode = old.Mode.Perm()
		}
		if w.Owner == "" && old.Owner != "" {
			f.Owner, f.UID = old.Owner, old.UID
		}
		if w.Group == "" && old.Group != "" {
			f.Group, f.GID = old.Group, old.GID
		}
	}
	return modules.Effect{Thing: modules.APath, Name: w.Path, State: f}
}

// path is what is predicted of a path. What is below something that would be
// gone, or would be no directory, would be gone with it; what is below a
// directory that would be new is what the plan puts there, and nothing else.
func (m *foreseen) path(asked string) (modules.Effect, bool) {
	name, crooked := m.through(asked)
	if e, ok := m.things[modules.APath][name]; ok {
		return e, true
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if e, ok := m.things[modules.APath][dir]; ok {
			if f, known := e.State.(modules.File); e.Gone || known && (!f.Mode.IsDir() || f.Data != nil) {
				return modules.Effect{Thing: modules.APath, Name: name, Gone: true, By: e.By}, true
			}
			if _, vague := e.State.(modules.Unforeseen); vague {
				return modules.Effect{Thing: modules.APath, Name: name, State: e.State, By: e.By}, true
			}
			break
		}
		if dir == path.Dir(dir) {
			break
		}
	}
	if crooked != "" {
		return modules.Effect{Thing: modules.APath, Name: name, State: modules.Elsewhere{}, By: crooked}, true
	}
	return modules.Effect{}, false
}

// through follows the links that the plan makes above a path. It also says
// which task made the last of them; nothing where there is none.
func (m *foreseen) through(name string) (real, by string) {
	for range linkHops {
		next := name
		for i := 1; i < len(name); i++ {
			if name[i] != '/' {
				continue
			}
			e, ok := m.things[modules.APath][name[:i]]
			if f, known := e.State.(modules.File); ok && known && f.Mode&fs.ModeSymlink != 0 {
				next, by = path.Join(linked(name[:i], f.Link), name[i:]), e.By
				break
			}
		}
		if next == name {
			return name, by
		}
		name = next
	}
	return name, by
}

// paths are those that a pattern matches.
func (m *foreseen) paths(pattern string) (modules.Effect, bool) {
	dir, all := strings.CutSuffix(pattern, "/**")
	var found []modules.Effect
	for name, e := range m.things[modules.APath] {
		matches, _ := path.Match(pattern, name)
		if all && below(name, path.Clean("/"+dir)) || !all && matches {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b modules.Effect) int { return strings.Compare(a.Name, b.Name) })
	return modules.Effect{Thing: modules.SomePaths, Name: pattern, State: found}, len(found) > 0
}

// foretell keeps what a task of a plan would leave for those that follow.
func (x *hostTask) foretell(t *target, w *work, r Result) {
	switch {
	case r.Status != WouldChange && r.Status != WouldRun:
	case w.doubt != "":
		x.play.run.predicted.perhaps(t.name, x.title(w.scope), w.doubt, r.Change)
	default:
		x.play.run.predicted.add(t.name, x.title(w.scope), r.Change)
	}
}

// registered is the value of a result, in which what a plan does not know yet
// is unknown.
func registered(vars map[string]any) jinja.Value {
	return jinja.FromGo(replaced(vars, func(u modules.Unforeseen) any { return jinja.Unknown{Reason: u.Reason} }))
}

// replaced is a value in which something else stands for what a plan does not
// know yet; nil where there is nothing else.
func replaced(v any, by func(modules.Unforeseen) any) any {
	switch v := v.(type) {
	case modules.Unforeseen:
		if by == nil {
			return nil
		}
		return by(v)
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, item := range v {
			c[key] = replaced(item, by)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			c[i] = replaced(item, by)
		}
		return c
	}
	return v
}

func below(name, dir string) bool { return strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/") }

// lastPackage is the package that was added last and is still to be there.
func (m *foreseen) lastPackage() (modules.Effect, bool) {
	for _, e := range slices.Backward(m.packages) {
		if now := m.things[modules.APackage][e.Name]; !now.Gone {
			return now, true
		}
	}
	return modules.Effect{}, false
}
