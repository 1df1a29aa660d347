package jinja

import (
	"errors"
	"slices"
)

// loop is the variable of that name inside a for.
type loop struct {
	stmt  *forStmt
	outer *frame // around the for
	items []Value
	i     int
	depth int
	last  Value // what changed() saw
}

func (*loop) typeName() string { return "loop" }

func (l *loop) attribute(name string) (Value, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return integer(l.i + 1), true
	case "index0":
		return integer(l.i), true
	case "revindex":
		return integer(n - l.i), true
	case "revindex0":
		return integer(n - l.i - 1), true
	case "first":
		return Bool(l.i == 0), true
	case "last":
		return Bool(l.i == n-1), true
	case "length":
		return integer(n), true
	case "depth":
		return integer(l.depth), true
	case "depth0":
		return integer(l.depth - 1), true
	case "previtem":
		return l.neighbour(l.i-1, "there is no item before the first")
	case "nextitem":
		return l.neighbour(l.i+1, "there is no item after the last")
	case "cycle":
		return &function{name, define("*values", l.cycle)}, true
	case "changed":
		return &function{name, define("*values", l.changed).looking(shape)}, true
	}
	return nil, false
}

func (l *loop) neighbour(i int, why string) (Value, bool) {
	if i < 0 || i >= len(l.items) {
		return missing(why), true
	}
	return l.items[i], true
}

func (l *loop) cycle(a *args) (Value, error) {
	if len(a.rest) == 0 {
		return nil, errors.New("cycle wants at least one value")
	}
	return a.rest[l.i%len(a.rest)], nil
}

func (l *loop) changed(a *args) (Value, error) {
	now := newTuple(a.rest...)
	same := l.last != nil && equal(l.last, now)
	l.last = now
	return Bool(!same), nil
}

// call is loop(items) in a recursive for: the text of the loop over the items.
func (l *loop) call(r *renderer, a *actuals) (Value, error) {
	if !l.stmt.recursive {
		return nil, errors.New(`loop() needs a for with "recursive" behind its list`)
	}
	if len(a.positions) != 1 || len(a.names) > 0 {
		return nil, errors.New("loop() wants one argument, the list")
	}
	if err := r.budget.enter(); err != nil {
		return nil, err
	}
	defer r.budget.leave()
	return r.capture(func() error { return l.stmt.over(r, a.positions[0], l.outer, l.depth+1) })
}

func (s *forStmt) exec(r *renderer) error {
	v, err := r.eval(s.in)
	if err != nil {
		return err
	}
	return s.over(r, v, r.frame, 1)
}

// over runs the loop over v.
func (s *forStmt) over(r *renderer, v Value, outer *frame, depth int) error {
	if u, ok := unknownShape(v); ok {
		r.stopAt(&u)
		return nil
	}
	found, err := iterate(v)
	if err != nil {
		return r.wrong(s.in, err)
	}
	items, unknown, err := s.kept(r, slices.Clone(found), outer)
	switch {
	case err != nil:
		return err
	case unknown != nil:
		r.stopAt(unknown)
		return nil
	case len(items) == 0:
		return r.within(outer, func() error { return r.execAll(s.otherwise) })
	}
	l := &loop{stmt: s, outer: outer, items: items, depth: depth}
	for l.i = range items {
		err := r.within(outer, func() error {
			if err := r.assign(s.to, items[l.i]); err != nil {
				return err
			}
			r.set("loop", l)
			return r.execAll(s.body)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// kept is the items, rendered, that pass the loop's filter.
func (s *forStmt) kept(r *renderer, items []Value, outer *frame) (out []Value, unknown *Unknown, err error) {
	for _, item := range items {
		item, err := r.force(item, s.in)
		if err != nil {
			return nil, nil, err
		}
		keep := true
		if s.keep != nil {
			err = r.within(outer, func() (err error) {
				if err = r.assign(s.to, item); err != nil {
					return err
				}
				keep, unknown, err = r.truth(s.keep)
				return err
			})
		}
		if err != nil || unknown != nil {
			return nil, unknown, err
		}
		if keep {
			out = append(out, item)
		}
	}
	return out, nil, nil
}

// unknownShape says whether it cannot be known which items v has.
func unknownShape(v Value) (Unknown, bool) {
	switch v := v.(type) {
	case Unknown:
		return v, true
	case *Dict:
		if v.Rest != nil {
			return *v.Rest, true
		}
	}
	return Unknown{}, false
}
