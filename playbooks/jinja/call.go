package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// object is a value of the engine itself that has attributes.
type object interface {
	attribute(name string) (Value, bool)
}

// callable is a value that can be called.
type callable interface {
	Value
	call(r *renderer, a *actuals) (Value, error)
}

// actuals are the arguments of a call.
type actuals struct {
	positions []Value
	names     []string
	named     []Value // of names
}

// actuals computes the arguments of a call.
func (r *renderer) actuals(c callArgs) (*actuals, error) {
	positions, err := r.evalAll(c.positions)
	if err != nil {
		return nil, err
	}
	named, err := r.evalAll(c.named)
	if err != nil {
		return nil, err
	}
	a := &actuals{positions, slices.Clip(c.names), named}
	if c.spread != nil {
		v, err := r.operand(c.spread)
		if err != nil {
			return nil, err
		}
		more, err := iterate(v)
		if err != nil {
			return nil, r.wrong(c.spread, err)
		}
		a.positions = slices.Concat(a.positions, more)
	}
	if c.spreadMap == nil {
		return a, nil
	}
	return a, r.spread(a, c.spreadMap)
}

// spread adds the entries of a dictionary as named arguments.
func (r *renderer) spread(a *actuals, x expr) error {
	v, err := r.operand(x)
	if err != nil {
		return err
	}
	d, ok := v.(*Dict)
	if !ok {
		return r.wrong(x, fmt.Errorf("only a dict can be spread with **, not %s", kindOf(v)))
	}
	for i, k := range d.keys {
		name, ok := k.(Str)
		if !ok {
			return r.wrong(x, fmt.Errorf("the name of an argument must be a str, not %s", kindOf(k)))
		}
		if slices.Contains(a.names, name.text) {
			return r.wrong(x, fmt.Errorf("the argument %q is given twice", name.text))
		}
		a.names = append(a.names, name.text)
		a.named = append(a.named, d.values[i])
	}
	return nil
}

func (x *callExpr) eval(r *renderer) (Value, error) {
	return r.callWith(x, nil)
}

// callWith is a call; caller, if set, is the body of the call block around it.
func (r *renderer) callWith(x *callExpr, caller Value) (Value, error) {
	fn, err := r.operand(x.fn)
	if err != nil {
		return nil, err
	}
	a, err := r.actuals(x.args)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		a.names = append(a.names, "caller")
		a.named = append(a.named, caller)
	}
	if u, ok := fn.(Unknown); ok {
		return u, nil
	}
	f, ok := fn.(callable)
	if !ok {
		return nil, r.wrong(x, fmt.Errorf("%s is %s, which cannot be called", written(x.fn), kindOf(fn)))
	}
	v, err := f.call(r, a)
	return r.placed(x, v), r.wrong(x, err)
}

// function is a function of the language, such as range.
type function struct {
	name string
	fn   *builtin
}

func (*function) typeName() string { return "function" }

func (f *function) call(r *renderer, a *actuals) (Value, error) {
	return f.fn.apply(r, f.name, None{}, a)
}

// method is a function of a value, such as "text".upper.
type method struct {
	of   Value
	name string
	fn   *builtin
}

func (*method) typeName() string { return "method" }

func (m *method) call(r *renderer, a *actuals) (Value, error) {
	if !r.changes && slices.Contains(changingMethods, m.name) {
		return nil, fmt.Errorf("%s changes %s, and can only be called by its name: x.%s()", m.name, kindOf(m.of), m.name)
	}
	return m.fn.apply(r, m.name, m.of, a)
}

// macroValue is a macro where it was defined.
type macroValue struct {
	*macro
	frame *frame
}

func (*macroValue) typeName() string { return "macro" }

func (s *macroStmt) exec(r *renderer) error {
	if r.frame == nil {
		r.frame = &frame{}
	}
	r.set(s.macro.name, &macroValue{s.macro, r.frame})
	return nil
}

func (s *callBlock) exec(r *renderer) error {
	if r.frame == nil {
		r.frame = &frame{}
	}
	v, err := r.callWith(s.call, &macroValue{s.caller, r.frame})
	if err != nil {
		return err
	}
	return (&outputStmt{&literal{s.call.span, v}}).exec(r)
}

func (m *macroValue) call(r *renderer, a *actuals) (Value, error) {
	if err := r.budget.enter(); err != nil {
		return nil, err
	}
	defer r.budget.leave()
	before := r.unknown
	r.unknown = nil
	defer func() { r.unknown = before }()
	v, err := r.capture(func() error {
		return r.within(m.frame, func() error {
			if err := m.bind(r, a); err != nil {
				return err
			}
			return r.execAll(m.body)
		})
	})
	if err == nil && r.unknown != nil {
		return *r.unknown, nil
	}
	return v, err
}

// bind gives the arguments of a call to the parameters.
func (m *macroValue) bind(r *renderer, a *actuals) error {
	n := min(len(a.positions), len(m.params))
	for i, v := range a.positions[:n] {
		r.set(m.params[i], v)
	}
	if extra := a.positions[n:]; len(extra) > 0 && !m.wantsRest {
		return fmt.Errorf("the macro %q takes %d arguments, not %d", m.name, len(m.params), len(a.positions))
	}
	if m.wantsRest {
		r.set("varargs", newTuple(a.positions[n:]...))
	}
	others, err := m.bindNamed(r, a, n)
	if err != nil {
		return err
	}
	if m.wantsNamed {
		r.set("kwargs", others)
	}
	return m.bindDefaults(r)
}

// bindNamed gives the named arguments and returns those that no parameter has.
func (m *macroValue) bindNamed(r *renderer, a *actuals, taken int) (*Dict, error) {
	others := &Dict{}
	for i, name := range a.names {
		at := slices.Index(m.params, name)
		switch {
		case at >= 0 && at < taken:
			return nil, fmt.Errorf("the argument %q of the macro %q is given twice", name, m.name)
		case at >= 0, name == "caller" && m.wantsCaller:
			r.set(name, a.named[i])
		case name == "caller":
			return nil, fmt.Errorf("the macro %q never uses caller()", m.name)
		case !m.wantsNamed:
			return nil, fmt.Errorf("the macro %q has no parameter %q; it has %s", m.name, name, strings.Join(m.params, ", "))
		default:
			others.Set(name, a.named[i])
		}
	}
	return others, nil
}

func (m *macroValue) bindDefaults(r *renderer) error {
	first := len(m.params) - len(m.defaults)
	for i, name := range m.params {
		if _, ok := r.frame.vars[name]; ok {
			continue
		}
		if i < first {
			r.set(name, Undefined{&absence{path: name, why: fmt.Sprintf("the macro %q was called without it", m.name), pos: r.at(m.off), size: 1}})
			continue
		}
		v, err := r.eval(m.defaults[i-first])
		if err != nil {
			return err
		}
		r.set(name, v)
	}
	return nil
}

// namespace is a value whose attributes the template can set.
type namespace struct{ vars *Dict }

func (*namespace) typeName() string { return "namespace" }

func (n *namespace) attribute(name string) (Value, bool) { return n.vars.Get(name) }

func (n *namespace) set(name string, v Value) { n.vars.Set(name, v) }
