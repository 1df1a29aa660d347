package modules

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// shownBelow is how many entries below a directory a difference names.
const shownBelow = 3

// below looks for entries whose attributes differ, and changes those only.
// Links are neither followed nor given a mode.
func (w filing) below(ctx context.Context, t Target) (Change, error) {
	tests := w.findTests(t)
	if len(tests) == 0 {
		return Change{}, nil
	}
	planned := w.planned(t)
	names, err := w.lookBelow(ctx, t, tests, len(planned))
	if err != nil {
		return Change{}, err
	}
	var change Change
	var unforeseen error
	for _, e := range planned {
		f, differs, err := w.differsFrom(e)
		if err != nil {
			unforeseen = err
		}
		if differs {
			names = append(names, e.Name)
			change.Effects = append(change.Effects, Effect{Thing: APath, Name: e.Name, State: f})
		}
	}
	switch {
	case len(names) == 0:
		return Change{}, unforeseen
	case len(names) > shownBelow:
		names = append(names[:shownBelow:shownBelow], "more")
	}
	change.Diffs = []Diff{{What: "below " + w.path, Have: "other attributes of " + strings.Join(names, ", "), Want: w.wanted()}}
	for _, f := range tests {
		argv := append([]string{"find", w.root(), "-mindepth", "1"}, f.test...)
		argv = append(argv, "-exec")
		change.Steps = append(change.Steps, Command(append(append(argv, f.cure...), "{}", "+")...))
	}
	return change, nil
}

// root is where find starts, without a link at its start: a link's directory is
// meant.
func (w filing) root() string { return strings.TrimSuffix(w.path, "/") + "/" }

// lookBelow gives a few of the entries that differ. What earlier tasks of the
// plan change is not among them.
func (w filing) lookBelow(ctx context.Context, t Target, tests []findTest, planned int) ([]string, error) {
	if w.at(w.Follow).number < 0 {
		return nil, nil // the directory is yet to be made
	}
	most := shownBelow + 1 + planned
	var all []string
	for _, f := range tests {
		all = append(all, "\\( "+quoted(f.look)+" \\)")
	}
	query := Run{Shell: "find " + Quote(w.root()) + " -mindepth 1 \\( " + strings.Join(all, " -o ") + " \\) -print | head -n " + strconv.Itoa(most)}
	out, err := t.Query(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(out.Stderr) != "":
		return nil, fmt.Errorf("looking below %q: %s", w.path, strings.TrimSpace(out.Stderr))
	case out.Stdout == "":
		return nil, nil
	}
	var names []string
	lines := strings.Split(strings.TrimSpace(out.Stdout), "\n")
	for _, name := range lines {
		if _, ahead := w.predicted(t, name); !ahead {
			names = append(names, name)
		}
	}
	if len(names) == 0 && len(lines) == most {
		return nil, Unforeseen{fmt.Sprintf("what earlier tasks leave below %q", w.path)}
	}
	return names, nil
}

// planned is what earlier tasks of the plan would have put below, or changed.
func (w filing) planned(t Target) []Effect {
	found, _ := t.Predicted(SomePaths, strings.TrimSuffix(w.straight(w.meant()), "/")+"/**")
	all, _ := found.State.([]Effect)
	var there []Effect
	for _, e := range all {
		if !e.Gone {
			there = append(there, e)
		}
	}
	return there
}

// differsFrom compares with an entry of the plan, and says what it would be.
func (w filing) differsFrom(e Effect) (File, bool, error) {
	f, known := e.State.(File)
	if !known {
		return f, false, Unforeseen{fmt.Sprintf("what %q is, which %s makes", e.Name, byTask(e.By))}
	}
	diffs, _, err := w.against(e.Name, f.inode(e.By), false)
	return w.onto(f), len(diffs) > 0, err
}

// findTest finds what differs in one attribute, with the command that sets it.
// A user that an earlier task of the plan makes cannot be looked for by name.
type findTest struct{ look, test, cure []string }

func (w filing) findTests(t Target) []findTest {
	var tests []findTest
	if w.owner != "" {
		tests = append(tests, ofOther(t, "-user", w.owner, AUser, w.owner))
	}
	if w.group != "" {
		tests = append(tests, ofOther(t, "-group", w.group, AGroup, ":"+w.group))
	}
	if w.mode != nil {
		mode := octal(*w.mode)
		test := []string{"!", "-type", "l", "!", "-perm", mode}
		tests = append(tests, findTest{test, test, []string{"chmod", mode, "--"}})
	}
	return tests
}

// ofOther finds what does not belong to an account, which find's test looks for
// by name, and chown takes as the new owner.
func ofOther(t Target, test, name string, account Thing, owner string) findTest {
	named := []string{"!", test, name}
	f := findTest{named, named, []string{"chown", "-h", owner, "--"}}
	if e, ok := t.Predicted(account, name); ok && !e.Gone {
		f.look = otherThan(test, plannedID(e))
	}
	return f
}

// plannedID is the number that an account of the plan would have; -1 where that
// is not known.
func plannedID(e Effect) int {
	switch account := e.State.(type) {
	case User:
		return account.UID
	case Group:
		return account.GID
	}
	return -1
}

// otherThan is a test for find: not of this number, or anybody's, where an
// account that is yet to be made has none.
func otherThan(test string, id int) []string {
	if id < 0 {
		return []string{"-name", "*"}
	}
	return []string{"!", test, strconv.Itoa(id)}
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
