package jinja

import (
	"errors"
	"fmt"
)

// functions are the names that the language itself has.
func functions() map[string]Value {
	out := map[string]Value{"omit": Omit}
	known := builtins{
		"range":     define("*bounds", rangeFunction),
		"dict":      define("from **", dictFunction).looking(careful),
		"namespace": define("from **", namespaceFunction).looking(careful),
		"cycler":    define("*items", cyclerFunction).looking(shape),
		"joiner":    define("sep", joinerFunction),
	}
	supportedFunctions = sortedKeys(known)
	for name, fn := range known {
		out[name] = &function{name, fn}
	}
	for name := range unsupportedFunctions {
		out[name] = &function{name, define("*any **", func(*args) (Value, error) {
			return nil, errors.New("it is not supported yet")
		})}
	}
	return out
}

// supportedFunctions are the names that a call can have.
var supportedFunctions []string

// unsupportedFunctions are known and refused; the text says what to do.
var unsupportedFunctions = map[string]string{
	"lookup": "put the value into a variable, or register it from a task",
	"query":  "put the value into a variable, or register it from a task",
	"q":      "put the value into a variable, or register it from a task",
	"now":    "it gives another answer every time, so that a plan could not be kept",
	"lipsum": "",
	"undef":  "leave the variable out",
}

func rangeFunction(a *args) (Value, error) {
	bounds := []int64{0, 0, 1}
	if len(a.rest) < 1 || len(a.rest) > 3 {
		return nil, errors.New("wants one to three arguments: the end, or begin, end and step")
	}
	for i, v := range a.rest {
		n, ok := asInt(v)
		if !ok || n.big != nil {
			return nil, fmt.Errorf("wants small ints, not %s", kindOf(v))
		}
		if len(a.rest) == 1 {
			i = 1
		}
		bounds[i] = n.small
	}
	begin, end, step := bounds[0], bounds[1], bounds[2]
	if step == 0 {
		return nil, errors.New("the step cannot be 0")
	}
	var items []Value
	for i := begin; step > 0 && i < end || step < 0 && i > end; i += step {
		if len(items) >= maxItems {
			return nil, errTooMany
		}
		items = append(items, Int{small: i})
		// The next number could not be counted.
		if next := i + step; (next > i) != (step > 0) {
			break
		}
	}
	return newList(items), nil
}

func dictFunction(a *args) (Value, error) {
	d := &Dict{}
	switch from := a.get("from").(type) {
	case nil:
	case *Dict:
		d = from.copy()
	case Undefined:
		return nil, &undefinedError{from}
	case Unknown:
		return from, nil
	default:
		entries, err := iterate(from)
		if err != nil {
			return nil, err
		}
		if d, err = dictOf(entries); err != nil {
			return nil, err
		}
	}
	for i, k := range a.named.keys {
		if err := d.set(k, a.named.values[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// dictOf makes a dictionary of pairs.
func dictOf(entries []Value) (*Dict, error) {
	d := &Dict{}
	for _, e := range entries {
		pair, err := iterate(e)
		if err != nil || len(pair) != 2 {
			return nil, errors.New("wants a dict or a list of pairs")
		}
		if err := d.set(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func namespaceFunction(a *args) (Value, error) {
	v, err := dictFunction(a)
	if d, ok := v.(*Dict); ok {
		return &namespace{d}, err
	}
	return v, err
}

// cycler gives its items one after the other, again and again.
type cycler struct {
	items []Value
	at    int
}

func (*cycler) typeName() string { return "cycler" }

func (c *cycler) attribute(name string) (Value, bool) {
	switch name {
	case "current":
		return c.items[c.at], true
	case "next":
		return &function{name, define("", func(*args) (Value, error) {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v, nil
		})}, true
	case "reset":
		return &function{name, define("", func(*args) (Value, error) {
			c.at = 0
			return str(""), nil
		})}, true
	}
	return nil, false
}

func cyclerFunction(a *args) (Value, error) {
	if len(a.rest) == 0 {
		return nil, errors.New("wants at least one item")
	}
	return &cycler{items: a.rest}, nil
}

// joinerFunction makes a function that gives nothing when it is first called,
// and the separator from then on.
func joinerFunction(a *args) (Value, error) {
	sep, used := a.text("sep", ", "), false
	return &function{"joiner", define("", func(*args) (Value, error) {
		if !used {
			used = true
			return str(""), nil
		}
		return str(sep), nil
	})}, nil
}
