package modules

import (
	"fmt"
	"io/fs"
)

func (w filing) symlink() (Change, error) {
	if w.Src == "" {
		if !w.self.is(typeLink) {
			return Change{}, fmt.Errorf("%q is no link yet; say with src what it shall point at", w.path)
		}
		return w.ofLink(w.at(w.Follow))
	}
	target := w.Src
	if expands(target) {
		target = w.src.path
	}
	switch {
	case w.src.end == nil && !w.Force:
		return Change{}, fmt.Errorf("src %q does not exist on the target; create it first, or write force: true", target)
	case w.self.is(typeLink) && w.link == target:
		return w.ofLink(w.at(w.Follow))
	case w.self != nil && !w.self.is(typeLink) && !w.Force:
		return Change{}, fmt.Errorf("%q is a %s, not a link; write force: true to replace it", w.path, w.self.kind())
	}
	change := w.replacing("link to " + target)
	change.Steps = append(change.Steps, Command("ln", "-s", "-f", "-n", "--", target, w.path))
	if !w.Follow && (w.owner != "" || w.group != "") {
		change.Steps = append(change.Steps, w.chown(false, w.path))
	}
	if w.Follow {
		more, err := w.ofLink(w.src.end)
		if err != nil {
			return Change{}, err
		}
		change.Diffs = append(change.Diffs, more.Diffs...)
		change.Steps = append(change.Steps, more.Steps...)
		if len(more.Steps) > 0 {
			change.Effects = w.src.effects(w.src.final(), w.kept(w.src.end))
		}
	}
	made := attributes{owner: w.owner, group: w.group}.made(w.maker, fs.ModeSymlink, 0o777)
	made.Link, made.Data, made.Size = target, nil, int64(len(target))
	change.Effects = append(change.Effects, w.effects(w.path, made)...)
	return change, nil
}

// ofLink is what differs in the attributes of a link, or of what it points at;
// a link to nothing has none.
func (w filing) ofLink(in *inode) (Change, error) {
	if in == nil {
		return Change{}, nil
	}
	return w.attributesOnly(in)
}

func (w filing) hardLink() (Change, error) {
	src := w.src.end
	switch {
	case src == nil:
		return Change{}, fmt.Errorf("src %q does not exist on the target; create it first", w.src.path)
	case src.is(typeDir):
		return Change{}, fmt.Errorf("src %q is a directory, and directories have no hard links; use state link", w.src.path)
	case w.self != nil && w.self.number < 0:
		return Change{}, Unforeseen{fmt.Sprintf("whether %q shares a file with %q, when %s is done", w.path, w.src.path, byTask(w.self.by))}
	case w.self != nil && w.self.number == src.number && w.self.dev == src.dev:
		return w.attributesOnly(src)
	case w.self != nil && !w.Force:
		return Change{}, fmt.Errorf("%q is another %s already; write force: true to replace it", w.path, w.self.kind())
	}
	target := w.src.final()
	change := w.replacing("hard link to " + target)
	change.Steps = append(change.Steps, Command("ln", "-f", "-n", "--", target, w.path))
	more, err := w.attributesOnly(src)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = append(change.Diffs, more.Diffs...)
	change.Steps = append(change.Steps, more.Steps...)
	shared := w.kept(src)
	shared.Size = -1 // nobody has read it
	change.Effects = append(w.src.effects(target, w.kept(src)), w.effects(w.path, shared)...)
	return change, nil
}

// replacing begins the change of a path into a link. A directory goes first,
// and only if it is empty.
func (w filing) replacing(want string) Change {
	have := w.self.kind()
	if w.self.is(typeLink) {
		have = "link to " + w.link
	}
	change := Change{Diffs: []Diff{{What: w.path, Have: have, Want: want}}}
	if w.self.is(typeDir) {
		change.Steps = append(change.Steps, Command("rmdir", "--", w.path))
	}
	return change
}
