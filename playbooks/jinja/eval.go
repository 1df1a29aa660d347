package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// eval computes an expression. The result may be Undefined or Unknown, and may
// hold texts that are still to be rendered: see operand.
func (r *renderer) eval(x expr) (Value, error) {
	if err := r.budget.spend(1); err != nil {
		return nil, r.wrong(x, err)
	}
	return x.eval(r)
}

// operand computes an expression whose value is used: it is rendered as a
// whole, and it is an error where it is undefined.
func (r *renderer) operand(x expr) (Value, error) {
	v, err := r.eval(x)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(Undefined); ok {
		return nil, &undefinedError{u}
	}
	v, err = r.resolve(v, x)
	return v, r.wrong(x, err)
}

// truth computes a condition.
func (r *renderer) truth(x expr) (truth bool, unknown *Unknown, err error) {
	v, err := r.eval(x)
	if err != nil {
		return false, nil, err
	}
	if u, ok := v.(Undefined); ok && !u.quiet() {
		return false, nil, &undefinedError{u}
	}
	truth, known := Truth(v)
	if !known {
		u, _ := FindUnknown(v)
		return false, &u, nil
	}
	return truth, nil, nil
}

func (x *literal) eval(*renderer) (Value, error) { return x.value, nil }

func (x *nameExpr) eval(r *renderer) (Value, error) { return r.lookup(x) }

func (r *renderer) evalAll(xs []expr) ([]Value, error) {
	out := make([]Value, len(xs))
	for i, x := range xs {
		v, err := r.eval(x)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (x *listExpr) eval(r *renderer) (Value, error) {
	items, err := r.evalAll(x.items)
	if err != nil {
		return nil, err
	}
	return newList(items), nil
}

func (x *tupleExpr) eval(r *renderer) (Value, error) {
	items, err := r.evalAll(x.items)
	if err != nil {
		return nil, err
	}
	return newTuple(items...), nil
}

func (x *dictExpr) eval(r *renderer) (Value, error) {
	d := &Dict{}
	for i, k := range x.keys {
		key, err := r.operand(k)
		if err != nil {
			return nil, err
		}
		if u, ok := FindUnknown(key); ok {
			return u, nil
		}
		v, err := r.eval(x.values[i])
		if err != nil {
			return nil, err
		}
		if err := d.set(key, v); err != nil {
			return nil, r.wrong(k, err)
		}
	}
	return d, nil
}

func (x *signExpr) eval(r *renderer) (Value, error) {
	v, err := r.operand(x.of)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case Unknown:
		return v, nil
	case Float:
		if x.minus {
			return -v, nil
		}
		return v, nil
	}
	n, ok := asInt(v)
	if !ok {
		return nil, r.wrong(x, fmt.Errorf("%s has no sign", kindOf(v)))
	}
	if x.minus {
		return bigArith("-", Int{}.wide(), n.wide())
	}
	return n, nil
}

func (x *notExpr) eval(r *renderer) (Value, error) {
	truth, unknown, err := r.truth(x.of)
	if err != nil || unknown == nil {
		return Bool(!truth), err
	}
	return *unknown, nil
}

func (x *logicExpr) eval(r *renderer) (Value, error) {
	left, err := r.eval(x.left)
	if err != nil {
		return nil, err
	}
	if u, ok := left.(Undefined); ok && !u.quiet() {
		return nil, &undefinedError{u}
	}
	truth, known := Truth(left)
	if !known {
		u, _ := FindUnknown(left)
		return u, nil
	}
	if truth != x.and {
		return left, nil
	}
	return r.eval(x.right)
}

func (x *condExpr) eval(r *renderer) (Value, error) {
	truth, unknown, err := r.truth(x.cond)
	switch {
	case err != nil:
		return nil, err
	case unknown != nil:
		return *unknown, nil
	case truth:
		return r.eval(x.then)
	case x.otherwise != nil:
		return r.eval(x.otherwise)
	}
	u := r.undefined(x, "the condition is false and there is no else", "")
	u.about.quiet = true
	return u, nil
}

func (x *concatExpr) eval(r *renderer) (Value, error) {
	var b strings.Builder
	var unknown *Unknown
	for _, part := range x.parts {
		v, err := r.operand(part)
		if err != nil {
			return nil, err
		}
		if u, ok := FindUnknown(v); ok {
			unknown = &u
			continue
		}
		text, err := r.text(v)
		if err == nil {
			err = r.budget.grow(b.Len()+len(text), 0)
		}
		if err != nil {
			return nil, r.wrong(part, err)
		}
		b.WriteString(text)
	}
	if unknown != nil {
		return *unknown, nil
	}
	return str(b.String()), nil
}

// text is what v prints, within the limits.
func (r *renderer) text(v Value) (string, error) {
	if u, ok := findUndefined(v); ok {
		return "", &undefinedError{u}
	}
	if v == Omit {
		return "", errors.New("omit can only be a whole value, not a part of a text")
	}
	text := Text(v)
	return text, r.budget.text(len(text))
}

func (x *testExpr) eval(r *renderer) (Value, error) {
	v, err := r.eval(x.of)
	if err != nil {
		return nil, err
	}
	a, err := r.actuals(x.args)
	if err != nil {
		return nil, err
	}
	v, err = x.fn.apply(r, "test "+x.name, v, a)
	if err != nil {
		return nil, r.wrong(x, err)
	}
	if truth, known := Truth(v); known {
		return Bool(truth != x.negate), nil
	}
	return v, nil
}

func (x *filterExpr) eval(r *renderer) (Value, error) {
	v, err := r.eval(x.of)
	if err != nil {
		return nil, err
	}
	return r.filter(x, v)
}

// filter runs one filter on v.
func (r *renderer) filter(x *filterExpr, v Value) (Value, error) {
	a, err := r.actuals(x.args)
	if err != nil {
		return nil, err
	}
	v, err = x.fn.apply(r, "filter "+x.name, v, a)
	if err != nil {
		return nil, r.wrong(x, err)
	}
	return r.placed(x, v), nil
}
