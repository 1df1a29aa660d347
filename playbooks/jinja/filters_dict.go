package jinja

import (
	"fmt"
	"slices"
)

func dictFilters() builtins {
	return builtins{
		"combine":    define("*others **", combine).looking(careful),
		"dict2items": define("key_name value_name", dictToItems).looking(shape),
		"items2dict": define("key_name value_name", itemsToDict).looking(shape),
		"dictsort":   define("case_sensitive by reverse", dictSort),
		"items":      define("", func(a *args) (Value, error) { return pairs(a.dict()), nil }).looking(shape),
	}
}

// pairs is the entries as tuples of key and value.
func pairs(d *Dict) Value {
	out := make([]Value, d.Len())
	for i, k := range d.keys {
		out[i] = newTuple(k, d.values[i])
	}
	return newList(out)
}

func dictToItems(a *args) (Value, error) {
	d := a.dict()
	key, value := a.text("key_name", "key"), a.text("value_name", "value")
	out := make([]Value, d.Len())
	for i, k := range d.keys {
		item := &Dict{}
		item.Set(key, k)
		item.Set(value, d.values[i])
		out[i] = item
	}
	return newList(out), nil
}

func itemsToDict(a *args) (Value, error) {
	key, value := a.text("key_name", "key"), a.text("value_name", "value")
	out := &Dict{}
	for _, item := range a.items() {
		d, ok := item.(*Dict)
		if !ok {
			return nil, fmt.Errorf("wants a list of dicts, not of %s", kindOf(item))
		}
		k, hasKey := d.Get(key)
		v, hasValue := d.Get(value)
		if !hasKey || !hasValue {
			return nil, fmt.Errorf("every item must have the keys %q and %q; name others with key_name and value_name", key, value)
		}
		if u, ok := k.(Unknown); ok {
			return u, nil
		}
		if err := out.set(k, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func dictSort(a *args) (Value, error) {
	d := a.dict()
	by, sensitive := a.text("by", "key"), a.flag("case_sensitive", false)
	if by != "key" && by != "value" {
		return nil, fmt.Errorf("there is no order by %q; want key or value", by)
	}
	items := make([]keyed, d.Len())
	for i, k := range d.keys {
		order := k
		if by == "value" {
			order = d.values[i]
		}
		items[i] = keyed{[]Value{folded(order, sensitive)}, newTuple(k, d.values[i])}
	}
	if err := sortKeyed(items, a.flag("reverse", false)); err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, k := range items {
		out[i] = k.item
	}
	return newList(out), nil
}

// merging says how combine treats what is in both dictionaries.
type merging struct {
	recursive bool
	lists     string
}

var listMerges = []string{"replace", "keep", "append", "prepend", "append_rp", "prepend_rp"}

// combine takes the dictionaries as they are: an entry that is not known yet is
// merged like any other.
func combine(a *args) (Value, error) {
	m := merging{lists: "replace"}
	for i, k := range a.named.keys {
		switch v := a.named.values[i]; Text(k) {
		case "recursive":
			m.recursive, _ = Truth(v)
		case "list_merge":
			m.lists = Text(v)
		default:
			return nil, fmt.Errorf("there is no argument %q; it takes recursive, list_merge", Text(k))
		}
	}
	if !slices.Contains(listMerges, m.lists) {
		return nil, fmt.Errorf("there is no list_merge %q; want one of %v", m.lists, listMerges)
	}
	out := &Dict{}
	for _, v := range slices.Concat([]Value{a.in}, a.rest) {
		dicts := []Value{v}
		if l, ok := v.(*List); ok {
			dicts = l.Items
		}
		for _, v := range dicts {
			switch d := v.(type) {
			case *Dict:
				out = m.merge(out, d)
			case Undefined:
				return nil, &undefinedError{d}
			case Unknown:
				return d, nil
			default:
				return nil, fmt.Errorf("wants dicts, not %s", kindOf(v))
			}
		}
	}
	return out, nil
}

func (m merging) merge(old, new *Dict) *Dict {
	out := old.copy()
	if new.Rest != nil {
		// Any entry may be overwritten by one that is not known yet.
		out = &Dict{Rest: new.Rest}
	}
	for i, k := range new.keys {
		// A key that is in a dictionary can be looked up.
		v := new.values[i]
		if had, ok, _ := old.lookup(k); ok {
			v = m.both(had, v)
		}
		_ = out.set(k, v)
	}
	return out
}

func (m merging) both(old, new Value) Value {
	switch new := new.(type) {
	case *Dict:
		if d, ok := old.(*Dict); ok && m.recursive {
			return m.merge(d, new)
		}
	case *List:
		if l, ok := old.(*List); ok {
			return m.bothLists(l, new)
		}
	}
	return new
}

func (m merging) bothLists(old, new *List) Value {
	switch m.lists {
	case "keep":
		return old
	case "append":
		return newList(slices.Concat(old.Items, new.Items))
	case "prepend":
		return newList(slices.Concat(new.Items, old.Items))
	case "append_rp":
		return newList(slices.Concat(without(old.Items, new.Items), new.Items))
	case "prepend_rp":
		return newList(slices.Concat(new.Items, without(old.Items, new.Items)))
	}
	return new
}

func without(items, gone []Value) []Value {
	s := setOf(gone)
	return slices.DeleteFunc(slices.Clone(items), s.has)
}
