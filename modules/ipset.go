package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func init() {
	register(Def{
		Name: "ipset",
		Doc:  "Keep the members of a kernel IP set, and tell whether this host's ipset can read all sets",
		New: func() Module {
			return &ipset{Type: "hash:ip", State: "present", Exact: true, Report: true, Binary: "ipset", Scope: "all"}
		},
	})
}

// ipset keeps one set as asked, or, without a name, looks at all sets through
// the eyes of one ipset binary. A set is replaced in one swap, so that a
// firewall rule that uses it never sees it half filled.
type ipset struct {
	Name    string   `arg:"name" doc:"The set, up to 31 characters; without it, nothing is changed."`
	State   string   `arg:"state" enum:"present absent" doc:"Whether the set exists."`
	Type    string   `arg:"type" doc:"The set's type, as in hash:ip."`
	Family  string   `arg:"family" enum:"inet inet6" doc:"The family of the addresses; inet where not given."`
	Members []string `arg:"members" doc:"The entries, as ipset add takes them: 10.0.0.1, or 10.0.0.0/24 nomatch."`
	Exact   bool     `arg:"exact" doc:"Whether the members are the whole set; otherwise others are left in it."`

	Timeout    *int   `arg:"timeout" doc:"Seconds after which new entries expire; 0 is never, but lets an entry have its own."`
	Hashsize   int    `arg:"hashsize" doc:"The initial size of the hash of a new set."`
	Maxelem    int    `arg:"maxelem" doc:"How many entries the set can hold."`
	Bucketsize int    `arg:"bucketsize" doc:"How many entries one bucket of the hash can hold."`
	Netmask    int    `arg:"netmask" doc:"Bits of each address that are stored."`
	Markmask   string `arg:"markmask" doc:"Bits of each mark that are stored, as in 0xffff."`
	Range      string `arg:"range" doc:"The span of a bitmap set, as in 10.0.0.0/24 or 1-1024."`
	Size       int    `arg:"size" doc:"How many sets a list:set can hold."`
	Comment    bool   `arg:"comment" doc:"Whether entries may have comments."`
	Counters   bool   `arg:"counters" doc:"Whether packets and bytes are counted for each entry."`
	Skbinfo    bool   `arg:"skbinfo" doc:"Whether entries may have marks, priorities and queues."`
	Forceadd   bool   `arg:"forceadd" doc:"Whether a full set drops an entry for a new one."`

	Report     bool   `arg:"report" doc:"Without a name, register what this host's ipset can read and create, and which sets exist."`
	Compatible bool   `arg:"compatible" doc:"Without a name, fail where a set exists that the ipset binary cannot read."`
	Binary     string `arg:"ipset" doc:"Without a name, the ipset binary to judge."`
	Scope      string `arg:"scope" enum:"all calico" doc:"Without a name, the sets that must be readable: all, as Calico up to 3.27.0 wants, or Calico's own."`
	Inside     string `arg:"inside" doc:"Without a name, judge the ipset in the container of the oldest process of this name, as in calico-node."`
	Repair     bool   `arg:"repair" doc:"Without a name, make each set of the scope that the judged ipset cannot read anew with it, while firewall rules use it."`

	seeds map[string]string // of the sets to repair, by name, when they were first seen
}

