package jinja

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"runbook/runner/source"
)

// builtin is a filter, a test, a function or a method of the language.
type builtin struct {
	params []string // in their order
	needed int      // so many of them must be given
	rest   bool     // takes more arguments than params
	named  bool     // takes arguments of any name
	looks  look
	run    func(*args) (Value, error)
}

// look says how far a builtin looks into its input and its arguments.
type look byte

const (
	// everywhere: an Undefined in them is an error, an Unknown makes the result
	// Unknown.
	everywhere look = iota
	// shape: so it is for the values themselves, but not for their items.
	shape
	// careful: it takes any value as it is.
	careful
)

// define describes a builtin. The words of params are its arguments: "name" may
// be left out, "name!" may not, "*name" takes all that follow, "**" takes
// arguments of any name.
func define(params string, run func(*args) (Value, error)) *builtin {
	b := &builtin{run: run}
	for p := range strings.FieldsSeq(params) {
		switch {
		case p == "**":
			b.named = true
		case p[0] == '*':
			b.rest = true
		default:
			name, needed := strings.CutSuffix(p, "!")
			b.params = append(b.params, name)
			if needed {
				b.needed = len(b.params)
			}
		}
	}
	return b
}

func (b *builtin) looking(l look) *builtin {
	b.looks = l
	return b
}

// args are the input and the arguments of one call of a builtin. The methods
// that convert an argument note the first that has the wrong kind in err, and
// the call fails with it.
type args struct {
	*renderer
	b     *builtin
	in    Value
	vals  []Value // as b.params; nil where not given
	rest  []Value
	named *Dict
	err   error
}

