package inventory

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"runbook/runner/source"
)

const localhost = "localhost"

// isHere reports whether a name means this machine even where no inventory has
// it.
func isHere(name string) bool { return name == localhost || name == "127.0.0.1" || name == "::1" }

// Select gives the hosts that a pattern means, in the order of its terms and of
// the inventory. Terms are separated by commas or colons; those with ! take
// hosts away and those with & keep only what is in both, wherever they stand.
// A term is a host, a group, a glob or ~ and a regular expression, and may end in
// a position or a range: web[0], web[-1], web[1:3]. A plain name that nobody has
// is an error; a glob that fits nothing is not.
func (inv *Inventory) Select(pattern string) ([]*Host, error) {
	var plain, both, without []string
	for _, term := range terms(pattern) {
		switch term[0] {
		case '!':
			without = append(without, term[1:])
		case '&':
			both = append(both, term[1:])
		default:
			plain = append(plain, term)
		}
	}
	if len(plain)+len(both)+len(without) == 0 {
		return nil, errors.New(`the host pattern is empty; want names of hosts or groups, or "all"`)
	}
	if len(plain) == 0 {
		plain = []string{all}
	}
	chosen, err := inv.union(plain)
	if err != nil {
		return nil, err
	}
	for _, term := range both {
		if chosen, err = inv.keep(chosen, term, true); err != nil {
			return nil, err
		}
	}
	for _, term := range without {
		if chosen, err = inv.keep(chosen, term, false); err != nil {
			return nil, err
		}
	}
	hosts := make([]*Host, len(chosen))
	for i, name := range chosen {
		if hosts[i] = inv.hosts[name]; hosts[i] == nil {
			hosts[i] = &Host{Name: name, Implicit: true}
		}
	}
	return hosts, nil
}

// union gives what any of the terms means, each host once.
func (inv *Inventory) union(terms []string) ([]string, error) {
	var chosen []string
	for _, term := range terms {
		names, err := inv.match(term)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, names...)
	}
	return once(chosen), nil
}

// keep leaves those of the chosen hosts that the term means, or does not mean.
func (inv *Inventory) keep(chosen []string, term string, meant bool) ([]string, error) {
	names, err := inv.match(term)
	if err != nil {
		return nil, err
	}
	in := map[string]bool{}
	for _, name := range names {
		in[name] = true
	}
	return slices.DeleteFunc(chosen, func(name string) bool { return in[name] != meant }), nil
}

// once drops what stood in the list before.
func once(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	})
}

// Limit is Select for what --limit gives: a pattern, or @ and the name of a file
// with one term in each line.
func (inv *Inventory) Limit(pattern string) ([]*Host, error) {
	name, ok := strings.CutPrefix(pattern, "@")
	if !ok {
		return inv.Select(pattern)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	inv.read.Add(name, text)
	return inv.Select(strings.Join(strings.Fields(string(text)), ","))
}

// terms cuts a pattern at commas and colons outside of brackets and regular
// expressions. A term that is an IPv6 address keeps its colons.
func terms(pattern string) []string {
	var found []string
	for part := range strings.SplitSeq(pattern, ",") {
		part = strings.TrimSpace(part)
		if strings.HasPrefix(strings.TrimLeft(part, "!&"), "~") || strings.Count(part, "::") > 0 {
			found = append(found, part)
			continue
		}
		start, depth := 0, 0
		for i, r := range part {
			switch {
			case r == '[':
				depth++
			case r == ']':
				depth--
			case r == ':' && depth == 0:
				found = append(found, part[start:i])
				start = i + 1
			}
		}
		found = append(found, part[start:])
	}
	return slices.DeleteFunc(found, func(term string) bool { return strings.Trim(term, "!& ") == "" })
}

var subscript = regexp.MustCompile(`^(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]$`)

// match gives the hosts that one term means.
func (inv *Inventory) match(term string) ([]string, error) {
	term = strings.TrimSpace(term)
	if rest, ok := strings.CutPrefix(term, "~"); ok {
		re, err := regexp.Compile("^(?:" + rest + ")")
		if err != nil {
			return nil, fmt.Errorf("the host pattern %q is not a regular expression: %w", term, err)
		}
		return inv.matching(re.MatchString), nil
	}
	if m := subscript.FindStringSubmatch(term); m != nil {
		names, err := inv.match(m[1])
		if err != nil {
			return nil, err
		}
		return slice(names, term, m[2], m[3], m[4])
	}
	if strings.ContainsAny(term, "*?[") {
		if _, err := path.Match(term, ""); err != nil {
			return nil, fmt.Errorf("the host pattern %q has a bracket that is not closed", term)
		}
		return inv.matching(func(name string) bool { ok, _ := path.Match(strings.ReplaceAll(term, "[!", "[^"), name); return ok }), nil
	}
	switch {
	case inv.groups[term] != nil:
		return inv.members(term), nil
	case inv.hosts[term] != nil, isHere(term):
		return []string{term}, nil
	}
	return nil, inv.unknown(term)
}

// matching gives the hosts of the groups that fit, and the hosts that fit.
func (inv *Inventory) matching(fits func(string) bool) []string {
	var names []string
	for _, name := range inv.order {
		if fits(name) {
			names = append(names, inv.members(name)...)
		}
	}
	for _, name := range inv.members(all) {
		if fits(name) {
			names = append(names, name)
		}
	}
	return once(names)
}

// slice takes one host, or those from first to last, both included.
func slice(names []string, term, index, first, last string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	from, to := 0, len(names)-1
	var err error
	if index != "" {
		if from, err = strconv.Atoi(index); err == nil && from < 0 {
			from += len(names)
		}
		to = from
	} else if from, err = strconv.Atoi(first); err == nil && last != "" {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 0 || from >= len(names) {
		return nil, fmt.Errorf("the host pattern %q is out of range: there are %d hosts, counted from 0", term, len(names))
	}
	if to < from {
		return nil, nil
	}
	return names[from : min(to, len(names)-1)+1], nil
}

func (inv *Inventory) unknown(name string) error {
	known := slices.Concat(slices.Collect(maps.Keys(inv.hosts)), slices.Collect(maps.Keys(inv.groups)))
	hint := source.DidYouMean(name, known)
	if hint == "" {
		hint = fmt.Sprintf("the inventory has %d hosts in %d groups", len(inv.hosts), len(inv.groups)-2)
	}
	return &source.Error{Msg: fmt.Sprintf("no host or group is called %q", name), Hint: hint}
}
