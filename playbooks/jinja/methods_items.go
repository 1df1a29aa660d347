package jinja

import (
	"errors"
	"slices"
)

// changingMethods change the list or dictionary that they belong to. A template
// that calls one works on copies of its variables.
var changingMethods = []string{"append", "extend", "insert", "remove", "clear", "update", "pop", "setdefault", "reverse"}

// changing is a method for its effect; it prints as nothing.
func changing(params string, run func(*args) error) *builtin {
	return define(params, func(a *args) (Value, error) { return str(""), run(a) }).looking(careful)
}

func tupleMethods() builtins {
	return builtins{
		"index": define("value!", indexMethod),
		"count": define("value!", countMethod),
	}
}

func listMethods() builtins {
	return builtins{
		"index":  define("value!", indexMethod),
		"count":  define("value!", countMethod),
		"copy":   define("", func(a *args) (Value, error) { return newList(slices.Clone(a.items())), nil }).looking(shape),
		"append": changing("value!", func(a *args) error { return a.insert(-1, a.get("value")) }),
		"insert": changing("at! value!", func(a *args) error { return a.insert(a.int("at", 0), a.get("value")) }),
		"extend": changing("values!", func(a *args) error {
			for _, v := range slices.Clone(a.list("values")) {
				if err := a.insert(-1, v); err != nil {
					return err
				}
			}
			return nil
		}),
		"remove": changing("value!", removeItem),
		"clear":  changing("", func(a *args) error { a.in.(*List).Items = nil; return nil }),
		"reverse": changing("", func(a *args) error {
			slices.Reverse(a.in.(*List).Items)
			return nil
		}),
		"pop": define("at", popItem).looking(shape),
	}
}

func dictMethods() builtins {
	return builtins{
		"items":  define("", func(a *args) (Value, error) { return pairs(a.dict()), nil }).looking(shape),
		"keys":   define("", func(a *args) (Value, error) { return newList(slices.Clone(a.dict().keys)), nil }).looking(shape),
		"values": define("", func(a *args) (Value, error) { return newList(slices.Clone(a.dict().values)), nil }).looking(shape),
		"copy":   define("", func(a *args) (Value, error) { return a.dict().copy(), nil }).looking(shape),
		"get":    define("key! default", getEntry).looking(careful),
		"update": changing("from **", updateDict),
		"setdefault": define("key! default", func(a *args) (Value, error) {
			d := a.dict()
			v, ok, err := d.lookup(a.get("key"))
			if ok || err != nil {
				return v, err
			}
			if v = a.get("default"); v == nil {
				v = None{}
			}
			if v, err = a.copyOf(v); err != nil {
				return nil, err
			}
			return v, d.set(a.get("key"), v)
		}).looking(shape),
		"pop":   define("key! default", popEntry).looking(shape),
		"clear": changing("", func(a *args) error { *a.dict() = Dict{}; return nil }),
	}
}

func indexMethod(a *args) (Value, error) {
	for i, item := range a.items() {
		if equal(item, a.get("value")) {
			return integer(i), nil
		}
	}
	return nil, errors.New("the value is not in the list")
}

func countMethod(a *args) (Value, error) {
	n := 0
	for _, item := range a.items() {
		if equal(item, a.get("value")) {
			n++
		}
	}
	return integer(n), nil
}

// insert puts a copy of v into the list, so that no list can hold itself; at
// the end where at is -1.
func (a *args) insert(at int, v Value) error {
	l := a.in.(*List)
	v, err := a.copyOf(v)
	if err == nil {
		err = fits(len(l.Items) + 1)
	}
	if err != nil || a.err != nil {
		return err
	}
	if at < 0 || at > len(l.Items) {
		at = len(l.Items)
	}
	l.Items = slices.Insert(l.Items, at, v)
	return nil
}

func removeItem(a *args) error {
	l := a.in.(*List)
	for i, item := range l.Items {
		if equal(item, a.get("value")) {
			l.Items = slices.Delete(l.Items, i, i+1)
			return nil
		}
	}
	return errors.New("the value is not in the list")
}

func popItem(a *args) (Value, error) {
	l := a.in.(*List)
	at := a.int("at", -1)
	if at < 0 {
		at += len(l.Items)
	}
	if at < 0 || at >= len(l.Items) {
		return nil, errors.New("the list has no such item")
	}
	v := l.Items[at]
	l.Items = slices.Delete(l.Items, at, at+1)
	return v, nil
}

func getEntry(a *args) (Value, error) {
	if u, ok := a.get("key").(Undefined); ok {
		return nil, &undefinedError{u}
	}
	if u, ok := FindUnknown(a.get("key")); ok {
		return u, nil
	}
	v, ok, err := a.dict().lookup(a.get("key"))
	if ok || err != nil {
		return v, err
	}
	if v := a.get("default"); v != nil {
		return v, nil
	}
	return None{}, nil
}

func updateDict(a *args) error {
	d := a.dict()
	if u, ok := a.get("from").(Undefined); ok {
		return &undefinedError{u}
	}
	v, err := dictFunction(a)
	if err != nil {
		return err
	}
	from, ok := v.(*Dict)
	if !ok {
		return errors.New("a value that is not known yet cannot be put into a dict")
	}
	for i, k := range from.keys {
		v, err := a.copyOf(from.values[i])
		if err != nil {
			return err
		}
		if err := d.set(k, v); err != nil {
			return err
		}
	}
	return nil
}

func popEntry(a *args) (Value, error) {
	d := a.dict()
	v, ok, err := d.lookup(a.get("key"))
	switch {
	case err != nil:
		return nil, err
	case ok:
		return v, d.remove(a.get("key"))
	case a.get("default") != nil:
		return a.get("default"), nil
	}
	return nil, errors.New("there is no such key")
}
