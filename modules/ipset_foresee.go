package modules

import (
	"fmt"
	"maps"
	"slices"
)

// ipsetAhead is the package of the plan that changes what this host's ipset can
// do: installs it, or brings another version.
func ipsetAhead(t Target) (Effect, bool) {
	for _, name := range []string{"ipset", "libipset13"} {
		if e, ok := t.Predicted(APackage, name); ok && !e.Gone {
			return e, true
		}
	}
	return Effect{}, false
}

// whetherReadable is the error where what ipset says now is not what it will
// say when the plan has changed ipset itself.
func whetherReadable(t Target, now error) error {
	e, ok := ipsetAhead(t)
	if !ok {
		return now
	}
	return Unforeseen{fmt.Sprintf("what ipset says when %s has installed package %q", byTask(e.By), e.Name)}
}

// foresee makes the set what earlier tasks of the plan would have left. One of
// which the host knows too keeps what uses it.
func (st *ipsetState) foresee(t Target, name string) error {
	e, ok, err := foreseen(t, ASet, name)
	if !ok || err != nil {
		return err
	}
	set, known := e.State.(IPSet)
	switch {
	case e.Gone:
		*st = ipsetState{}
		return nil
	case !known:
		return Unforeseen{fmt.Sprintf("what ipset %q is, which %s makes", name, byTask(e.By))}
	}
	references := st.references
	*st = ipsetState{exists: true, kind: set.Type, options: set.Options, references: references}
	for _, line := range set.Members {
		st.members = append(st.members, newIpsetMember(line))
	}
	return nil
}

// effect is the set as the change leaves it.
func (s *ipset) effect(have, want ipsetState) Effect {
	options := maps.Clone(want.options)
	if have.exists {
		for name, value := range have.options {
			if _, asked := options[name]; !asked {
				options[name] = value
			}
		}
	}
	delete(options, "initval")
	var lines []string
	for _, m := range s.wholeSet(have, want) {
		lines = append(lines, m.line)
	}
	slices.Sort(lines)
	return Effect{Thing: ASet, Name: s.Name, State: IPSet{Type: want.kind, Options: options, Members: lines}}
}
