package jinja

import (
	"errors"
	"fmt"
)

// setFilters treat lists as sets that keep their order.
func setFilters() builtins {
	return builtins{
		"union":                define("b!", union),
		"intersect":            define("b!", func(a *args) (Value, error) { return chosen(a, true) }),
		"difference":           define("b!", func(a *args) (Value, error) { return chosen(a, false) }),
		"symmetric_difference": define("b!", symmetricDifference),
		"subelements":          define("subelements! skip_missing", subelements),
		"extract":              define("container! morekeys", extract).looking(shape),
	}
}

func union(a *args) (Value, error) {
	var s seen
	var out []Value
	for _, items := range [][]Value{a.items(), a.list("b")} {
		for _, item := range items {
			if s.add(item) {
				out = append(out, item)
			}
		}
	}
	return newList(out), nil
}

// chosen is the items that are, or are not, in the other list too.
func chosen(a *args, inBoth bool) (Value, error) {
	return newList(onlyIf(a.items(), setOf(a.list("b")), inBoth)), nil
}

func setOf(items []Value) *seen {
	var s seen
	for _, item := range items {
		s.add(item)
	}
	return &s
}

// onlyIf is the items, each once, for which other.has is wanted.
func onlyIf(items []Value, other *seen, wanted bool) []Value {
	var s seen
	var out []Value
	for _, item := range items {
		if other.has(item) == wanted && s.add(item) {
			out = append(out, item)
		}
	}
	return out
}

func symmetricDifference(a *args) (Value, error) {
	left, right := a.items(), a.list("b")
	return newList(append(onlyIf(left, setOf(right), false), onlyIf(right, setOf(left), false)...)), nil
}

// subelements pairs every item with each of the items of a list inside it.
func subelements(a *args) (Value, error) {
	path := attributePath(a.get("subelements"))
	if l, ok := a.get("subelements").(*List); ok {
		path = l.Items
	}
	items := a.items()
	if d, ok := a.in.(*Dict); ok {
		items = d.values
	}
	var out []Value
	for _, item := range items {
		inside, err := a.inside(item, path)
		if err != nil {
			return nil, err
		}
		for _, sub := range inside {
			out = append(out, newTuple(item, sub))
		}
	}
	return newList(out), nil
}

// inside is the list that path leads to in item.
func (a *args) inside(item Value, path []Value) ([]Value, error) {
	v := item
	for _, key := range path {
		d, ok := v.(*Dict)
		if !ok {
			return nil, fmt.Errorf("%q should be a key of a dict, not of %s", Text(key), kindOf(v))
		}
		found, ok, err := d.lookup(key)
		if err != nil {
			return nil, err
		}
		if !ok && a.flag("skip_missing", false) {
			return nil, nil
		}
		if !ok {
			return nil, fmt.Errorf("an item has no key %q; skip_missing=True passes over it", Text(key))
		}
		v = found
	}
	l, ok := v.(*List)
	if !ok {
		return nil, fmt.Errorf("the keys should lead to a list, not to %s", kindOf(v))
	}
	return l.Items, nil
}

// extract is container[input], and further in by morekeys.
func extract(a *args) (Value, error) {
	keys := []Value{a.in}
	if more := a.get("morekeys"); a.given("morekeys") {
		if l, ok := more.(*List); ok {
			keys = append(keys, l.Items...)
		} else {
			keys = append(keys, more)
		}
	}
	v := a.get("container")
	for _, key := range keys {
		found, err := a.index(&nameExpr{name: "extract"}, v, key)
		if err != nil {
			return nil, err
		}
		if u, ok := found.(Undefined); ok {
			if u.about == nil || u.about.why == "" {
				return nil, errors.New("there is nothing to extract")
			}
			return missing(u.about.why), nil
		}
		v = found
	}
	return v, nil
}
