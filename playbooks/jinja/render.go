package jinja

import (
	"errors"
	"fmt"
	"strings"

	"runbook/runner/source"
)

// renderer renders one template, or one expression, once.
type renderer struct {
	*script
	scope   Scope
	budget  *budget
	frame   *frame
	vars    map[string]Value // what was taken from the scope
	out     *strings.Builder
	unknown *Unknown // the first that came to be printed
	changes bool     // the template changes lists or dictionaries: it gets copies
}

// frame holds the names that a block of the template sets.
type frame struct {
	vars   map[string]Value
	parent *frame
}

func (r *renderer) set(name string, v Value) {
	if r.frame == nil {
		r.frame = &frame{}
	}
	if r.frame.vars == nil {
		r.frame.vars = map[string]Value{}
	}
	r.frame.vars[name] = v
}

// within runs do in a frame of its own on top of parent.
func (r *renderer) within(parent *frame, do func() error) error {
	saved := r.frame
	r.frame = &frame{parent: parent}
	defer func() { r.frame = saved }()
	return do()
}

// capture runs do and returns what it printed.
func (r *renderer) capture(do func() error) (Value, error) {
	saved := r.out
	r.out = &strings.Builder{}
	defer func() { r.out = saved }()
	if err := do(); err != nil {
		return nil, err
	}
	return str(r.out.String()), nil
}

// undefinedError is the use of something that is not there.
type undefinedError struct{ what Undefined }

func (e *undefinedError) Error() string { return e.public().Error() }

func (e *undefinedError) public() *source.Error {
	a := e.what.about
	if a == nil {
		return &source.Error{Msg: "an undefined value is used"}
	}
	var inner *source.Error
	if errors.As(public(a.cause), &inner) {
		return inner
	}
	msg := fmt.Sprintf("%q is undefined", a.path)
	if a.why != "" {
		msg += ": " + a.why
	}
	return &source.Error{Pos: a.pos, Len: a.size, Msg: msg, Hint: a.hint}
}

// public is an error as the package's users see it.
func public(err error) error {
	var u *undefinedError
	var s *source.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &u):
		return u.public()
	case errors.As(err, &s):
		return s
	}
	return &source.Error{Msg: err.Error()}
}

// wrong gives an error the place of x, unless it has one.
func (r *renderer) wrong(x expr, err error) error {
	if err == nil {
		return nil
	}
	var u *undefinedError
	var s *source.Error
	switch {
	case errors.As(err, &u):
		what, _ := r.placed(x, u.what).(Undefined)
		return &undefinedError{what}
	case errors.As(err, &s):
		return err
	}
	return r.err(x.where(), err.Error(), "")
}

func (u Undefined) quiet() bool { return u.about != nil && u.about.quiet }

// undefined is what x stands for where nothing is found.
func (r *renderer) undefined(x expr, why, hint string) Undefined {
	e := r.err(x.where(), "", "")
	return Undefined{&absence{path: written(x), why: why, hint: hint, pos: e.Pos, size: e.Len}}
}

// written is an expression as the user wrote it, as far as it is a path.
func written(x expr) string {
	switch x := x.(type) {
	case *nameExpr:
		return x.name
	case *attrExpr:
		return written(x.of) + "." + x.name
	case *indexExpr:
		key := "..."
		if lit, ok := x.key.(*literal); ok {
			key = repr(lit.value)
		}
		return written(x.of) + "[" + key + "]"
	case *filterExpr:
		if x.of == nil {
			return x.name
		}
		return written(x.of) + "|" + x.name
	case *callExpr:
		return written(x.fn) + "()"
	}
	return "..."
}

// lookup finds the value of a name: what the template has set, then the scope's
// variable, then what the language itself has.
func (r *renderer) lookup(x *nameExpr) (Value, error) {
	for f := r.frame; f != nil; f = f.parent {
		if v, ok := f.vars[x.name]; ok {
			return v, nil
		}
	}
	if v, ok := r.vars[x.name]; ok {
		return v, nil
	}
	if r.scope != nil {
		if v, ok := r.scope.Lookup(x.name); ok {
			return r.keep(x, v)
		}
	}
	if v, ok := globals[x.name]; ok {
		return v, nil
	}
	return r.undefined(x, "", source.DidYouMean(x.name, r.known())), nil
}

// keep renders a variable and remembers it for the rest of this rendering.
func (r *renderer) keep(x *nameExpr, raw Value) (Value, error) {
	v, err := r.force(raw, x)
	if err != nil {
		return nil, err
	}
	if r.changes {
		if v, err = r.resolve(v, x); err == nil {
			v, err = r.copyOf(v)
		}
		if err != nil {
			return nil, r.wrong(x, err)
		}
	}
	if !isCollection(v) && raw == v {
		return v, nil // costs nothing to look up again
	}
	if r.vars == nil {
		r.vars = map[string]Value{}
	}
	r.vars[x.name] = v
	return v, nil
}

