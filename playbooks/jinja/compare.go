package jinja

import (
	"cmp"
	"fmt"
	"strings"
)

// equal is Python's ==: numbers by value, lists by their items, dictionaries
// whatever the order of their keys.
func equal(a, b Value) bool {
	if c, ok := compareNumbers(a, b); ok {
		return c == 0
	}
	switch a := a.(type) {
	case Str:
		s, ok := b.(Str)
		return ok && a.text == s.text
	case *List:
		l, ok := b.(*List)
		return ok && equalItems(a.Items, l.Items)
	case *Tuple:
		t, ok := b.(*Tuple)
		return ok && equalItems(a.Items, t.Items)
	case *Dict:
		d, ok := b.(*Dict)
		return ok && equalDicts(a, d)
	case Float:
		return false // not a number
	}
	return a == b
}

func equalItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalDicts(a, b *Dict) bool {
	if a.Len() != b.Len() {
		return false
	}
	for h, i := range a.index {
		j, ok := b.index[h]
		if !ok || !equal(a.values[i], b.values[j]) {
			return false
		}
	}
	return true
}

// compareNumbers orders two numbers; ok is false where one is none, or not a
// number in the sense of IEEE 754.
func compareNumbers(a, b Value) (c int, ok bool) {
	x, xInt := asInt(a)
	y, yInt := asInt(b)
	if xInt && yInt {
		if x.big == nil && y.big == nil {
			return cmp.Compare(x.small, y.small), true
		}
		return x.wide().Cmp(y.wide()), true
	}
	f, fOK := asFloat(a)
	g, gOK := asFloat(b)
	if !fOK || !gOK || f != f || g != g {
		return 0, false
	}
	return cmp.Compare(f, g), true
}

// order is negative, zero or positive as a is before, equal to or after b. It
// fails where Python has no order between the two.
func order(a, b Value) (int, error) {
	if c, ok := compareNumbers(a, b); ok {
		return c, nil
	}
	switch a := a.(type) {
	case Str:
		if s, ok := b.(Str); ok {
			return strings.Compare(a.text, s.text), nil
		}
	case *List:
		if l, ok := b.(*List); ok {
			return orderItems(a.Items, l.Items)
		}
	case *Tuple:
		if t, ok := b.(*Tuple); ok {
			return orderItems(a.Items, t.Items)
		}
	}
	return 0, fmt.Errorf("%s and %s have no order", a.typeName(), b.typeName())
}

func orderItems(a, b []Value) (int, error) {
	for i := range min(len(a), len(b)) {
		if !equal(a[i], b[i]) {
			return order(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b)), nil
}

// contains is Python's "item in box".
func contains(box, item Value) (bool, error) {
	switch box := box.(type) {
	case Str:
		part, ok := item.(Str)
		if !ok {
			return false, fmt.Errorf("only a str can be in a str, not %s", kindOf(item))
		}
		return strings.Contains(box.text, part.text), nil
	case *List:
		return anyEqual(box.Items, item), nil
	case *Tuple:
		return anyEqual(box.Items, item), nil
	case *Dict:
		h, err := hash(item)
		if err != nil {
			return false, err
		}
		_, ok := box.index[h]
		return ok, nil
	}
	return false, fmt.Errorf("nothing can be in %s", kindOf(box))
}

func anyEqual(items []Value, v Value) bool {
	for _, item := range items {
		if equal(item, v) {
			return true
		}
	}
	return false
}
