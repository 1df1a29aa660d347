package jinja

import (
	"fmt"
	"strings"
	"unicode"
)

// is is a test without arguments that looks at the kind of the value only.
func is(f func(Value) bool) *builtin {
	return define("", func(a *args) (Value, error) { return Bool(f(a.in)), nil }).looking(shape)
}

func oneOf[T Value](v Value) bool {
	_, ok := v.(T)
	return ok
}

// valueTests ask what a value is.
func valueTests() builtins {
	isDefined := func(want bool) *builtin {
		return define("", func(a *args) (Value, error) {
			_, gone := a.in.(Undefined)
			return Bool(gone != want), nil
		}).looking(careful)
	}
	return builtins{
		"defined":   isDefined(true),
		"undefined": isDefined(false),
		"none":      is(oneOf[None]),
		"string":    is(oneOf[Str]),
		"mapping":   is(oneOf[*Dict]),
		"boolean":   is(oneOf[Bool]),
		"integer":   is(oneOf[Int]),
		"float":     is(oneOf[Float]),
		"number":    is(func(v Value) bool { _, ok := asFloat(v); return ok }),
		"sequence":  is(func(v Value) bool { _, ok := lengthOf(v); return ok }),
		"iterable":  is(func(v Value) bool { _, ok := lengthOf(v); return ok }),
		"callable":  is(func(v Value) bool { _, ok := v.(callable); return ok }),
		"true":      is(func(v Value) bool { return v == Bool(true) }),
		"false":     is(func(v Value) bool { return v == Bool(false) }),
		"nan":       is(isNaN),
		"upper":     define("", func(a *args) (Value, error) { return Bool(hasCase(a.input(), unicode.IsUpper)), nil }),
		"lower":     define("", func(a *args) (Value, error) { return Bool(hasCase(a.input(), unicode.IsLower)), nil }),
		"odd":       define("", func(a *args) (Value, error) { return remainder(a, 2, 1) }),
		"even":      define("", func(a *args) (Value, error) { return remainder(a, 2, 0) }),
		"divisibleby": define("num!", func(a *args) (Value, error) {
			return remainder(a, a.int("num", 1), 0)
		}),
		"truthy": define("convert_bool", truthy).looking(shape),
		"falsy": define("convert_bool", func(a *args) (Value, error) {
			v, err := truthy(a)
			return Bool(v == Bool(false)), err
		}).looking(shape),
		"vault_encrypted": define("", func(a *args) (Value, error) {
			return Bool(strings.HasPrefix(a.input(), "$ANSIBLE_VAULT")), nil
		}),
		"abs":    define("", func(a *args) (Value, error) { return Bool(strings.HasPrefix(a.input(), "/")), nil }),
		"filter": define("", func(a *args) (Value, error) { _, err := findBuiltin("filter", a.input()); return Bool(err == nil), nil }),
		"test":   define("", func(a *args) (Value, error) { _, err := findBuiltin("test", a.input()); return Bool(err == nil), nil }),
	}
}

// hasCase says whether all letters that have a case have the one asked for, and
// there is one.
func hasCase(s string, want func(rune) bool) bool {
	some := false
	for _, c := range s {
		switch {
		case want(c):
			some = true
		case unicode.IsUpper(c), unicode.IsLower(c), unicode.IsTitle(c):
			return false
		}
	}
	return some
}

func remainder(a *args, by, wanted int) (Value, error) {
	rest, err := a.binary("%", a.in, integer(by))
	if _, ok := asFloat(a.in); !ok {
		return nil, errNoNumber
	}
	if err != nil {
		return nil, err
	}
	return Bool(equal(rest, integer(wanted))), nil
}

func truthy(a *args) (Value, error) {
	v := a.in
	if s, ok := v.(Str); ok && a.flag("convert_bool", false) {
		switch strings.ToLower(s.text) {
		case "yes", "on", "y", "t", "1", "true":
			return Bool(true), nil
		case "no", "off", "n", "f", "0", "false":
			return Bool(false), nil
		}
	}
	truth, _ := Truth(v)
	return Bool(truth), nil
}

// comparing is a test that compares with its argument.
func comparing(op string) *builtin {
	return define("other!", func(a *args) (Value, error) {
		holds, _, err := a.compare(op, a.in, a.get("other"))
		return Bool(holds), err
	})
}

// compareTests compare a value with others.
func compareTests() builtins {
	group := builtins{
		"in":         comparing("in"),
		"contains":   define("value!", func(a *args) (Value, error) { in, err := contains(a.in, a.get("value")); return Bool(in), err }),
		"sameas":     define("other!", sameAs),
		"subset":     define("b!", func(a *args) (Value, error) { return Bool(within(a.items(), a.list("b"))), nil }),
		"superset":   define("b!", func(a *args) (Value, error) { return Bool(within(a.list("b"), a.items())), nil }),
		"any":        define("", func(a *args) (Value, error) { return Bool(countTrue(a.items()) > 0), nil }),
		"all":        define("", func(a *args) (Value, error) { return Bool(countTrue(a.items()) == len(a.items())), nil }),
		"match":      define("pattern ignorecase multiline", func(a *args) (Value, error) { return matchTest(a, "match") }),
		"search":     define("pattern ignorecase multiline", func(a *args) (Value, error) { return matchTest(a, "search") }),
		"regex":      define("pattern ignorecase multiline match_type", func(a *args) (Value, error) { return matchTest(a, a.text("match_type", "search")) }),
		"version":    define("version! operator strict version_type", versionTest),
		"issubset":   nil,
		"issuperset": nil,
	}
	group["issubset"], group["issuperset"] = group["subset"], group["superset"]
	group["version_compare"] = group["version"]
	for op, names := range map[string]string{
		"==": "eq equalto ==", "!=": "ne !=", "<": "lt lessthan <", "<=": "le <=", ">": "gt greaterthan >", ">=": "ge >=",
	} {
		for name := range strings.FieldsSeq(names) {
			group[name] = comparing(op)
		}
	}
	return group
}

// sameAs is Python's "is", as far as values have an identity here: the same
// kind, and equal.
func sameAs(a *args) (Value, error) {
	other := a.get("other")
	return Bool(a.in.typeName() == other.typeName() && equal(a.in, other)), nil
}

func within(part, whole []Value) bool {
	s := setOf(whole)
	for _, v := range part {
		if !s.has(v) {
			return false
		}
	}
	return true
}

func countTrue(items []Value) int {
	n := 0
	for _, v := range items {
		if truth, _ := Truth(v); truth {
			n++
		}
	}
	return n
}

func matchTest(a *args, kind string) (Value, error) {
	text, wanted := a.input(), a.text("pattern", "")
	switch kind {
	case "match":
		wanted = `\A(?:` + wanted + `)`
	case "fullmatch":
		wanted = `\A(?:` + wanted + `)\Z`
	case "search":
	default:
		return nil, fmt.Errorf("there is no match_type %q; want search, match or fullmatch", kind)
	}
	p, err := compile(wanted, a.flag("ignorecase", false), a.flag("multiline", false))
	if err == nil {
		err = p.check(text)
	}
	if err != nil {
		return nil, err
	}
	return Bool(p.re.MatchString(text)), nil
}
