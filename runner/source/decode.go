package source

import (
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Validator is implemented by structs whose fields depend on each other. The
// decoder calls it once every field is filled in.
type Validator interface{ Validate() error }

// Decode fills the tagged struct (or any other value) that v points to from a
// node. Nothing is ignored and nothing is guessed: an unknown key, a value of
// another kind, a value that is not in the enum and a missing argument are
// mistakes, and all of them are found. What is not given keeps its value.
func (f *File) Decode(n *yaml.Node, v any) Errors {
	return f.decode(n, v, false)
}

// Vet is Decode before templates are expanded: a text with a template is good
// for every type, an expression or a controller's file may be written as text.
// What v holds afterwards is of no use.
func (f *File) Vet(n *yaml.Node, v any) Errors {
	return f.decode(n, v, true)
}

func (f *File) decode(n *yaml.Node, v any, vet bool) Errors {
	d := decoder{file: f, vet: vet}
	d.value(n, reflect.ValueOf(v).Elem(), field{})
	check, ok := v.(Validator)
	if !ok || len(d.errs) > 0 || d.templated {
		return d.errs
	}
	if err := check.Validate(); err != nil {
		at := blamed(n, err.Error())
		d.fail(at, length(at), "%s", err)
	}
	return d.errs
}

// blamed is the value of the argument that a message begins with, or the whole.
func blamed(n *yaml.Node, message string) *yaml.Node {
	name, _, _ := strings.Cut(message, " ")
	for key, value := range Pairs(n) {
		if key.Value == strings.Trim(name, `":`) {
			return value
		}
	}
	return n
}

type decoder struct {
	file      *File
	vet       bool
	templated bool // something could not be known yet
	errs      Errors
}

func (d *decoder) fail(n *yaml.Node, length int, format string, args ...any) *Error {
	e := d.file.Pos(n).Errorf(length, format, args...)
	d.errs = append(d.errs, e)
	return e
}

// wrong reports a value of another kind. A secret is not quoted.
func (d *decoder) wrong(n *yaml.Node, f field, want string) *Error {
	found := Kind(n)
	if n.Kind == yaml.ScalarNode && n.Value != "" && !f.secret {
		found = quoted(n)
	}
	if f.name == "" {
		return d.fail(n, length(n), "want %s, found %s", want, found)
	}
	return d.fail(n, length(n), "%q must be %s, found %s", f.name, want, found)
}

func quoted(n *yaml.Node) string {
	const enough = 60
	text := []rune(n.Value)
	if len(text) > enough {
		text = append(text[:enough], '…')
	}
	return strings.ReplaceAll(quote(string(text)), "\n", " ")
}

// length is how many columns a scalar covers in its line.
func length(n *yaml.Node) int {
	if n.Kind != yaml.ScalarNode || strings.Contains(n.Value, "\n") {
		return 1
	}
	columns := len([]rune(n.Value))
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		columns += 2
	}
	return max(columns, 1)
}

// value decodes n into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f field) {
	switch {
	case f.expr && v.Kind() != reflect.Slice && d.vet, f.file && d.vet:
		d.text(n, v, f)
		return
	case d.vet && n.Kind == yaml.ScalarNode && templated(n.Value):
		d.templated = true
		return
	case v.Kind() == reflect.Interface:
		anything := Value(n)
		v.Set(reflect.ValueOf(&anything).Elem())
		return
	case n.Kind == yaml.ScalarNode && Scalar(n) == nil:
		return // null is the same as not given
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.value(n, fresh.Elem(), f)
		v.Set(fresh)
	case reflect.Struct:
		d.structure(n, v, f)
	case reflect.Slice:
		d.slice(n, v, f)
	case reflect.Map:
		d.mapping(n, v, f)
	default:
		d.scalar(n, v, f)
	}
}

// templated reports whether the text holds what the template engine reads.
func templated(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%") || strings.Contains(text, "{#")
}

// text accepts the written form of an expression or of a controller's file: the
// first text field of the struct gets it.
func (d *decoder) text(n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		want := "an expression"
		if f.file {
			want = "the path of a file"
		}
		d.wrong(n, f, want)
		return
	}
	if templated(n.Value) {
		d.templated = true
	}
	for v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		v.Set(fresh)
		v = fresh.Elem()
	}
	if v.Kind() == reflect.Struct {
		for _, inner := range fieldsOf(v.Type()) {
			if at := v.FieldByIndex(inner.index); at.Kind() == reflect.String {
				at.SetString(n.Value)
				return
			}
		}
	}
	if v.Kind() == reflect.String {
		v.SetString(n.Value)
	}
}

