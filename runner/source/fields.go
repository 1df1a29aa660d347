package source

import (
	"fmt"
	"io/fs"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Pairs gives the keys and values of a mapping, in the order they were written;
// nothing for another kind of node.
func Pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Arg describes one argument, for documentation and completion.
type Arg struct {
	Name     string
	Aliases  []string
	Type     string // in the user's words: text, boolean, number, list of text, ...
	Required bool
	Free     bool // takes the text that stands behind the module's name
	List     bool // takes several values
	Expr     bool // an expression, written without {{ }}
	File     bool // the path of a file on the controller
	Secret   bool
	Rest     bool // takes every other key
	Enum     []string
	Doc      string
	Default  string // as it would be written; empty where there is none
	Args     []Arg  // of a mapping with fixed keys, or of a list of such
}

// Args lists the arguments of a tagged struct type (or a pointer to one), in the
// order of its fields.
func Args(t reflect.Type) []Arg {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return describe(reflect.New(t).Elem())
}

// ArgsOf is Args with the defaults that the struct v, or the one that v points
// to, holds.
func ArgsOf(v any) []Arg { return describe(reflect.Indirect(reflect.ValueOf(v))) }

func describe(v reflect.Value) []Arg {
	fields := fieldsOf(v.Type())
	args := make([]Arg, len(fields))
	for i, f := range fields {
		at := v.FieldByIndex(f.index)
		args[i] = Arg{
			Name: f.name, Aliases: f.aliases, Type: typeName(at.Type(), f), Required: f.required, Free: f.free, List: at.Kind() == reflect.Slice, Expr: f.expr,
			File: f.file, Secret: f.secret, Rest: f.rest, Enum: f.enum, Doc: f.doc, Default: written(at),
		}
		if inner := element(at.Type()); inner.Kind() == reflect.Struct && !f.expr && !f.file {
			args[i].Args = Args(inner)
		}
	}
	return args
}

// written is a default as a user would write it.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	v = reflect.Indirect(v)
	switch {
	case v.Type() == durationType:
		return strconv.FormatFloat(v.Interface().(time.Duration).Seconds(), 'f', -1, 64)
	case v.Type() == modeType:
		return fmt.Sprintf("%04o", v.Interface().(fs.FileMode).Perm())
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = fmt.Sprint(v.Index(i).Interface())
		}
		return strings.Join(items, ", ")
	}
	return fmt.Sprint(v.Interface())
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// field is one tagged field of a struct.
type field struct {
	name                                     string
	index                                    []int
	aliases, enum                            []string
	doc                                      string
	required, free, expr, file, secret, rest bool
}

// fieldsOf reads the tags of a struct type. Embedded structs without a tag give
// their fields.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, sf := range reflect.VisibleFields(t) {
		tag, ok := sf.Tag.Lookup("arg")
		if !ok || !sf.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
		fields = append(fields, field{
			name: name, index: sf.Index, doc: sf.Tag.Get("doc"),
			aliases: words(sf.Tag.Get("alias")), enum: words(sf.Tag.Get("enum")),
			required: has("required"), free: has("free"), expr: has("expr"), file: has("file"), secret: has("secret"), rest: has("rest"),
		})
	}
	return fields
}

// FreeArg is the name of the argument that takes free text; "" where none does.
func FreeArg(args []Arg) string {
	for _, a := range args {
		if a.Free {
			return a.Name
		}
	}
	return ""
}

// words is nil where there is none.
func words(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Fields(text)
}
