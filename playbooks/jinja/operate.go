package jinja

import (
	"fmt"
	"slices"
	"strings"
)

func (x *binaryExpr) eval(r *renderer) (Value, error) {
	left, err := r.operand(x.left)
	if err != nil {
		return nil, err
	}
	right, err := r.operand(x.right)
	if err != nil {
		return nil, err
	}
	for _, v := range []Value{left, right} {
		if u, ok := v.(Unknown); ok {
			return u, nil
		}
	}
	v, err := r.binary(x.op, left, right)
	return v, r.wrong(x, err)
}

func (r *renderer) binary(op string, left, right Value) (Value, error) {
	if v, ok, err := arith(op, left, right); ok {
		return v, err
	}
	switch op {
	case "+":
		if v, ok, err := r.join(left, right); ok {
			return v, err
		}
	case "*":
		if v, ok, err := r.repeat(left, right); ok {
			return v, err
		}
	case "%":
		if s, ok := left.(Str); ok {
			if u, ok := FindUnknown(right); ok {
				return u, nil
			}
			return percentFormat(r, s.text, right)
		}
	}
	return nil, fmt.Errorf("there is no %s %s %s", left.typeName(), op, right.typeName())
}

// join is + of two texts, lists or tuples.
func (r *renderer) join(left, right Value) (Value, bool, error) {
	switch a := left.(type) {
	case Str:
		if b, ok := right.(Str); ok {
			return str(a.text + b.text), true, r.budget.text(len(a.text) + len(b.text))
		}
	case *List:
		if b, ok := right.(*List); ok {
			return newList(slices.Concat(a.Items, b.Items)), true, r.budget.items(len(a.Items) + len(b.Items))
		}
	case *Tuple:
		if b, ok := right.(*Tuple); ok {
			return newTuple(slices.Concat(a.Items, b.Items)...), true, r.budget.items(len(a.Items) + len(b.Items))
		}
	}
	return nil, false, nil
}

// repeat is * of a text, a list or a tuple and a number.
func (r *renderer) repeat(left, right Value) (Value, bool, error) {
	n, ok := asInt(right)
	if !ok {
		if n, ok = asInt(left); !ok {
			return nil, false, nil
		}
		left = right
	}
	times := int64(maxOutput + 1)
	if n.big == nil {
		times = min(max(n.small, 0), times)
	} else if n.big.Sign() < 0 {
		times = 0
	}
	switch v := left.(type) {
	case Str:
		if err := r.budget.text(len(v.text) * int(times)); err != nil {
			return nil, true, err
		}
		return str(strings.Repeat(v.text, int(times))), true, nil
	case *List:
		if err := r.budget.items(len(v.Items) * int(times)); err != nil {
			return nil, true, err
		}
		return newList(slices.Repeat(v.Items, int(times))), true, nil
	case *Tuple:
		if err := r.budget.items(len(v.Items) * int(times)); err != nil {
			return nil, true, err
		}
		return newTuple(slices.Repeat(v.Items, int(times))...), true, nil
	}
	return nil, false, nil
}

func (x *compareExpr) eval(r *renderer) (Value, error) {
	left, err := r.operand(x.first)
	if err != nil {
		return nil, err
	}
	for _, link := range x.links {
		right, err := r.operand(link.to)
		if err != nil {
			return nil, err
		}
		holds, unknown, err := r.compare(link.op, left, right)
		switch {
		case err != nil:
			return nil, r.wrong(x, err)
		case unknown != nil:
			return *unknown, nil
		case !holds:
			return Bool(false), nil
		}
		left = right
	}
	return Bool(true), nil
}

// compare decides one comparison. It is unknown where any part of either side
// is.
func (r *renderer) compare(op string, left, right Value) (holds bool, unknown *Unknown, err error) {
	for _, v := range []Value{left, right} {
		if u, ok := FindUnknown(v); ok {
			return false, &u, nil
		}
		if u, ok := findUndefined(v); ok {
			return false, nil, &undefinedError{u}
		}
	}
	switch op {
	case "==":
		return equal(left, right), nil, nil
	case "!=":
		return !equal(left, right), nil, nil
	case "in", "not in":
		in, err := contains(right, left)
		return in == (op == "in"), nil, err
	}
	if isNaN(left) || isNaN(right) {
		return false, nil, nil
	}
	c, err := order(left, right)
	switch op {
	case "<":
		holds = c < 0
	case "<=":
		holds = c <= 0
	case ">":
		holds = c > 0
	case ">=":
		holds = c >= 0
	}
	return holds, nil, err
}

func isNaN(v Value) bool {
	f, ok := v.(Float)
	return ok && f != f
}
