package modules

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

func init() {
	register(Def{
		Name: "group",
		Doc:  "Make a group exist or not, with its number",
		New:  func() Module { return &group{State: "present"} },
	})
}

type group struct {
	Name   string `arg:"name,required" doc:"The group's name."`
	GID    *int   `arg:"gid" doc:"Its number; the host chooses where not given."`
	State  string `arg:"state" enum:"present absent" doc:"Whether the group exists."`
	System bool   `arg:"system" doc:"Whether a new group gets a number of the range for system groups."`
}

func (g *group) Validate() error {
	if g.GID != nil && *g.GID < 0 {
		return fmt.Errorf("gid %d is negative; give a number from 0", *g.GID)
	}
	return accountName("name", g.Name)
}

// accountName refuses what would be read as something else than a name: as an
// option, as a number, or as another field of /etc/passwd. What else a host
// permits, its tools know.
func accountName(argument, name string) error {
	digits := name != "" && strings.Trim(name, "0123456789") == ""
	if name == "" || digits || strings.HasPrefix(name, "-") || strings.ContainsAny(name, ":,/ \t\r\n\x00") {
		return fmt.Errorf("%s: %q cannot be a name; it takes letters, digits, dots, dashes and underscores, and begins with a letter", argument, name)
	}
	return nil
}

func (g *group) Check(ctx context.Context, t Target) (Change, error) {
	out, err := t.Query(ctx, Command("getent", "group", g.Name))
	if err != nil {
		return Change{}, err
	}
	now, err := groupNow(t, g.Name, out)
	if err != nil {
		return Change{}, err
	}
	change, err := g.compare(now)
	change.Vars = g.vars(now)
	return change, err
}

// notFound is getent's exit code where there is no such entry.
const notFound = 2

// groupNow is the group as it is, or as earlier tasks of a plan would have made
// it; nil where there is none.
func groupNow(t Target, name string, out Output) (*groupEntry, error) {
	e, ahead, err := foreseen(t, AGroup, name)
	switch {
	case ahead || err != nil:
		return predictedGroup(e), err
	case out.Code == notFound:
		return nil, nil
	case out.Code != 0:
		return nil, fmt.Errorf("getent group %s: exit code %d: %s", name, out.Code, strings.TrimSpace(out.Stderr))
	}
	return parseGroup(strings.TrimSpace(out.Stdout))
}

// groupEntry is a line of /etc/group, or what a plan knows of it.
type groupEntry struct {
	Group
	by string // the task that makes it so; empty: it is there
}

func predictedGroup(e Effect) *groupEntry {
	if e.Gone {
		return nil
	}
	entry := &groupEntry{by: byTask(e.By)}
	entry.Group = Group{Name: e.Name, GID: -1}
	if state, ok := e.State.(Group); ok {
		entry.Group = state
	}
	return entry
}

func parseGroup(line string) (*groupEntry, error) {
	fields := strings.Split(line, ":")
	if len(fields) < 3 {
		return nil, fmt.Errorf("getent: wanted a line of /etc/group, found %q", line)
	}
	gid, err := strconv.Atoi(fields[2])
	if err != nil {
		return nil, fmt.Errorf("getent: the number of the group in %q is %q, no number", line, fields[2])
	}
	return &groupEntry{Group: Group{Name: fields[0], GID: gid}}, nil
}

func (g *group) compare(now *groupEntry) (Change, error) {
	what := "group " + g.Name
	switch {
	case g.State == "absent" && now == nil:
		return Change{}, nil
	case g.State == "absent":
		return Change{
			Diffs:   []Diff{{What: what, Have: "present", Want: "absent"}},
			Steps:   []Step{Command("groupdel", "--", g.Name)},
			Effects: []Effect{{Thing: AGroup, Name: g.Name, Gone: true}},
		}, nil
	case now == nil:
		return g.create(), nil
	case g.GID == nil || *g.GID == now.GID:
		return Change{}, nil
	case now.GID < 0:
		return Change{}, Unforeseen{Reason: "the number of " + what + ", which " + now.by + " makes"}
	}
	return Change{
		Diffs:   []Diff{{What: "gid of " + what, Have: strconv.Itoa(now.GID), Want: strconv.Itoa(*g.GID)}},
		Steps:   []Step{Command("groupmod", "-g", strconv.Itoa(*g.GID), "--", g.Name)},
		Effects: []Effect{{Thing: AGroup, Name: g.Name, State: Group{Name: g.Name, GID: *g.GID}}},
	}, nil
}

func (g *group) create() Change {
	argv, gid, want := []string{"groupadd"}, -1, "present"
	if g.System {
		argv = append(argv, "-r")
	}
	if g.GID != nil {
		gid, want = *g.GID, "present, gid "+strconv.Itoa(*g.GID)
		argv = append(argv, "-g", strconv.Itoa(gid))
	}
	return Change{
		Diffs:   []Diff{{What: "group " + g.Name, Have: "absent", Want: want}},
		Steps:   []Step{Command(append(argv, "--", g.Name)...)},
		Effects: []Effect{{Thing: AGroup, Name: g.Name, State: Group{Name: g.Name, GID: gid}}},
	}
}

// vars has the number only where it is known, as in a plan it may not be.
func (g *group) vars(now *groupEntry) map[string]any {
	vars := map[string]any{"name": g.Name, "state": g.State}
	if g.State == "absent" {
		return vars
	}
	vars["system"] = g.System
	switch {
	case g.GID != nil:
		vars["gid"] = *g.GID
	case now != nil && now.GID >= 0:
		vars["gid"] = now.GID
	case now != nil:
		vars["gid"] = Unforeseen{Reason: "the number of group " + g.Name + ", which " + now.by + " makes"}
	}
	return vars
}
