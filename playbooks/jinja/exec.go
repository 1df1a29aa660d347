package jinja

import "fmt"

func (r *renderer) execAll(body []stmt) error {
	for _, s := range body {
		if err := r.budget.spend(1); err != nil {
			return err
		}
		if err := s.exec(r); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) print(text string) error {
	if err := r.budget.grow(r.out.Len()+len(text), len(text)); err != nil {
		return err
	}
	r.out.WriteString(text)
	return nil
}

func (s *dataStmt) exec(r *renderer) error { return r.print(s.text) }

// exec prints the value. What comes after an Unknown is still evaluated, so
// that a mistake there is found before anything is done.
func (s *outputStmt) exec(r *renderer) error {
	v, err := r.eval(s.of)
	if err != nil {
		return err
	}
	if v, err = r.finish(v, s.of); err != nil {
		return err
	}
	if u, ok := FindUnknown(v); ok {
		r.stopAt(&u)
		return nil
	}
	if v == (None{}) {
		return nil
	}
	text, err := r.text(v)
	if err == nil {
		err = r.print(text)
	}
	return r.wrong(s.of, err)
}

// stopAt notes that the text cannot be known because of u.
func (r *renderer) stopAt(u *Unknown) {
	if r.unknown == nil {
		r.unknown = u
	}
}

func (s *ifStmt) exec(r *renderer) error {
	for i, cond := range s.conds {
		truth, unknown, err := r.truth(cond)
		switch {
		case err != nil:
			return err
		case unknown != nil:
			r.stopAt(unknown)
			return nil
		case truth:
			return r.execAll(s.bodies[i])
		}
	}
	return r.execAll(s.otherwise)
}

func (s *setStmt) exec(r *renderer) error {
	v, err := r.eval(s.value)
	if err != nil {
		return err
	}
	return r.assign(s.to, v)
}

// assign gives v to a target.
func (r *renderer) assign(to target, v Value) error {
	at := &literal{span: to.span}
	if to.parts == nil {
		v, err := r.force(v, &nameExpr{to.span, to.name})
		if err != nil {
			return err
		}
		if to.attr == "" {
			r.set(to.name, v)
			return nil
		}
		space, err := r.lookup(&nameExpr{to.span, to.name})
		if err != nil {
			return err
		}
		ns, ok := space.(*namespace)
		if !ok {
			return r.wrong(at, fmt.Errorf("only an attribute of a namespace can be set, and %q is %s", to.name, kindOf(space)))
		}
		ns.set(to.attr, v)
		return nil
	}
	return r.unpack(to, v)
}

// unpack gives the items of v to several targets.
func (r *renderer) unpack(to target, v Value) error {
	at := &literal{span: to.span}
	switch v := v.(type) {
	case Undefined:
		return &undefinedError{v}
	case Unknown:
		for _, part := range to.parts {
			if err := r.assign(part, v); err != nil {
				return err
			}
		}
		return nil
	}
	items, err := iterate(v)
	if err != nil {
		return r.wrong(at, err)
	}
	if len(items) != len(to.parts) {
		return r.wrong(at, fmt.Errorf("%d names for %d items", len(to.parts), len(items)))
	}
	for i, part := range to.parts {
		if err := r.assign(part, items[i]); err != nil {
			return err
		}
	}
	return nil
}

// inner runs a body in a frame of its own and returns what it printed, after
// the filters.
func (r *renderer) inner(body []stmt, filters []*filterExpr) (Value, error) {
	before := r.unknown
	r.unknown = nil
	defer func() { r.unknown = before }()
	v, err := r.capture(func() error {
		return r.within(r.frame, func() error { return r.execAll(body) })
	})
	if err != nil {
		return nil, err
	}
	if r.unknown != nil {
		v = *r.unknown
	}
	for _, f := range filters {
		if v, err = r.filter(f, v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (s *setBlock) exec(r *renderer) error {
	v, err := r.inner(s.body, s.filters)
	if err != nil {
		return err
	}
	return r.assign(s.to, v)
}

func (s *filterBlock) exec(r *renderer) error {
	v, err := r.inner(s.body, s.filters)
	if err != nil {
		return err
	}
	return (&outputStmt{&literal{s.filters[0].span, v}}).exec(r)
}

func (s *withStmt) exec(r *renderer) error {
	values, err := r.evalAll(s.values)
	if err != nil {
		return err
	}
	return r.within(r.frame, func() error {
		for i, to := range s.to {
			if err := r.assign(to, values[i]); err != nil {
				return err
			}
		}
		return r.execAll(s.body)
	})
}

// iterate lists what a loop over v visits.
func iterate(v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case *Tuple:
		return v.Items, nil
	case *Dict:
		return v.keys, nil
	case Str:
		items := make([]Value, 0, len(v.text))
		for _, c := range v.text {
			items = append(items, str(string(c)))
		}
		return items, nil
	case Undefined:
		return nil, &undefinedError{v}
	}
	return nil, fmt.Errorf("%s is not a list", kindOf(v))
}
