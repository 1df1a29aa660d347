// Package jinja is the expression and template engine: Jinja's syntax with
// Python's meaning, over a closed set of values.
//
// A text is a template only if the user wrote it (see Trusted); what comes from
// a machine, and what rendering yields, is data whatever it looks like. A value
// that is missing is Undefined, and an error where it is used; a value that a
// plan cannot know yet is Unknown, and so is what is computed from it.
package jinja

import (
	"slices"
	"strings"
	"sync"

	"runbook/runner/source"
)

// Scope holds the variables that a template can see. Lookup returns them raw:
// a trusted text is rendered when it is used, in the same scope. A Scope that
// also has the method Names() []string gets its names suggested where one is
// misspelt.
type Scope interface {
	Lookup(name string) (Value, bool)
}

// HasTemplate says whether a text holds the mark of an expression, a tag or a
// comment.
func HasTemplate(text string) bool { return nextMark(text, 0) >= 0 }

// Template is a parsed text with templates in it. It may be rendered by many
// goroutines at once.
type Template struct {
	*script
	body    []stmt
	free    []string
	changes bool
}

// Expr is a parsed expression. It may be evaluated by many goroutines at once.
type Expr struct {
	*script
	root    expr
	free    []string
	changes bool
}

// Parse reads a text of a playbook or a variables file, which begins at pos. As
// in Ansible a backslash in a string inside {{ }} stands for itself there, so
// that a regular expression can be written as it is. An error is a
// *source.Error.
func Parse(text string, pos source.Pos) (*Template, error) {
	return parse(text, pos, syntax{trim: true, verbose: true})
}

// ParseFile reads a template file, where Jinja's own rules hold for strings:
// "\n" is a line end. An error is a *source.Error.
func ParseFile(text string, pos source.Pos) (*Template, error) {
	return parse(text, pos, syntax{trim: true})
}

func parse(text string, pos source.Pos, syn syntax) (t *Template, err error) {
	defer catch(&err)
	s := &script{text, pos}
	off, err := overrides(s, &syn)
	if err != nil {
		return nil, err
	}
	tokens, err := cut(s, syn, off)
	if err != nil {
		return nil, err
	}
	p := &parser{script: s, tokens: tokens}
	p.names.push()
	body := p.body()
	return &Template{s, body, p.names.list(), p.changes}, nil
}

// ParseExpr reads a bare expression, as in a when. An error is a *source.Error.
func ParseExpr(text string, pos source.Pos) (e *Expr, err error) {
	defer catch(&err)
	s := &script{text, pos}
	tokens, err := cutExpr(s)
	if err != nil {
		return nil, err
	}
	p := &parser{script: s, tokens: tokens}
	p.names.push()
	root := p.tuple()
	if t := p.peek(); t.kind != tEnd {
		p.unexpected(t, "an operator or the end")
	}
	return &Expr{s, root, p.names.list(), p.changes}, nil
}

// Names are the variables that the template takes from its scope, sorted. It
// may name some that a rendering does not come to.
func (t *Template) Names() []string { return slices.Clone(t.free) }

// Names are the variables that the expression takes from its scope, sorted. It
// may name some that an evaluation does not come to.
func (e *Expr) Names() []string { return slices.Clone(e.free) }

// Render gives the value of a template that is exactly one {{ }}, with its
// type, and otherwise the text. It is Unknown where any part of the text is.
// What it returns holds no templates. An error is a *source.Error.
func (t *Template) Render(s Scope) (Value, error) {
	r := &renderer{script: t.script, scope: s, budget: &budget{}, changes: t.changes}
	v, err := r.template(t)
	return v, public(err)
}

// Eval gives the value of the expression. What it returns holds no templates.
// An error is a *source.Error.
func (e *Expr) Eval(s Scope) (Value, error) {
	r := &renderer{script: e.script, scope: s, budget: &budget{}, changes: e.changes}
	v, err := r.eval(e.root)
	if err == nil {
		v, err = r.finish(v, e.root)
	}
	return v, public(err)
}

// Resolve renders every trusted text in v, at any depth. An error is a
// *source.Error.
func Resolve(v Value, s Scope) (Value, error) {
	r := &renderer{script: &script{}, scope: s, budget: &budget{}}
	v, err := r.resolve(v, &literal{})
	if err == nil {
		if u, ok := findUndefined(v); ok && !u.quiet() {
			err = &undefinedError{u}
		}
	}
	return v, public(err)
}

// origin is a text that the user wrote, parsed when it is first needed.
type origin struct {
	pos      source.Pos
	once     sync.Once
	template *Template
	err      error
}

func (o *origin) parsed(text string) (*Template, error) {
	o.once.Do(func() { o.template, o.err = Parse(text, o.pos) })
	return o.template, o.err
}

// single is the expression of a template that is nothing else.
func (t *Template) single() expr {
	if len(t.body) != 1 {
		return nil
	}
	if out, ok := t.body[0].(*outputStmt); ok {
		return out.of
	}
	return nil
}

// template renders t into its value.
func (r *renderer) template(t *Template) (Value, error) {
	if x := t.single(); x != nil {
		v, err := r.eval(x)
		if err != nil {
			return nil, err
		}
		return r.finish(v, x)
	}
	r.out = &strings.Builder{}
	if err := r.execAll(t.body); err != nil {
		return nil, err
	}
	if r.unknown != nil {
		return *r.unknown, nil
	}
	return str(r.out.String()), nil
}