func (r *renderer) known() []string {
	var names []string
	for f := r.frame; f != nil; f = f.parent {
		names = append(names, sortedKeys(f.vars)...)
	}
	if s, ok := r.scope.(interface{ Names() []string }); ok {
		names = append(names, s.Names()...)
	}
	return names
}

// force renders v if it is a text that the user wrote as a template. What is
// missing in it makes v Undefined, so that default() can answer for it.
func (r *renderer) force(v Value, x expr) (Value, error) {
	if s, ok := v.(Str); ok && s.origin != nil {
		return r.renderText(s, x)
	}
	return v, nil
}

// renderText renders a text that the user wrote; x leads to it.
func (r *renderer) renderText(s Str, x expr) (Value, error) {
	t, err := s.origin.parsed(s.text)
	if err != nil {
		return nil, err
	}
	name := written(x)
	if err := r.budget.begin(name, s.origin); err != nil {
		return nil, r.wrong(x, err)
	}
	defer r.budget.end()
	inner := &renderer{script: t.script, scope: r.scope, budget: r.budget, changes: t.changes}
	v, err := inner.template(t)
	var u *undefinedError
	if errors.As(err, &u) {
		return Undefined{&absence{path: name, cause: u}}, nil
	}
	if err != nil || !r.changes {
		return v, err
	}
	return r.copyOf(v)
}

// resolve renders every text in v that the user wrote as a template. It returns
// v itself where there is none.
func (r *renderer) resolve(v Value, x expr) (Value, error) {
	switch v := v.(type) {
	case Str:
		if v.origin != nil {
			return r.renderText(v, x)
		}
	case *List:
		items, err := r.resolveItems(v.Items, x)
		if err != nil || items == nil {
			return v, err
		}
		return newList(items), nil
	case *Tuple:
		items, err := r.resolveItems(v.Items, x)
		if err != nil || items == nil {
			return v, err
		}
		return &Tuple{items, v.names}, nil
	case *Dict:
		return r.resolveDict(v, x)
	}
	return v, nil
}

// resolveItems returns nil where nothing had to be rendered.
func (r *renderer) resolveItems(items []Value, x expr) ([]Value, error) {
	if err := r.budget.spend(1 + len(items)>>6); err != nil {
		return nil, err
	}
	var out []Value
	for i, item := range items {
		v, err := r.resolve(item, x)
		if err != nil {
			return nil, err
		}
		if out == nil && v != item {
			out = append(make([]Value, 0, len(items)), items[:i]...)
		}
		if out != nil {
			out = append(out, v)
		}
	}
	return out, nil
}

func (r *renderer) resolveDict(d *Dict, x expr) (Value, error) {
	if d.Settled {
		return d, nil
	}
	values, err := r.resolveItems(d.values, x)
	if err != nil {
		return d, err
	}
	keys, err := r.resolveItems(d.keys, x)
	if err != nil {
		return d, err
	}
	if keys == nil && values == nil {
		return d, nil
	}
	if keys == nil {
		return &Dict{keys: d.keys, values: values, index: d.index, Rest: d.Rest}, nil
	}
	out := &Dict{Rest: d.Rest}
	for i, k := range keys {
		v := d.values[i]
		if values != nil {
			v = values[i]
		}
		if err := out.set(k, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// copyOf is a deep copy, which the template may change.
func (r *renderer) copyOf(v Value) (Value, error) {
	var err error
	switch v := v.(type) {
	case *List:
		items, err := r.copyItems(v.Items)
		return newList(items), err
	case *Tuple:
		items, err := r.copyItems(v.Items)
		return &Tuple{items, v.names}, err
	case *Dict:
		c := v.copy()
		c.values, err = r.copyItems(v.values)
		return c, err
	}
	return v, err
}

func (r *renderer) copyItems(items []Value) ([]Value, error) {
	if err := r.budget.spend(1 + len(items)>>6); err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, item := range items {
		v, err := r.copyOf(item)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// finish makes v ready to leave the engine.
func (r *renderer) finish(v Value, x expr) (Value, error) {
	if u, ok := v.(Undefined); ok && u.quiet() {
		return str(""), nil
	}
	v, err := r.resolve(v, x)
	if err != nil {
		return nil, r.wrong(x, err)
	}
	if u, ok := findUndefined(v); ok && !u.quiet() {
		return nil, r.wrong(x, &undefinedError{u})
	}
	switch v.(type) {
	case callable, object:
		return nil, r.wrong(x, fmt.Errorf("%s is %s, which is no data; is a call or an attribute missing?", written(x), kindOf(v)))
	}
	return v, nil
}