func (d *decoder) slice(n *yaml.Node, v reflect.Value, f field) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if n.Kind != yaml.ScalarNode {
			d.wrong(n, f, "text")
			return
		}
		v.SetBytes([]byte(n.Value))
		return
	}
	items := []*yaml.Node{n}
	switch {
	case n.Kind == yaml.SequenceNode:
		items = n.Content
	case n.Kind == yaml.ScalarNode && !f.expr && element(v.Type()).Kind() != reflect.Struct:
		items = splitCommas(n)
	case n.Kind == yaml.MappingNode && (f.expr && d.vet || element(v.Type()).Kind() != reflect.Struct):
		d.wrong(n, f, typeName(v.Type(), f))
		return
	case n.Kind == yaml.ScalarNode && !f.expr:
		d.wrong(n, f, typeName(v.Type(), f))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, out.Index(i), f)
	}
	v.Set(out)
}

// splitCommas reads "a, b" as two items, each with its place.
func splitCommas(n *yaml.Node) []*yaml.Node {
	var items []*yaml.Node
	col := n.Column
	for part := range strings.SplitSeq(n.Value, ",") {
		item := *n
		item.Value = strings.TrimSpace(part)
		item.Column = col + len([]rune(part)) - len([]rune(strings.TrimLeft(part, " ")))
		items = append(items, &item)
		col += len([]rune(part)) + 1
	}
	return items
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, f, "a mapping")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for key, item := range Pairs(n) {
		at := reflect.New(v.Type().Elem()).Elem()
		d.value(item, at, field{name: key.Value, secret: f.secret})
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), at)
	}
	v.Set(out)
}

// structure decodes a mapping with fixed keys.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, f field) {
	fields := fieldsOf(v.Type())
	if n.Kind == yaml.ScalarNode {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.free }); i >= 0 {
			d.value(n, v.FieldByIndex(fields[i].index), fields[i])
			d.missing(n, fields, map[string]string{fields[i].name: fields[i].name})
			return
		}
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(n, f, "a mapping").Try("%s", suggest("", names(fields)))
		return
	}
	seen := map[string]string{} // argument to the key that gave it, misspelt or not
	for key, item := range Pairs(n) {
		d.argument(key, item, v, fields, seen)
	}
	d.missing(n, fields, seen)
}

// argument decodes the value of one key.
func (d *decoder) argument(key, item *yaml.Node, v reflect.Value, fields []field, seen map[string]string) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.answers(key.Value) })
	if i < 0 {
		i = slices.IndexFunc(fields, func(f field) bool { return f.rest })
		if i < 0 {
			d.unknown(key, fields, seen)
			return
		}
		rest := v.FieldByIndex(fields[i].index)
		if rest.IsNil() {
			rest.Set(reflect.MakeMap(rest.Type()))
		}
		at := reflect.New(rest.Type().Elem()).Elem()
		d.value(item, at, field{name: key.Value, secret: fields[i].secret})
		rest.SetMapIndex(reflect.ValueOf(key.Value), at)
		seen[fields[i].name] = key.Value
		return
	}
	f := fields[i]
	if before, twice := seen[f.name]; twice && f.answers(before) {
		d.fail(key, length(key), "%q and %q are the same argument", key.Value, before).Try("keep one of them")
		return
	}
	if item.Kind != yaml.ScalarNode || Scalar(item) != nil {
		seen[f.name] = key.Value
	}
	d.value(item, v.FieldByIndex(f.index), f)
}

// answers reports whether the key is the field's name or another name for it.
func (f field) answers(key string) bool {
	return !f.rest && (f.name == key || slices.Contains(f.aliases, key))
}

func (d *decoder) unknown(key *yaml.Node, fields []field, seen map[string]string) {
	known := names(fields)
	d.fail(key, length(key), "unknown key %q", key.Value).Try("%s", suggest(key.Value, known))
	if meant := Closest(key.Value, known); meant != "" {
		for _, f := range fields {
			if f.answers(meant) && seen[f.name] == "" {
				seen[f.name] = key.Value
			}
		}
	}
}

func (d *decoder) missing(n *yaml.Node, fields []field, seen map[string]string) {
	for _, f := range fields {
		if f.required && seen[f.name] == "" {
			d.fail(n, 1, "%q is missing", f.name)
		}
	}
}

// names are the keys that may be written, without the other names for them.
func names(fields []field) []string {
	var all []string
	for _, f := range fields {
		if !f.rest {
			all = append(all, f.name)
			all = append(all, f.aliases...)
		}
	}
	slices.Sort(all)
	return all
}