var (
	ipsetName   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,30}$`)
	ipsetType   = regexp.MustCompile(`^(hash|bitmap|list):[a-z0-9,]+$`)
	ipsetInside = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,14}$`) // as much of a name as the kernel keeps
	ipsetOption = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:/-]*$`)
)

func (s *ipset) Validate() error {
	if s.Name == "" {
		return s.validateReport()
	}
	switch {
	case s.Compatible || s.Repair || s.Inside != "":
		return errors.New("name excludes compatible, repair and inside, which are about all sets")
	case !ipsetName.MatchString(s.Name):
		return fmt.Errorf("name: %q cannot be the name of a set; wanted up to 31 letters, digits, and any of _ . : + -", s.Name)
	case !ipsetType.MatchString(s.Type):
		return fmt.Errorf("type: %q is not a type of set; wanted one that `ipset help` lists, as in hash:ip", s.Type)
	case s.State == "absent" && len(s.Members) > 0:
		return errors.New("members have no meaning with state: absent, which removes the whole set")
	case s.Range != "" && !ipsetOption.MatchString(s.Range):
		return fmt.Errorf("range: %q is not a range; wanted one as in 10.0.0.0/24 or 1-1024", s.Range)
	case s.Markmask != "" && !ipsetOption.MatchString(s.Markmask):
		return fmt.Errorf("markmask: %q is not a mask; wanted one as in 0xffff", s.Markmask)
	case strings.HasPrefix(s.Type, "bitmap:") && s.Range == "":
		return fmt.Errorf("range is needed with type %q", s.Type)
	}
	for _, m := range s.Members {
		if strings.TrimSpace(m) == "" || strings.HasPrefix(m, "-") || strings.ContainsFunc(m, func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("members: %q is not an entry of a set", m)
		}
	}
	return nil
}

func (s *ipset) validateReport() error {
	switch {
	case len(s.Members) > 0 || s.State == "absent":
		return errors.New("name is needed to change a set")
	case !s.Report && !s.Compatible && !s.Repair:
		return errors.New("one of name, report, compatible or repair is needed")
	case s.Compatible && s.Repair:
		return errors.New("compatible and repair exclude one another: the one fails where the other repairs")
	case s.Inside != "" && !ipsetInside.MatchString(s.Inside):
		return fmt.Errorf("inside: %q cannot be the name of a process; wanted up to 15 letters, digits, _ and -, as in calico-node", s.Inside)
	case s.Repair && s.Inside == "" && s.Binary == "ipset":
		return errors.New("repair needs inside, or ipset: the host's own ipset cannot copy the sets that it cannot read")
	case s.Binary == "" || strings.HasPrefix(s.Binary, "-"):
		return fmt.Errorf("ipset: %q is not a program", s.Binary)
	}
	return nil
}

func (s *ipset) Check(ctx context.Context, t Target) (Change, error) {
	if s.Name == "" {
		return s.checkReadable(ctx, t)
	}
	have, want, err := s.look(ctx, t)
	switch {
	case err != nil:
		return Change{}, err
	case s.State == "absent":
		return s.absent(have)
	case have.unreadable != nil:
		return Change{}, whetherReadable(t, fmt.Errorf("ipset %q cannot be read by this host's ipset: %w; upgrade ipset and libipset13, or remove the set with state: absent", s.Name, have.unreadable))
	case have.kind != "" && (have.kind != want.kind || want.option("family") != "" && have.option("family") != want.option("family")):
		return Change{}, fmt.Errorf("ipset %q is of type %s, and %s is wanted: a set cannot change its type while rules may use it; remove it with state: absent, or choose another name",
			s.Name, have.title(), want.title())
	}
	change := Change{Vars: want.vars(s.Name)}
	change.Diffs = s.diffs(have, want)
	if len(change.Diffs) > 0 {
		change.Steps = []Step{s.fill(have, want)}
		change.Effects = []Effect{s.effect(have, want)}
	}
	return change, nil
}

func (s *ipset) absent(have ipsetState) (Change, error) {
	change := Change{Vars: map[string]any{"name": s.Name}}
	switch {
	case !have.exists:
		return change, nil
	case have.references > 0:
		return Change{}, fmt.Errorf("ipset %q cannot be removed: %d firewall rules or sets use it; remove those first", s.Name, have.references)
	}
	change.Diffs = []Diff{{What: "ipset " + s.Name, Have: have.summary(), Want: "absent"}}
	change.Steps = []Step{Run{Argv: []string{"ipset", "destroy", s.Name}, Env: ipsetEnv()}}
	change.Effects = []Effect{{Thing: ASet, Name: s.Name, Gone: true}}
	return change, nil
}

func (s *ipset) diffs(have, want ipsetState) []Diff {
	var diffs []Diff
	if !have.exists {
		diffs = append(diffs, Diff{What: "ipset " + s.Name, Have: "absent", Want: want.summary()})
	} else {
		for _, name := range s.given() {
			if h, w := have.option(name), want.option(name); h != w {
				diffs = append(diffs, Diff{What: name + " of ipset " + s.Name, Have: h, Want: w})
			}
		}
	}
	wanted := s.wholeSet(have, want)
	if !sameMembers(have.members, wanted) {
		diffs = append(diffs, Diff{What: "members of ipset " + s.Name, Have: have.memberLines(), Want: ipsetState{members: wanted}.memberLines(), Text: true})
	}
	return diffs
}

// fill is the step that makes the set as wanted: a new set under a name of its
// own, which then takes the place of the old one.
func (s *ipset) fill(have, want ipsetState) Step {
	if have.exists && !s.Exact && s.sameOptions(have, want) {
		return s.addMissing(have, want)
	}
	temp := ipsetTemp(s.Name)
	var script strings.Builder
	fmt.Fprintf(&script, "create %s %s\n", temp, s.rebuilt(have, want))
	members := s.wholeSet(have, want)
	for _, m := range inOrder(want.kind, members) {
		fmt.Fprintf(&script, "add %s %s\n", temp, m.line)
	}
	show := fmt.Sprintf("ipset restore: create %s %s, add %s, ", temp, s.rebuilt(have, want), countMembers(len(members)))
	if have.exists {
		fmt.Fprintf(&script, "swap %s %s\ndestroy %s\n", temp, s.Name, temp)
		show += fmt.Sprintf("swap it with %s, destroy it", s.Name)
	} else {
		fmt.Fprintf(&script, "rename %s %s\n", temp, s.Name)
		show += "rename it to " + s.Name
	}
	return Run{
		// A crash may have left the temporary set; a failure must not.
		Shell: fmt.Sprintf("ipset destroy %s 2>/dev/null\nipset restore || { code=$?; ipset destroy %s 2>/dev/null; exit $code; }\n", temp, temp),
		Stdin: script.String(),
		Show:  show,
		Env:   ipsetEnv(),
	}
}

func (s *ipset) addMissing(have, want ipsetState) Step {
	var script strings.Builder
	added := missingMembers(have.members, want.members)
	for _, m := range inOrder(want.kind, added) {
		fmt.Fprintf(&script, "add %s %s\n", s.Name, m.line)
	}
	return Run{
		Argv:  []string{"ipset", "-exist", "restore"},
		Stdin: script.String(),
		Show:  fmt.Sprintf("ipset -exist restore: add %s to %s", countMembers(len(added)), s.Name),
		Env:   ipsetEnv(),
	}
}

// inOrder is the members of a set that has no order of its own in one that does
// not change: the kernel gives them as they lie in its hash, each time anew.
func inOrder(kind string, members []ipsetMember) []ipsetMember {
	if strings.HasPrefix(kind, "list:") {
		return members
	}
	return slices.SortedFunc(slices.Values(members), func(a, b ipsetMember) int { return strings.Compare(a.line, b.line) })
}

// wholeSet is every member that the set will have.
func (s *ipset) wholeSet(have, want ipsetState) []ipsetMember {
	if s.Exact {
		return want.members
	}
	return append(slices.Clone(have.members), missingMembers(have.members, want.members)...)
}

func (s *ipset) sameOptions(have, want ipsetState) bool {
	for _, name := range s.given() {
		if have.option(name) != want.option(name) {
			return false
		}
	}
	return true
}

func ipsetEnv() map[string]string { return map[string]string{"PATH": systemPath, "LC_ALL": "C"} }
