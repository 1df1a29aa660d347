package jinja

import (
	"math/big"

	"runbook/runner/source"
)

// Value is one value of the language. The kinds are closed: Undefined, Unknown,
// None, Bool, Int, Float, Str, *List, *Tuple, *Dict, the Omit mark, and what
// can be called. A Value may be shared between goroutines: rendering never
// changes one that came from a Scope.
type Value interface {
	// typeName is the name that Python gives the type.
	typeName() string
}

// None is null.
type None struct{}

// Bool is a truth value.
type Bool bool

// Int is a whole number of any size.
type Int struct {
	small int64
	big   *big.Int // set only where the number does not fit small
}

// Float is a number with a fraction.
type Float float64

// Str is a text. Only one made by Trusted can be rendered as a template.
type Str struct {
	text   string
	origin *origin // nil where the text is data
}

// List is an ordered, changeable sequence.
type List struct{ Items []Value }

// Tuple is a fixed sequence.
type Tuple struct {
	Items []Value
	names []string // of the items, where they can be reached by name
}

// Undefined stands where nothing was found. To use it is an error that says
// what is missing; tests and default() look at it without using it.
type Undefined struct{ about *absence }

// absence is what an error says of a missing value.
type absence struct {
	path  string // what the user wrote: "result.stdout"
	why   string // what was found instead; may be empty
	hint  string
	pos   source.Pos
	size  int   // how many columns the path takes at pos
	cause error // what failed while the variable was rendered
	quiet bool  // prints as nothing: an inline if without else
}

// Unknown is a value that a plan cannot know yet. What is computed from it is
// Unknown too.
type Unknown struct {
	Reason string // what it depends on, for people
}

// Omitted is the kind of Omit.
type Omitted struct{}

// Omit is the value of the name "omit": an argument that has it counts as not
// given.
var Omit Value = Omitted{}

func (None) typeName() string      { return "NoneType" }
func (Bool) typeName() string      { return "bool" }
func (Int) typeName() string       { return "int" }
func (Float) typeName() string     { return "float" }
func (Str) typeName() string       { return "str" }
func (*List) typeName() string     { return "list" }
func (*Tuple) typeName() string    { return "tuple" }
func (*Dict) typeName() string     { return "dict" }
func (Undefined) typeName() string { return "Undefined" }
func (Unknown) typeName() string   { return "Unknown" }
func (Omitted) typeName() string   { return "omit" }

// Trusted is a text that the user wrote at pos, in a playbook, an inventory or
// a variables file: where it holds a template, rendering evaluates it.
func Trusted(text string, pos source.Pos) Value {
	if !HasTemplate(text) {
		return Str{text: text}
	}
	return Str{text: text, origin: &origin{pos: pos}}
}

func str(text string) Value { return Str{text: text} }

func integer(n int) Value { return Int{small: int64(n)} }

func newList(items []Value) *List { return &List{Items: items} }

func newTuple(items ...Value) *Tuple { return &Tuple{Items: items} }

// kindOf names the kind of a value in an error.
func kindOf(v Value) string {
	switch v.(type) {
	case None:
		return "None"
	case Int, Undefined, Unknown, Omitted:
		return "an " + v.typeName()
	}
	return "a " + v.typeName()
}

// isCollection says whether v holds other values.
func isCollection(v Value) bool {
	switch v.(type) {
	case *List, *Tuple, *Dict:
		return true
	}
	return false
}

// Truth says whether v counts as true. A value that is not known yet has no
// truth: known is false.
func Truth(v Value) (truth, known bool) {
	switch v := v.(type) {
	case Unknown:
		return false, false
	case None, Undefined:
		return false, true
	case Bool:
		return bool(v), true
	case Int:
		return v.big != nil || v.small != 0, true
	case Float:
		return v != 0, true
	case Str:
		return v.text != "", true
	case *List:
		return len(v.Items) > 0, true
	case *Tuple:
		return len(v.Items) > 0, true
	case *Dict:
		if v.Len() == 0 && v.Rest != nil {
			return false, false
		}
		return v.Len() > 0, true
	}
	return true, true
}

// FindUnknown returns the first part of v, v itself included, that is not
// known yet.
func FindUnknown(v Value) (Unknown, bool) {
	var found Unknown
	seen := walk(v, func(v Value) bool {
		switch v := v.(type) {
		case Unknown:
			found = v
			return true
		case *Dict:
			if v.Rest != nil {
				found = *v.Rest
				return true
			}
		}
		return false
	})
	return found, seen
}

// findUndefined returns the first part of v that is Undefined.
func findUndefined(v Value) (Undefined, bool) {
	var found Undefined
	seen := walk(v, func(v Value) bool {
		u, ok := v.(Undefined)
		if ok {
			found = u
		}
		return ok
	})
	return found, seen
}

// walk visits v and everything in it until visit says that it is enough, and
// reports whether it did.
func walk(v Value, visit func(Value) bool) bool {
	if visit(v) {
		return true
	}
	switch v := v.(type) {
	case *List:
		return walkAll(v.Items, visit)
	case *Tuple:
		return walkAll(v.Items, visit)
	case *Dict:
		return walkAll(v.keys, visit) || walkAll(v.values, visit)
	}
	return false
}

func walkAll(items []Value, visit func(Value) bool) bool {
	for _, item := range items {
		if walk(item, visit) {
			return true
		}
	}
	return false
}
