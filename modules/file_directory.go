package modules

import (
	"context"
	"fmt"
	"path"
	"strings"
)

func (w filing) directory(ctx context.Context, t Target) (Change, error) {
	in := w.at(w.Follow)
	switch {
	case in == nil && w.self == nil:
		return w.newDirectory(), nil
	case in == nil && w.real == "":
		return Change{}, fmt.Errorf("%q is a link to %q, which leads nowhere", w.path, w.link)
	case in == nil:
		w.path, w.ancestor = w.real, path.Dir(w.real)
		return w.newDirectory(), nil
	case !in.is(typeDir):
		return Change{}, fmt.Errorf("%q is a %s already; remove it first (state: absent)", w.path, in.kind())
	}
	change := w.attributesOnly(in)
	if !w.Recurse {
		return change, nil
	}
	below, err := w.below(ctx, t)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = append(change.Diffs, below.Diffs...)
	change.Steps = append(change.Steps, below.Steps...)
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
	for _, p := range missing {
		change.Diffs = append(change.Diffs, Diff{What: p, Have: "absent", Want: "directory"})
	}
	return change
}

// below looks for entries whose attributes differ, and changes those only.
// Links are neither followed nor given a mode.
func (w filing) below(ctx context.Context, t Target) (Change, error) {
	tests := w.findTests()
	if len(tests) == 0 {
		return Change{}, nil
	}
	// find itself, without a link at its start: a link's directory is meant.
	root := strings.TrimSuffix(w.path, "/") + "/"
	var all []string
	var change Change
	for _, f := range tests {
		all = append(all, "\\( "+quoted(f.test)+" \\)")
		argv := append([]string{"find", root, "-mindepth", "1"}, f.test...)
		argv = append(argv, "-exec")
		change.Steps = append(change.Steps, Command(append(append(argv, f.cure...), "{}", "+")...))
	}
	query := Run{Shell: "find " + Quote(root) + " -mindepth 1 \\( " + strings.Join(all, " -o ") + " \\) -print | head -n 4"}
	out, err := t.Query(ctx, query)
	switch {
	case err != nil:
		return Change{}, err
	case strings.TrimSpace(out.Stderr) != "":
		return Change{}, fmt.Errorf("looking below %q: %s", w.path, strings.TrimSpace(out.Stderr))
	case out.Stdout == "":
		return Change{}, nil
	}
	names := strings.Split(strings.TrimSpace(out.Stdout), "\n")
	if len(names) == 4 {
		names[3] = "more"
	}
	change.Diffs = []Diff{{What: "below " + w.path, Have: "other attributes of " + strings.Join(names, ", "), Want: w.wanted()}}
	return change, nil
}

// findTest finds what differs in one attribute, with the command that sets it.
type findTest struct{ test, cure []string }

func (w filing) findTests() []findTest {
	var tests []findTest
	if w.owner != "" {
		tests = append(tests, findTest{[]string{"!", "-user", w.owner}, []string{"chown", "-h", w.owner, "--"}})
	}
	if w.group != "" {
		tests = append(tests, findTest{[]string{"!", "-group", w.group}, []string{"chown", "-h", ":" + w.group, "--"}})
	}
	if w.mode != nil {
		mode := octal(*w.mode)
		tests = append(tests, findTest{[]string{"!", "-type", "l", "!", "-perm", mode}, []string{"chmod", mode, "--"}})
	}
	return tests
}

// wanted names the attributes that are asked for.
func (w filing) wanted() string {
	var parts []string
	if w.owner != "" {
		parts = append(parts, "owner "+w.owner)
	}
	if w.group != "" {
		parts = append(parts, "group "+w.group)
	}
	if w.mode != nil {
		parts = append(parts, "mode "+octal(*w.mode))
	}
	return strings.Join(parts, ", ")
}

func quoted(words []string) string { return Command(words...).String() }
