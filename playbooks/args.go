package playbooks

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/modules"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// Args are a task's arguments as written, with every template and expression
// compiled.
type Args struct {
	file      *source.File
	dir       string
	files     *source.Files         // where what is read is remembered
	node      *yaml.Node            // a mapping, whatever form was written
	known     map[string]source.Arg // by name and by other names
	templates map[*yaml.Node]*jinja.Template
	exprs     map[*yaml.Node]*jinja.Expr
}

// arguments brings the forms in which arguments can be written into one, and
// vets them: a mapping, free text, words key=value, and what stands under args.
func (r *reader) arguments(def modules.Def, key, written, extra *yaml.Node) *Args {
	list := source.ArgsOf(def.New())
	a := &Args{
		file: r.file, dir: r.dir, files: r.files, known: map[string]source.Arg{},
		node:      &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: key.Line, Column: key.Column},
		templates: map[*yaml.Node]*jinja.Template{}, exprs: map[*yaml.Node]*jinja.Expr{},
	}
	for _, arg := range list {
		for _, name := range append([]string{arg.Name}, arg.Aliases...) {
			a.known[name] = arg
		}
	}
	before := len(r.errs)
	switch {
	case isNull(written):
	case written.Kind == yaml.MappingNode:
		a.node.Content = slices.Clone(written.Content)
	case written.Kind == yaml.ScalarNode:
		r.freeText(a, written, source.FreeArg(list))
	default:
		r.fail(written, "the arguments of %q are a mapping, found %s", key.Value, source.Kind(written))
	}
	r.extraArgs(a, extra)
	if len(r.errs) > before {
		return a
	}
	r.errs = append(r.errs, r.file.Vet(a.node, def.New())...)
	for name, value := range source.Pairs(a.node) {
		r.compile(a, a.known[name.Value], value)
	}
	return a
}

// Free are the keys that the user named and not the module: the variables of
// set_fact. Task.Args is nil for a task without arguments; it has none.
func (a *Args) Free() []string {
	if a == nil {
		return nil
	}
	var names []string
	for name := range source.Pairs(a.node) {
		if arg, known := a.known[name.Value]; !known || arg.Rest {
			names = append(names, name.Value)
		}
	}
	return names
}

// text is what was written for an argument.
func (a *Args) text(name string) string {
	for key, value := range source.Pairs(a.node) {
		if key.Value == name {
			return strings.TrimSpace(value.Value)
		}
	}
	return ""
}

// extraArgs adds what stands under args.
func (r *reader) extraArgs(a *Args, extra *yaml.Node) {
	if extra == nil || isNull(extra) {
		return
	}
	if extra.Kind != yaml.MappingNode {
		r.fail(extra, `"args" wants a mapping, found %s`, shown(extra))
		return
	}
	for name, value := range source.Pairs(extra) {
		if has(a.node, name.Value) {
			r.fail(name, "argument %q stands beside the module too", name.Value).Try("keep one of them")
			continue
		}
		a.node.Content = append(a.node.Content, name, value)
	}
}

// freeText reads text behind a module's name. Words key=value whose key is an
// argument are arguments; the rest is the free text, if the module takes one.
func (r *reader) freeText(a *Args, n *yaml.Node, free string) {
	words, err := source.Words(n.Value)
	if err != nil && free == "" {
		r.fail(n, "%s", err)
		return
	}
	rest := n.Value
	for _, w := range slices.Backward(words) {
		name, value, found := strings.Cut(w.Text, "=")
		plainKey := strings.HasPrefix(w.Raw, name+"=")
		arg, isArg := a.known[name]
		switch {
		case free != "" && (!found || !plainKey || !isArg || arg.Name == free || arg.List):
			continue
		case !found || !identifier.MatchString(name):
			r.errs = append(r.errs, r.file.Inside(n, w.Start).Errorf(len([]rune(w.Raw)), "want name=value, found %q", w.Raw).
				Try("or write the arguments as a mapping"))
			continue
		}
		a.prepend(r.piece(n, w.Start, name), r.piece(n, w.Start+len(name)+1, value))
		rest = rest[:w.Start] + rest[w.Start+len(w.Raw):]
	}
	if free == "" {
		return
	}
	text := r.piece(n, len(rest)-len(strings.TrimLeft(rest, " \t")), strings.TrimSpace(rest))
	if rest == n.Value {
		text = n
	}
	if text.Value != "" {
		a.prepend(r.piece(n, 0, free), text)
	}
}

func (a *Args) prepend(key, value *yaml.Node) {
	a.node.Content = slices.Concat([]*yaml.Node{key, value}, a.node.Content)
}

// piece is a part of a scalar as a scalar of its own.
func (r *reader) piece(n *yaml.Node, offset int, text string) *yaml.Node {
	pos := r.file.Inside(n, offset)
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.TaggedStyle, Value: text, Line: pos.Line, Column: pos.Col}
}

// compile parses every template and expression below an argument, and looks for
// the files that are named plainly.
func (r *reader) compile(a *Args, arg source.Arg, n *yaml.Node) {
	for _, item := range n.Content {
		r.compile(a, arg, item)
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return
	}
	pos := r.file.Text(n)
	switch {
	case arg.Expr:
		text := n.Value
		if on, ok := source.Scalar(n).(bool); ok {
			text = map[bool]string{true: "true", false: "false"}[on]
		}
		e, err := jinja.ParseExpr(text, pos)
		r.errs.Add(pos, r.file.Relocate(n, err))
		a.exprs[n] = e
	case jinja.HasTemplate(n.Value):
		t, err := jinja.Parse(n.Value, pos)
		r.errs.Add(pos, r.file.Relocate(n, err))
		a.templates[n] = t
	case arg.File:
		path := n.Value
		if arg.Free {
			path, _ = firstWord(path)
		}
		place, err := a.find(path)
		if err != nil {
			r.fail(n, "%s", err)
			return
		}
		a.files.Name(place)
	}
}
