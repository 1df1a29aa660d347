package modules

import (
	"context"
	"fmt"
	"io/fs"
	"path"
)

func (w filing) directory(ctx context.Context, t Target) (Change, error) {
	in := w.at(w.Follow)
	switch {
	case in == nil && w.self == nil:
		return w.newDirectory(), nil
	case in == nil && w.real == "":
		return Change{}, fmt.Errorf("%q is a link to %q, which leads nowhere", w.path, w.link)
	case in == nil:
		w.path, w.folder, w.ancestor = w.real, path.Dir(w.real), path.Dir(w.real)
		return w.newDirectory(), nil
	case !in.is(typeDir):
		return Change{}, fmt.Errorf("%q is a %s already; remove it first (state: absent)", w.path, in.kind())
	}
	change, err := w.attributesOnly(in)
	if !w.Recurse || err != nil {
		return change, err
	}
	below, err := w.below(ctx, t)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = append(change.Diffs, below.Diffs...)
	change.Steps = append(change.Steps, below.Steps...)
	change.Effects = append(below.Effects, change.Effects...)
	return change, nil
}

// newDirectory makes the missing directories above too; all of them get the
// attributes.
func (w filing) newDirectory() Change {
	var missing []string
	for p := w.path; p != w.ancestor && p != "/"; p = path.Dir(p) {
		missing = append([]string{p}, missing...)
	}
	change := Change{Steps: append([]Step{Command("mkdir", "-p", "--", w.path)}, w.set(missing...)...)}
	made := w.made(w.maker, fs.ModeDir, w.maker.masked(0o777))
	for _, p := range missing {
		change.Diffs = append(change.Diffs, Diff{What: p, Have: "absent", Want: "directory"})
		change.Effects = append(change.Effects, w.effects(p, made)...)
	}
	return change
}
