package jinja

import "errors"

// pickFilters choose items by a test.
func pickFilters() builtins {
	return builtins{
		"select":     define("*test **", func(a *args) (Value, error) { return choose(a, false, true) }).looking(shape),
		"reject":     define("*test **", func(a *args) (Value, error) { return choose(a, false, false) }).looking(shape),
		"selectattr": define("*test **", func(a *args) (Value, error) { return choose(a, true, true) }).looking(shape),
		"rejectattr": define("*test **", func(a *args) (Value, error) { return choose(a, true, false) }).looking(shape),
	}
}

// choose keeps the items, or those with an attribute, for which a test gives
// wanted. Where it is unknown for one, it is for the list.
func choose(a *args, byAttribute, wanted bool) (Value, error) {
	rest := a.rest
	var attribute Value
	if byAttribute {
		if len(rest) == 0 {
			return nil, errors.New("wants the name of an attribute")
		}
		attribute, rest = rest[0], rest[1:]
	}
	holds, err := a.condition(rest)
	if err != nil {
		return nil, err
	}
	var out []Value
	for _, item := range a.items() {
		v, err := a.byAttribute(item, attribute)
		if err != nil {
			return nil, err
		}
		if v, err = holds(v); err != nil {
			return nil, err
		}
		truth, known := Truth(v)
		if !known {
			return v, nil
		}
		if truth == wanted {
			out = append(out, item)
		}
	}
	return newList(out), nil
}

// condition is the test that words[0] names with its arguments; without a name
// it is the truth of the value.
func (a *args) condition(words []Value) (func(Value) (Value, error), error) {
	if len(words) == 0 {
		return func(v Value) (Value, error) {
			if u, ok := v.(Undefined); ok {
				return nil, a.undefinedItem(u)
			}
			return v, nil
		}, nil
	}
	test, err := findBuiltin("test", Text(words[0]))
	if err != nil {
		return nil, err
	}
	return a.applied("test "+Text(words[0]), test, words[1:]), nil
}

// undefinedItem is the use of an item, or of an attribute of one, that is not
// there.
func (a *args) undefinedItem(u Undefined) error {
	if u.about != nil && u.about.path == "" && u.about.cause == nil {
		return errors.New(u.about.why)
	}
	return &undefinedError{u}
}

// applied is a builtin with its arguments, to be run on item after item.
func (a *args) applied(what string, b *builtin, positions []Value) func(Value) (Value, error) {
	act := &actuals{positions: positions}
	for i, k := range a.named.keys {
		act.names = append(act.names, Text(k))
		act.named = append(act.named, a.named.values[i])
	}
	return func(v Value) (Value, error) {
		if err := a.budget.spend(1); err != nil {
			return nil, err
		}
		if u, ok := v.(Undefined); ok && b.looks != careful {
			return nil, a.undefinedItem(u)
		}
		return b.apply(a.renderer, what, v, act)
	}
}

// mapFilters turn every item into something else.
func mapFilters() builtins {
	return builtins{"map": define("*filter **", mapFilter).looking(shape)}
}

func mapFilter(a *args) (Value, error) {
	each, err := a.mapping()
	if err != nil {
		return nil, err
	}
	items := a.items()
	out := make([]Value, len(items))
	for i, item := range items {
		if out[i], err = each(item); err != nil {
			return nil, err
		}
	}
	return newList(out), nil
}

// mapping is what map does to an item: it takes an attribute, or runs a filter.
func (a *args) mapping() (func(Value) (Value, error), error) {
	attribute, byAttribute := a.named.Get("attribute")
	otherwise, hasDefault := a.named.Get("default")
	if len(a.rest) == 0 && byAttribute {
		known := 1
		if hasDefault {
			known++
		}
		if a.named.Len() > known {
			return nil, errors.New("takes attribute and default, or the name of a filter")
		}
		return func(item Value) (Value, error) {
			v, err := a.byAttribute(item, attribute)
			if _, gone := v.(Undefined); gone && hasDefault && err == nil {
				return otherwise, nil
			}
			return v, err
		}, nil
	}
	if len(a.rest) == 0 {
		return nil, errors.New("wants an attribute or the name of a filter")
	}
	name := Text(a.rest[0])
	b, err := findBuiltin("filter", name)
	if err != nil {
		return nil, err
	}
	return a.applied("filter "+name, b, a.rest[1:]), nil
}