// apply runs the builtin; what names it in errors.
func (b *builtin) apply(r *renderer, what string, in Value, act *actuals) (Value, error) {
	a, err := b.bind(r, in, act)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if unknown, err := a.inspect(); unknown != nil || err != nil {
		return unknown, err
	}
	v, err := b.run(a)
	if a.err != nil {
		err = a.err
	}
	if err == nil {
		err = r.paid(v)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// paid charges for the result of a builtin.
func (r *renderer) paid(v Value) error {
	switch v := v.(type) {
	case Str:
		return r.budget.text(len(v.text))
	case *List:
		return r.budget.items(len(v.Items))
	}
	return nil
}

func (b *builtin) bind(r *renderer, in Value, act *actuals) (*args, error) {
	a := &args{renderer: r, b: b, in: in, vals: make([]Value, len(b.params)), named: &Dict{}}
	n := copy(a.vals, act.positions)
	a.rest = act.positions[n:]
	if len(a.rest) > 0 && !b.rest {
		return nil, fmt.Errorf("takes at most %d arguments, not %d", len(b.params), len(act.positions))
	}
	for i, name := range act.names {
		at := slices.Index(b.params, name)
		switch {
		case at >= 0 && a.vals[at] != nil:
			return nil, fmt.Errorf("the argument %q is given twice", name)
		case at >= 0:
			a.vals[at] = act.named[i]
		case b.named:
			a.named.Set(name, act.named[i])
		default:
			return nil, fmt.Errorf("there is no argument %q; it takes %s", name, b.takes())
		}
	}
	for i := range b.needed {
		if a.vals[i] == nil {
			return nil, fmt.Errorf("the argument %q is missing", b.params[i])
		}
	}
	return a, a.resolveAll()
}

func (b *builtin) takes() string {
	if len(b.params) == 0 {
		return "none"
	}
	return strings.Join(b.params, ", ")
}

// resolveAll renders what is still to be rendered in the input and arguments.
func (a *args) resolveAll() (err error) {
	if a.in, err = a.resolve(a.in, &literal{}); err != nil {
		return err
	}
	resolved := func(vs []Value) []Value {
		out := vs
		for i, v := range vs {
			if v == nil || err != nil {
				continue
			}
			var w Value
			if w, err = a.resolve(v, &literal{}); err == nil && w != v {
				if &out[0] == &vs[0] {
					out = slices.Clone(vs)
				}
				out[i] = w
			}
		}
		return out
	}
	a.vals, a.rest, a.named.values = resolved(a.vals), resolved(a.rest), resolved(a.named.values)
	return err
}

// inspect finds what the builtin must not see.
func (a *args) inspect() (Value, error) {
	if a.b.looks == careful {
		return nil, nil
	}
	var unknown Value
	for _, v := range slices.Concat([]Value{a.in}, a.vals, a.rest, a.named.values) {
		if v == nil {
			continue
		}
		if u, ok := v.(Undefined); ok {
			return nil, &undefinedError{u}
		}
		u, found := unknownShape(v)
		if a.b.looks == everywhere {
			if u, ok := findUndefined(v); ok {
				return nil, &undefinedError{u}
			}
			u, found = FindUnknown(v)
		}
		if found && unknown == nil {
			unknown = u
		}
	}
	return unknown, nil
}

func (a *args) note(err error) {
	if a.err == nil {
		a.err = err
	}
}

// get returns an argument, or nil where it is not given.
func (a *args) get(name string) Value {
	if i := slices.Index(a.b.params, name); i >= 0 {
		return a.vals[i]
	}
	v, _ := a.named.Get(name)
	return v
}

// given is get, where null counts as not given.
func (a *args) given(name string) bool {
	v := a.get(name)
	return v != nil && v != None{}
}

func (a *args) text(name, otherwise string) string {
	if !a.given(name) {
		return otherwise
	}
	return Text(a.get(name))
}

func (a *args) int(name string, otherwise int) int {
	if !a.given(name) {
		return otherwise
	}
	n, ok := asInt(a.get(name))
	if !ok || n.big != nil || n.small != int64(int(n.small)) {
		a.note(fmt.Errorf("the argument %q must be a small int, not %s", name, kindOf(a.get(name))))
		return otherwise
	}
	return int(n.small)
}

func (a *args) flag(name string, otherwise bool) bool {
	v := a.get(name)
	if v == nil {
		return otherwise
	}
	truth, _ := Truth(v)
	return truth
}

// input is the text of the input, whatever it is.
func (a *args) input() string { return Text(a.in) }

// items lists the input.
func (a *args) items() []Value {
	items, err := iterate(a.in)
	if err != nil {
		a.note(err)
	}
	return items
}

// list lists an argument.
func (a *args) list(name string) []Value {
	v := a.get(name)
	if v == nil {
		return nil
	}
	items, err := iterate(v)
	if err != nil {
		a.note(fmt.Errorf("the argument %q: %w", name, err))
	}
	return items
}

// dict is the input, which must be one.
func (a *args) dict() *Dict {
	d, ok := a.in.(*Dict)
	if !ok {
		a.note(fmt.Errorf("wants a dict, not %s", kindOf(a.in)))
		return &Dict{}
	}
	return d
}

// builtins is a group of them by name.
type builtins map[string]*builtin

var (
	filters = builtins{}
	tests   = builtins{}
	globals = map[string]Value{}
	methods = map[string]builtins{} // by the type that has them
)

func init() {
	// The builtins reach these tables themselves, through map and select, so
	// that they cannot be in their initial values.
	for _, group := range []builtins{textFilters(), patternFilters(), numberFilters(), listFilters(), pickFilters(),
		mapFilters(), setFilters(), dictFilters(), pathFilters(), dataFilters(), shapeFilters()} {
		maps.Copy(filters, group)
	}
	for _, group := range []builtins{valueTests(), compareTests(), resultTests()} {
		maps.Copy(tests, group)
	}
	maps.Copy(globals, functions())
	maps.Copy(methods, map[string]builtins{
		"str": textMethods(), "list": listMethods(), "tuple": tupleMethods(), "dict": dictMethods(),
	})
}

// lookupError says why there is no such builtin.
type lookupError struct{ msg, hint string }

func (e *lookupError) Error() string {
	if e.hint == "" {
		return e.msg
	}
	return e.msg + "; " + e.hint
}

// findBuiltin looks up a filter or a test as the user names it, where the name
// of Ansible's own collections may stand in front.
func findBuiltin(what, name string) (*builtin, *lookupError) {
	table, unsupported := filters, unsupportedFilters
	if what == "test" {
		table, unsupported = tests, unsupportedTests
	}
	short := name
	for _, prefix := range []string{"ansible.builtin.", "ansible.legacy."} {
		short = strings.TrimPrefix(short, prefix)
	}
	if b, ok := table[short]; ok {
		return b, nil
	}
	if why, ok := unsupported[short[strings.LastIndexByte(short, '.')+1:]]; ok {
		return nil, &lookupError{fmt.Sprintf("the %s %q is not supported", what, name), why}
	}
	return nil, &lookupError{fmt.Sprintf("unknown %s %q", what, name), source.DidYouMean(short, sortedKeys(table))}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
