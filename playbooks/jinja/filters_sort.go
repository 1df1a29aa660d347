package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// attributePath splits "a.b.0" into the keys that lead to a value.
func attributePath(v Value) []Value {
	s, ok := v.(Str)
	if !ok {
		return []Value{v}
	}
	var path []Value
	for part := range strings.SplitSeq(s.text, ".") {
		if n, err := strconv.Atoi(part); err == nil && n >= 0 {
			path = append(path, integer(n))
		} else {
			path = append(path, str(part))
		}
	}
	return path
}

// byAttribute follows an attribute such as "a.b.0" from v; without one it is v.
func (r *renderer) byAttribute(v, attribute Value) (Value, error) {
	if attribute == nil || attribute == (None{}) {
		return v, nil
	}
	// The errors of a path inside a filter speak of the attribute.
	x := &nameExpr{name: Text(attribute)}
	for _, key := range attributePath(attribute) {
		var err error
		if v, err = r.index(x, v, key); err != nil {
			return nil, err
		}
		if u, ok := v.(Undefined); ok && u.about != nil && u.about.cause == nil {
			return missing(fmt.Sprintf("an item has no attribute %q", Text(attribute))), nil
		}
	}
	return v, nil
}

// usable is byAttribute for a value that is then used.
func (r *renderer) usable(v, attribute Value) (Value, error) {
	v, err := r.byAttribute(v, attribute)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(Undefined); ok {
		if u.about != nil && u.about.path == "" {
			return nil, errors.New(u.about.why)
		}
		return nil, &undefinedError{u}
	}
	return v, nil
}

// folded is the key by which v is compared: a text without regard to its case
// unless sensitive.
func folded(v Value, sensitive bool) Value {
	if s, ok := v.(Str); ok && !sensitive {
		return str(strings.ToLower(s.text))
	}
	return v
}

// keyed is an item with what it is ordered by.
type keyed struct {
	keys []Value
	item Value
}

// keyedBy gives every item its keys: one for each attribute, which are
// separated by commas.
func (a *args) keyedBy(attribute, otherwise Value, sensitive bool) ([]keyed, error) {
	attributes := []Value{attribute}
	if s, ok := attribute.(Str); ok {
		attributes = nil
		for part := range strings.SplitSeq(s.text, ",") {
			attributes = append(attributes, str(part))
		}
	}
	var out []keyed
	for _, item := range a.items() {
		k := keyed{item: item}
		for _, attr := range attributes {
			v, err := a.byAttribute(item, attr)
			if _, gone := v.(Undefined); err == nil && gone && otherwise != nil {
				v = otherwise
			} else if err == nil {
				v, err = a.usable(item, attr)
			}
			if err != nil {
				return nil, err
			}
			k.keys = append(k.keys, folded(v, sensitive))
		}
		out = append(out, k)
	}
	return out, nil
}

func sortKeyed(items []keyed, backwards bool) error {
	var failed error
	slices.SortStableFunc(items, func(a, b keyed) int {
		c, err := orderItems(a.keys, b.keys)
		if err != nil {
			failed = err
		}
		if backwards {
			return -c
		}
		return c
	})
	return failed
}

func sortFilter(a *args) (Value, error) {
	items, err := a.keyedBy(a.get("attribute"), nil, a.flag("case_sensitive", false))
	if err == nil {
		err = sortKeyed(items, a.flag("reverse", false))
	}
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, k := range items {
		out[i] = k.item
	}
	return newList(out), nil
}

func groupBy(a *args) (Value, error) {
	attribute, sensitive := a.get("attribute"), a.flag("case_sensitive", false)
	items, err := a.keyedBy(attribute, a.get("default"), sensitive)
	if err == nil {
		err = sortKeyed(items, false)
	}
	if err != nil {
		return nil, err
	}
	var out []Value
	for at := 0; at < len(items); {
		end := at + 1
		for end < len(items) && equalItems(items[at].keys, items[end].keys) {
			end++
		}
		group := make([]Value, 0, end-at)
		for _, k := range items[at:end] {
			group = append(group, k.item)
		}
		// The group is named as its first item writes it, in its case.
		name, err := a.byAttribute(group[0], attribute)
		if _, gone := name.(Undefined); gone && err == nil {
			name = a.get("default")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, &Tuple{[]Value{name, newList(group)}, []string{"grouper", "list"}})
		at = end
	}
	return newList(out), nil
}

func extreme(a *args, sign int) (Value, error) {
	items, err := a.keyedBy(a.get("attribute"), nil, a.flag("case_sensitive", false))
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return missing("the list is empty"), nil
	}
	best := items[0]
	for _, k := range items[1:] {
		c, err := orderItems(k.keys, best.keys)
		if err != nil {
			return nil, err
		}
		if c*sign > 0 {
			best = k
		}
	}
	return best.item, nil
}

func sum(a *args) (Value, error) {
	var total Value = Int{}
	if start := a.get("start"); start != nil {
		total = start
	}
	for _, item := range a.items() {
		v, err := a.usable(item, a.get("attribute"))
		if err != nil {
			return nil, err
		}
		if _, isText := total.(Str); isText {
			return nil, errors.New("texts have no sum; use join")
		}
		if total, err = a.binary("+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// seen is a set of values of any kind: those that cannot be the key of a
// dictionary are compared one by one.
type seen struct {
	keys   map[hashKey]bool
	others []Value
}

// add reports whether v is new.
func (s *seen) add(v Value) bool {
	h, err := hash(v)
	if err != nil {
		if anyEqual(s.others, v) {
			return false
		}
		s.others = append(s.others, v)
		return true
	}
	if s.keys[h] {
		return false
	}
	if s.keys == nil {
		s.keys = map[hashKey]bool{}
	}
	s.keys[h] = true
	return true
}

func (s *seen) has(v Value) bool {
	if h, err := hash(v); err == nil {
		return s.keys[h]
	}
	return anyEqual(s.others, v)
}

func unique(a *args) (Value, error) {
	var s seen
	var out []Value
	for _, item := range a.items() {
		v, err := a.usable(item, a.get("attribute"))
		if err != nil {
			return nil, err
		}
		if s.add(folded(v, a.flag("case_sensitive", false))) {
			out = append(out, item)
		}
	}
	return newList(out), nil
}

func randomFilter(*args) (Value, error) {
	return nil, errors.New("it gives another answer every time, so that a plan could not be kept; write the value down, or take it from a hash of the host's name")
}
