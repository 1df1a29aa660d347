package modules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// attributes are the permission bits and the owners that a path shall have.
// What is not given is left alone.
type attributes struct {
	mode         *uint32
	owner, group string // names or numbers
}

// parseMode reads the argument mode: a text in octal, or a number that YAML has
// read as octal; nil where v is nil.
func parseMode(v any) (*uint32, error) {
	var mode uint64
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		n, err := strconv.ParseUint(strings.TrimPrefix(v, "0o"), 8, 32)
		if err != nil {
			return nil, fmt.Errorf("mode %q is not octal; write it as \"0644\" (u=rw,g=r and the like are not supported)", v)
		}
		mode = n
	case int:
		return parseMode(int64(v))
	case int64:
		if decimalSlip(v) {
			return nil, fmt.Errorf("mode %d is a decimal number; write \"0%d\"", v, v)
		}
		mode = uint64(v)
	default:
		return nil, fmt.Errorf("mode %v is not octal; write it as \"0644\"", v)
	}
	if mode > 0o7777 {
		return nil, fmt.Errorf("mode 0%o has more than the permission bits; the largest is \"7777\"", mode)
	}
	bits := uint32(mode)
	return &bits, nil
}

// decimalSlip says that a number was most likely meant in octal: 600 to 777
// in octal digits, which as numbers are modes that deny the owner to read.
func decimalSlip(n int64) bool {
	return n >= 600 && n <= 777 && !strings.ContainsAny(strconv.FormatInt(n, 10), "89")
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }

// against compares with what stands at path. The steps set what differs; they
// change a symbolic link itself only where it is not followed. The error says
// that a plan cannot know yet what they are compared with.
func (a attributes) against(path string, in *inode, follow bool) ([]Diff, []Step, error) {
	if err := a.unforeseen(path, in); err != nil {
		return nil, nil, err
	}
	var diffs []Diff
	var steps []Step
	if a.differsInOwner(in) || a.differsInGroup(in) {
		if a.differsInOwner(in) {
			diffs = append(diffs, Diff{What: "owner of " + path, Have: in.owner, Want: a.owner})
		}
		if a.differsInGroup(in) {
			diffs = append(diffs, Diff{What: "group of " + path, Have: in.group, Want: a.group})
		}
		steps = append(steps, a.chown(follow, path))
	}
	if a.mode != nil && in.perm() != *a.mode && !in.is(typeLink) {
		diffs = append(diffs, Diff{What: "mode of " + path, Have: octal(in.perm()), Want: octal(*a.mode)})
	}
	// Changing the owner takes setuid and setgid away.
	if a.mode != nil && !in.is(typeLink) && (in.perm() != *a.mode || len(steps) > 0 && *a.mode > 0o777) {
		steps = append(steps, a.chmod(path))
	}
	return diffs, steps, nil
}

// unforeseen says what is asked for and not known of a path of the plan.
func (a attributes) unforeseen(path string, in *inode) error {
	what := ""
	switch {
	case in.by == "":
		return nil
	case a.mode != nil && in.bare && !in.is(typeLink):
		what = "mode"
	case a.differsInOwner(in) && notComparable(a.owner, in.owner, in.uid):
		what = "owner"
	case a.differsInGroup(in) && notComparable(a.group, in.group, in.gid):
		what = "group"
	default:
		return nil
	}
	return Unforeseen{fmt.Sprintf("the %s of %q, which %s makes", what, path, byTask(in.by))}
}

// notComparable says that a name and a number, of which one is asked for and
// the other is known, may be the same owner.
func notComparable(want, name string, id int) bool {
	return name == "" || (idOf(want) >= 0) != (idOf(name) >= 0) && (id < 0 || idOf(want) < 0)
}

func (a attributes) differsInOwner(in *inode) bool {
	return a.owner != "" && a.owner != in.owner && a.owner != strconv.Itoa(in.uid)
}

func (a attributes) differsInGroup(in *inode) bool {
	return a.group != "" && a.group != in.group && a.group != strconv.Itoa(in.gid)
}

func (a attributes) chmod(paths ...string) Run {
	return Command(append([]string{"chmod", octal(*a.mode), "--"}, paths...)...)
}

func (a attributes) chown(follow bool, paths ...string) Run {
	to := a.owner
	if a.group != "" {
		to += ":" + a.group
	}
	argv := []string{"chown"}
	if !follow {
		argv = append(argv, "-h")
	}
	return Command(append(append(argv, to, "--"), paths...)...)
}

// set are the steps that give new paths all attributes.
func (a attributes) set(paths ...string) []Step {
	var steps []Step
	if a.owner != "" || a.group != "" {
		steps = append(steps, a.chown(true, paths...))
	}
	if a.mode != nil {
		steps = append(steps, a.chmod(paths...))
	}
	return steps
}

// attributesOf reads the arguments mode, owner and group.
func attributesOf(mode any, owner, group string) (attributes, error) {
	bits, err := parseMode(mode)
	if err != nil {
		return attributes{}, err
	}
	for _, name := range []string{owner, group} {
		if strings.HasPrefix(name, "-") || strings.ContainsAny(name, ":\x00\n") {
			return attributes{}, fmt.Errorf("%q cannot be the name of an owner or group", name)
		}
	}
	return attributes{mode: bits, owner: owner, group: group}, nil
}

var errPathEmpty = errors.New("path is empty; write the path on the target")
