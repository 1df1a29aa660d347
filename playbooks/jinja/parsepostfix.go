package jinja

import (
	"fmt"
	"slices"
	"strings"

	"runbook/runner/source"
)

// postfix parses what follows a value: attributes, subscripts and calls.
func (p *parser) postfix(x expr, off int) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch t := p.peek(); {
		case t.is("."):
			p.next()
			x = p.attribute(x, off)
		case t.is("["):
			p.next()
			x = p.subscript(x, off)
		case t.is("("):
			x = p.call(x, off)
		default:
			return x
		}
	}
}

func (p *parser) attribute(of expr, off int) expr {
	t := p.next()
	switch t.kind {
	case tName:
		return &attrExpr{p.from(off), of, t.text}
	case tInt:
		return &indexExpr{p.from(off), of, &literal{span{t.off, t.end}, numberFrom(t.text)}}
	}
	p.unexpected(t, "a name or a number after the dot")
	return nil
}

func (p *parser) subscript(of expr, off int) expr {
	defer p.deeper()()
	var parts [3]expr
	n, colons := 0, 0
	for !p.peek().is("]") {
		if p.accept(":") {
			n++
			colons++
			if n > 2 {
				p.fail(p.from(off), "a slice has at most three parts", "")
			}
			continue
		}
		if parts[n] != nil {
			p.unexpected(p.peek(), `"]"`)
		}
		parts[n] = p.expression()
	}
	p.expect("]")
	if colons > 0 {
		return &sliceExpr{p.from(off), of, parts[0], parts[1], parts[2]}
	}
	if parts[0] == nil {
		p.fail(p.from(off), "the index is missing", "")
	}
	return &indexExpr{p.from(off), of, parts[0]}
}

func (p *parser) call(fn expr, off int) expr {
	switch f := fn.(type) {
	case *nameExpr:
		p.checkFunction(f)
	case *attrExpr:
		if slices.Contains(changingMethods, f.name) {
			p.changes = true
		}
	}
	args := p.arguments()
	return &callExpr{p.from(off), fn, args}
}

// checkFunction refuses the call of a name that nothing defines. Only the
// template itself can define more functions than the language has.
func (p *parser) checkFunction(f *nameExpr) {
	if p.names.bound(f.name) {
		return
	}
	if why, ok := unsupportedFunctions[f.name]; ok {
		p.fail(f.span, fmt.Sprintf("%s is not supported yet", f.name), why)
	}
	if _, ok := globals[f.name]; ok {
		return
	}
	p.fail(f.span, fmt.Sprintf("unknown function %q", f.name), source.DidYouMean(f.name, supportedFunctions))
}

// arguments parses the brackets of a call.
func (p *parser) arguments() callArgs {
	defer p.deeper()()
	p.expect("(")
	var a callArgs
	for first := true; !p.accept(")"); first = false {
		if !first {
			if !p.peek().is(",") {
				p.unexpected(p.peek(), `"," or ")"`)
			}
			p.next()
			if p.accept(")") {
				break
			}
		}
		p.argument(&a)
	}
	return a
}

func (p *parser) argument(a *callArgs) {
	t := p.peek()
	switch {
	case p.accept("**"):
		a.spreadMap = p.once(a.spreadMap, t)
	case p.accept("*"):
		a.spread = p.once(a.spread, t)
	case t.kind == tName && p.peekAt(1).is("="):
		p.next()
		p.next()
		if slices.Contains(a.names, t.text) {
			p.fail(span{t.off, t.end}, fmt.Sprintf("the argument %q is given twice", t.text), "")
		}
		a.names = append(a.names, t.text)
		a.named = append(a.named, p.expression())
	default:
		if len(a.names) > 0 || a.spread != nil || a.spreadMap != nil {
			p.fail(span{t.off, t.end}, "an argument without a name after one with a name", "")
		}
		a.positions = append(a.positions, p.expression())
	}
}

func (p *parser) once(had expr, t token) expr {
	if had != nil {
		p.fail(span{t.off, t.end}, fmt.Sprintf("%q is given twice", t.text), "")
	}
	return p.expression()
}

func (p *parser) filtersAndTests(x expr, off int) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch t := p.peek(); {
		case t.is("|"):
			p.next()
			x = p.filter(x, off)
		case t.isName("is"):
			p.next()
			x = p.test(x, off)
		case t.is("("):
			x = p.call(x, off)
		default:
			return x
		}
	}
}

// dottedName takes the name of a filter or a test; a collection's name may
// stand in front.
func (p *parser) dottedName(what string) (string, span) {
	t := p.expectKind(tName, "the name of a "+what)
	name := t.text
	for p.accept(".") {
		name += "." + p.expectKind(tName, "the name of a "+what).text
	}
	return name, p.from(t.off)
}

// find looks a filter or a test up by the name that the user wrote.
func (p *parser) find(what, name string, at span) *builtin {
	b, err := findBuiltin(what, name)
	if err != nil {
		p.fail(at, err.msg, err.hint)
	}
	return b
}

func (p *parser) filter(of expr, off int) *filterExpr {
	name, at := p.dottedName("filter")
	fn := p.find("filter", name, at)
	var args callArgs
	if p.peek().is("(") {
		args = p.arguments()
	}
	return &filterExpr{p.from(off), of, name, fn, args}
}

func (p *parser) test(of expr, off int) expr {
	negate := p.acceptName("not")
	name, at := p.dottedName("test")
	fn := p.find("test", name, at)
	var args callArgs
	switch t := p.peek(); {
	case t.is("("):
		args = p.arguments()
	case p.beginsArgument(t):
		arg := p.primary()
		args.positions = []expr{p.postfix(arg, t.off)}
	}
	return &testExpr{p.from(off), of, name, fn, args, negate}
}

// beginsArgument says whether the argument of a test begins here that is
// written without brackets: "n is divisibleby 3".
func (p *parser) beginsArgument(t token) bool {
	switch t.kind {
	case tString, tInt, tFloat:
		return true
	case tName:
		if t.text == "is" {
			p.fail(span{t.off, t.end}, `"is" cannot follow a test`, "put the first test in brackets")
		}
		return !slices.Contains(reserved, t.text)
	}
	return t.kind == tOp && strings.Contains("[{", t.text)
}
