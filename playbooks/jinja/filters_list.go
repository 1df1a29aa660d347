package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func listFilters() builtins {
	shaped := func(params string, run func(*args) (Value, error)) *builtin {
		return define(params, run).looking(shape)
	}
	length := shaped("", length)
	return builtins{
		"list":         shaped("", func(a *args) (Value, error) { return newList(slices.Clone(a.items())), nil }),
		"length":       length,
		"count":        length,
		"first":        shaped("", firstItem),
		"last":         shaped("", lastItem),
		"reverse":      shaped("", reverse),
		"batch":        shaped("linecount! fill_with", batch),
		"slice":        shaped("slices! fill_with", sliceFilter),
		"flatten":      define("levels skip_nulls", flatten),
		"zip":          shaped("*lists", zipFilter),
		"zip_longest":  define("*lists **", zipLongest).looking(shape),
		"product":      define("*lists **", productFilter).looking(shape),
		"permutations": shaped("r", permutations),
		"combinations": shaped("r!", combinations),
		"sort":         define("reverse case_sensitive attribute", sortFilter),
		"unique":       define("case_sensitive attribute", unique),
		"min":          define("case_sensitive attribute", func(a *args) (Value, error) { return extreme(a, -1) }),
		"max":          define("case_sensitive attribute", func(a *args) (Value, error) { return extreme(a, 1) }),
		"sum":          define("attribute start", sum),
		"groupby":      define("attribute! default case_sensitive", groupBy),
		"random":       define("end seed start step", randomFilter),
	}
}

func length(a *args) (Value, error) {
	n, ok := lengthOf(a.in)
	if !ok {
		return nil, fmt.Errorf("%s has no length", kindOf(a.in))
	}
	return integer(n), nil
}

func firstItem(a *args) (Value, error) {
	items := a.items()
	if len(items) == 0 {
		return missing("the list is empty"), nil
	}
	return items[0], nil
}

func lastItem(a *args) (Value, error) {
	items := a.items()
	if len(items) == 0 {
		return missing("the list is empty"), nil
	}
	return items[len(items)-1], nil
}

func reverse(a *args) (Value, error) {
	items := slices.Clone(a.items())
	slices.Reverse(items)
	if _, ok := a.in.(Str); !ok {
		return newList(items), nil
	}
	var b strings.Builder
	for _, c := range items {
		b.WriteString(Text(c))
	}
	return str(b.String()), nil
}

func batch(a *args) (Value, error) {
	n := a.int("linecount", 0)
	if n < 1 {
		return nil, errors.New("wants at least one item per list")
	}
	var out []Value
	for chunk := range slices.Chunk(a.items(), n) {
		chunk = slices.Clone(chunk)
		if fill := a.get("fill_with"); fill != nil && fill != (None{}) {
			if err := a.budget.items(n); err != nil {
				return nil, err
			}
			for len(chunk) < n {
				chunk = append(chunk, fill)
			}
		}
		out = append(out, newList(chunk))
	}
	return newList(out), nil
}

func sliceFilter(a *args) (Value, error) {
	n, items := a.int("slices", 0), a.items()
	if n < 1 {
		return nil, errors.New("wants at least one slice")
	}
	if err := a.budget.items(n); err != nil {
		return nil, err
	}
	out := make([]Value, n)
	each, extra, at := len(items)/n, len(items)%n, 0
	for i := range out {
		size := each
		if i < extra {
			size++
		}
		part := slices.Clone(items[at : at+size])
		at += size
		if fill := a.get("fill_with"); fill != nil && fill != (None{}) && i >= extra {
			part = append(part, fill)
		}
		out[i] = newList(part)
	}
	return newList(out), nil
}

func flatten(a *args) (Value, error) {
	levels := -1
	if a.given("levels") {
		levels = a.int("levels", 0)
	}
	out, err := a.flat(nil, a.items(), levels, a.flag("skip_nulls", true))
	return newList(out), err
}

func (a *args) flat(out, items []Value, levels int, skipNulls bool) ([]Value, error) {
	err := fits(len(out))
	for _, item := range items {
		if err != nil {
			return nil, err
		}
		l, isList := item.(*List)
		switch {
		case skipNulls && (item == None{} || item == str("None") || item == str("null")):
		case isList && levels != 0:
			out, err = a.flat(out, l.Items, levels-1, skipNulls)
		default:
			out = append(out, item)
		}
	}
	return out, err
}

// columns is the input and the other lists.
func (a *args) columns() ([][]Value, error) {
	out := [][]Value{a.items()}
	for _, v := range a.rest {
		items, err := iterate(v)
		if err != nil {
			return nil, err
		}
		out = append(out, items)
	}
	return out, nil
}

func zipFilter(a *args) (Value, error) {
	columns, err := a.columns()
	if err != nil {
		return nil, err
	}
	n := len(columns[0])
	for _, c := range columns {
		n = min(n, len(c))
	}
	return rows(columns, n, None{}), nil
}

func zipLongest(a *args) (Value, error) {
	columns, err := a.columns()
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range columns {
		n = max(n, len(c))
	}
	fill, ok := a.named.Get("fillvalue")
	if !ok {
		fill = None{}
	}
	return rows(columns, n, fill), nil
}

func rows(columns [][]Value, n int, fill Value) Value {
	out := make([]Value, n)
	for i := range out {
		row := make([]Value, len(columns))
		for j, c := range columns {
			row[j] = fill
			if i < len(c) {
				row[j] = c[i]
			}
		}
		out[i] = newTuple(row...)
	}
	return newList(out)
}

func productFilter(a *args) (Value, error) {
	columns, err := a.columns()
	if err != nil {
		return nil, err
	}
	if n, ok := a.named.Get("repeat"); ok && !equal(n, integer(1)) {
		return nil, errors.New("repeat is not supported; name the list as often as it is wanted")
	}
	out := [][]Value{nil}
	for _, c := range columns {
		if err := a.budget.items(len(out) * len(c)); err != nil {
			return nil, err
		}
		var longer [][]Value
		for _, row := range out {
			for _, v := range c {
				longer = append(longer, append(slices.Clone(row), v))
			}
		}
		out = longer
	}
	return tuples(out), nil
}

func tuples(rows [][]Value) Value {
	out := make([]Value, len(rows))
	for i, row := range rows {
		out[i] = newTuple(row...)
	}
	return newList(out)
}

func permutations(a *args) (Value, error) { return selections(a, false) }

func combinations(a *args) (Value, error) { return selections(a, true) }

// selections lists the ways to take r of the items: in every order, or in
// theirs only.
func selections(a *args, ordered bool) (Value, error) {
	items := a.items()
	r := a.int("r", len(items))
	if r < 0 {
		return nil, errors.New("cannot take fewer than no items")
	}
	var out [][]Value
	if r > len(items) || a.err != nil {
		return newList(nil), a.err
	}
	used := make([]bool, len(items))
	var take func(row []Value, from int) error
	take = func(row []Value, from int) error {
		if len(row) == r {
			out = append(out, slices.Clone(row))
			return fits(len(out) * max(r, 1))
		}
		for i := from; i < len(items); i++ {
			if used[i] {
				continue
			}
			if err := a.budget.spend(1); err != nil {
				return err
			}
			used[i] = true
			next := 0
			if ordered {
				next = i + 1
			}
			if err := take(append(row, items[i]), next); err != nil {
				return err
			}
			used[i] = false
		}
		return nil
	}
	if err := take(make([]Value, 0, r), 0); err != nil {
		return nil, err
	}
	return tuples(out), nil
}
