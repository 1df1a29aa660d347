package jinja

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"runbook/runner/source"
)

func (x *attrExpr) eval(r *renderer) (Value, error) {
	of, err := r.eval(x.of)
	if err != nil {
		return nil, err
	}
	return r.attribute(x, of, x.name)
}

// attribute is of.name: a method before a key of the same name, as in Python.
func (r *renderer) attribute(x expr, of Value, name string) (Value, error) {
	switch v := of.(type) {
	case Unknown:
		return v, nil
	case Undefined:
		return v.part(x), nil
	}
	if m, ok := methodOf(of, name); ok {
		return m, nil
	}
	switch v := of.(type) {
	case *Dict:
		return r.entry(x, v, str(name))
	case *Tuple:
		for i, n := range v.names {
			if n == name {
				return r.force(v.Items[i], x)
			}
		}
	case object:
		if found, ok := v.attribute(name); ok {
			return r.placed(x, found), nil
		}
	}
	return r.undefined(x, fmt.Sprintf("%s has no %q", kindOf(of), name), ""), nil
}

// missing is what a builtin returns where there is nothing; the caller gives it
// its place.
func missing(why string) Value { return Undefined{&absence{why: why}} }

func (r *renderer) placed(x expr, v Value) Value {
	if u, ok := v.(Undefined); ok && u.about != nil && u.about.path == "" && u.about.cause == nil {
		return r.undefined(x, u.about.why, u.about.hint)
	}
	return v
}

// part is what is looked for in something that is not there.
func (u Undefined) part(x expr) Undefined {
	if u.about == nil || u.about.cause != nil {
		return u
	}
	a := *u.about
	a.path, a.quiet = written(x), false
	if a.why == "" {
		a.why = fmt.Sprintf("there is no %q", u.about.path)
	}
	return Undefined{&a}
}

func (r *renderer) entry(x expr, d *Dict, key Value) (Value, error) {
	v, ok, err := d.lookup(key)
	switch {
	case err != nil:
		return nil, r.wrong(x, err)
	case ok:
		return r.force(v, x)
	}
	hint := ""
	if s, ok := key.(Str); ok {
		hint = source.DidYouMean(s.text, d.textKeys())
	}
	return r.undefined(x, "there is no such key", hint), nil
}

func (x *indexExpr) eval(r *renderer) (Value, error) {
	of, err := r.eval(x.of)
	if err != nil {
		return nil, err
	}
	key, err := r.operand(x.key)
	if err != nil {
		return nil, err
	}
	return r.index(x, of, key)
}

// index is of[key]: an item, or else the method that a text names.
func (r *renderer) index(x expr, of, key Value) (Value, error) {
	if u, ok := of.(Undefined); ok {
		return u.part(x), nil
	}
	for _, v := range []Value{of, key} {
		if u, ok := v.(Unknown); ok {
			return u, nil
		}
	}
	name, isText := key.(Str)
	if d, ok := of.(*Dict); ok {
		v, err := r.entry(x, d, key)
		if _, missing := v.(Undefined); !missing || !isText {
			return v, err
		}
		if m, ok := methodOf(of, name.text); ok {
			return m, nil
		}
		return v, err
	}
	if n, ok := asInt(key); ok {
		return r.item(x, of, n)
	}
	if isText {
		return r.attribute(x, of, name.text)
	}
	return r.undefined(x, fmt.Sprintf("%s has no item for %s", kindOf(of), kindOf(key)), ""), nil
}

// item is the item of a sequence at n, counted from the end where negative.
func (r *renderer) item(x expr, of Value, n Int) (Value, error) {
	size, ok := lengthOf(of)
	if _, isDict := of.(*Dict); !ok || isDict {
		return r.undefined(x, fmt.Sprintf("%s has no items", kindOf(of)), ""), nil
	}
	i := n.small
	if i < 0 {
		i += int64(size)
	}
	if n.big != nil || i < 0 || i >= int64(size) {
		return r.undefined(x, fmt.Sprintf("it has %d items", size), ""), nil
	}
	switch v := of.(type) {
	case *List:
		return r.force(v.Items[i], x)
	case *Tuple:
		return r.force(v.Items[i], x)
	case Str:
		return runeAt(v.text, int(i)), nil
	}
	return nil, errors.New("no sequence")
}

func runeAt(s string, n int) Value {
	for _, c := range s {
		if n == 0 {
			return str(string(c))
		}
		n--
	}
	return str("")
}

// lengthOf is Python's len(); ok is false for what has none.
func lengthOf(v Value) (n int, ok bool) {
	switch v := v.(type) {
	case Str:
		return utf8.RuneCountInString(v.text), true
	case *List:
		return len(v.Items), true
	case *Tuple:
		return len(v.Items), true
	case *Dict:
		return v.Len(), true
	}
	return 0, false
}

func (x *sliceExpr) eval(r *renderer) (Value, error) {
	of, err := r.operand(x.of)
	if err != nil {
		return nil, err
	}
	if u, ok := of.(Unknown); ok {
		return u, nil
	}
	var bounds [3]*int64
	for i, part := range []expr{x.low, x.high, x.step} {
		if part == nil {
			continue
		}
		v, err := r.operand(part)
		if err != nil {
			return nil, err
		}
		if u, ok := v.(Unknown); ok {
			return u, nil
		}
		if bounds[i], err = bound(v); err != nil {
			return nil, r.wrong(part, err)
		}
	}
	v, err := slice(of, bounds)
	return v, r.wrong(x, err)
}

// bound is one part of a slice; nil where it is null.
func bound(v Value) (*int64, error) {
	if v == (None{}) {
		return nil, nil
	}
	n, ok := asInt(v)
	if !ok || n.big != nil {
		return nil, fmt.Errorf("a part of a slice must be a small int, not %s", kindOf(v))
	}
	return &n.small, nil
}

// slice is of[low:high:step].
func slice(of Value, bounds [3]*int64) (Value, error) {
	size, ok := lengthOf(of)
	if _, isDict := of.(*Dict); !ok || isDict {
		return nil, fmt.Errorf("%s cannot be sliced", kindOf(of))
	}
	if bounds[2] != nil && *bounds[2] == 0 {
		return nil, errors.New("the step of a slice cannot be 0")
	}
	positions := sliced(int64(size), bounds)
	switch v := of.(type) {
	case *List:
		return newList(pick(v.Items, positions)), nil
	case *Tuple:
		return newTuple(pick(v.Items, positions)...), nil
	}
	return str(string(pick([]rune(Text(of)), positions))), nil
}

func pick[T any](items []T, positions []int64) []T {
	out := make([]T, len(positions))
	for i, p := range positions {
		out[i] = items[p]
	}
	return out
}

// sliced lists the positions that a slice of n items takes.
func sliced(n int64, bounds [3]*int64) []int64 {
	step, low, high := int64(1), int64(0), n
	if bounds[2] != nil {
		step = *bounds[2]
	}
	least, most := int64(0), n
	if step < 0 {
		low, high, least, most = n-1, -1, -1, n-1
	}
	clamp := func(b *int64, otherwise int64) int64 {
		if b == nil {
			return otherwise
		}
		i := *b
		if i < 0 {
			i += n
		}
		return min(max(i, least), most)
	}
	low, high = clamp(bounds[0], low), clamp(bounds[1], high)
	var out []int64
	for i := low; step > 0 && i < high || step < 0 && i > high; {
		out = append(out, i)
		// Beyond the sequence; adding such a step could overflow.
		if step > n || step < -n {
			break
		}
		i += step
	}
	return out
}
