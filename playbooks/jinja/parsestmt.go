package jinja

import (
	"fmt"
	"slices"

	"runbook/runner/source"
)

// body parses up to a tag with one of the given names, which it leaves, just
// behind its opening mark; without names up to the end.
func (p *parser) body(ends ...string) []stmt {
	defer p.deeper()()
	var out []stmt
	for {
		switch t := p.next(); t.kind {
		case tData:
			out = append(out, &dataStmt{t.text})
		case tVarOpen:
			out = append(out, &outputStmt{p.tuple()})
			p.expectKind(tVarClose, `"}}"`)
		case tTagOpen:
			name := p.peek()
			if name.kind == tName && slices.Contains(ends, name.text) {
				return out
			}
			out = append(out, p.tag(t)...)
		default:
			if len(ends) > 0 {
				p.unexpected(t, `"{% `+ends[len(ends)-1]+` %}"`)
			}
			return out
		}
	}
}

// scoped parses a body whose names do not reach out of it.
func (p *parser) scoped(ends ...string) []stmt {
	p.names.push()
	defer p.names.pop()
	return p.body(ends...)
}

// end takes the closing tag that body has stopped at.
func (p *parser) end() {
	p.next()
	p.tagClose()
}

func (p *parser) tagClose() { p.expectKind(tTagClose, `"%}"`) }

var tags = []string{"call", "filter", "for", "if", "macro", "raw", "set", "with"}

// unsupportedTags are those of Jinja that are known and refused.
var unsupportedTags = map[string]string{
	"include": "put the text into this file, or render the other one with a template task",
	"import":  "define the macro in this file",
	"from":    "define the macro in this file",
	"extends": "write the template as one file",
	"block":   "write the template as one file",
}

func (p *parser) tag(open token) []stmt {
	t := p.expectKind(tName, "the name of a tag")
	switch t.text {
	case "if":
		return []stmt{p.ifTag()}
	case "for":
		return []stmt{p.forTag(open)}
	case "set":
		return []stmt{p.setTag()}
	case "with":
		return []stmt{p.withTag()}
	case "macro":
		return []stmt{p.macroTag(open)}
	case "call":
		return []stmt{p.callTag(open)}
	case "filter":
		return []stmt{p.filterTag()}
	}
	at := span{t.off, t.end}
	if hint, ok := unsupportedTags[t.text]; ok {
		p.fail(at, fmt.Sprintf("the tag %q is not supported", t.text), hint)
	}
	p.fail(at, fmt.Sprintf("unknown tag %q", t.text), source.DidYouMean(t.text, tags))
	return nil
}

func (p *parser) ifTag() stmt {
	s := &ifStmt{}
	for {
		s.conds = append(s.conds, p.tuple())
		p.tagClose()
		s.bodies = append(s.bodies, p.scoped("elif", "else", "endif"))
		if p.acceptName("elif") {
			continue
		}
		break
	}
	if p.acceptName("else") {
		p.tagClose()
		s.otherwise = p.scoped("endif")
	}
	p.end()
	return s
}

func (p *parser) forTag(open token) stmt {
	s := &forStmt{to: p.target()}
	if !p.acceptName("in") {
		p.unexpected(p.peek(), `"in"`)
	}
	// The list is no place for an inline if: what follows is the loop's filter.
	s.in = p.loopList()
	p.names.push()
	p.bindTarget(s.to)
	if p.acceptName("if") {
		s.keep = p.expression()
	}
	s.recursive = p.acceptName("recursive")
	p.tagClose()
	s.span = p.from(open.off)
	p.names.bind("loop")
	s.body = p.body("else", "endfor")
	p.names.pop()
	if p.acceptName("else") {
		p.tagClose()
		s.otherwise = p.scoped("endfor")
	}
	p.end()
	return s
}

func (p *parser) loopList() expr {
	off := p.peek().off
	first := p.logic("or")
	if !p.peek().is(",") {
		return first
	}
	items := []expr{first}
	for p.accept(",") {
		items = append(items, p.logic("or"))
	}
	return &tupleExpr{p.from(off), items}
}

// target parses what is assigned to.
func (p *parser) target() target {
	off := p.peek().off
	first := p.oneTarget()
	if !p.peek().is(",") {
		return first
	}
	parts := []target{first}
	for p.accept(",") {
		if t := p.peek(); t.kind != tName && !t.is("(") || t.isName("in") {
			break
		}
		parts = append(parts, p.oneTarget())
	}
	return target{span: p.from(off), parts: parts}
}

func (p *parser) oneTarget() target {
	defer p.deeper()()
	if p.accept("(") {
		t := p.target()
		p.expect(")")
		return t
	}
	name := p.expectKind(tName, "a name to assign to")
	if _, ok := constants[name.text]; ok || slices.Contains(reserved, name.text) {
		p.unexpected(name, "a name to assign to")
	}
	t := target{span: span{name.off, name.end}, name: name.text}
	if p.accept(".") {
		p.names.load(name.text)
		t.attr = p.expectKind(tName, "the name of an attribute").text
		t.span = p.from(name.off)
	}
	return t
}

func (p *parser) bindTarget(t target) {
	for _, part := range t.parts {
		p.bindTarget(part)
	}
	if t.name != "" && t.attr == "" {
		p.names.bind(t.name)
	}
}

func (p *parser) setTag() stmt {
	to := p.target()
	if p.accept("=") {
		value := p.tuple()
		p.tagClose()
		p.bindTarget(to)
		return &setStmt{to, value}
	}
	filters := p.blockFilters()
	p.tagClose()
	body := p.scoped("endset")
	p.end()
	p.bindTarget(to)
	return &setBlock{to, body, filters}
}

// blockFilters parses the filters that the text of a block goes through.
func (p *parser) blockFilters() []*filterExpr {
	var filters []*filterExpr
	for off := p.peek().off; p.accept("|"); off = p.peek().off {
		filters = append(filters, p.filter(nil, off))
	}
	return filters
}

func (p *parser) withTag() stmt {
	s := &withStmt{}
	for p.peek().kind != tTagClose {
		if len(s.to) > 0 {
			p.expect(",")
		}
		s.to = append(s.to, p.oneTarget())
		p.expect("=")
		s.values = append(s.values, p.expression())
	}
	p.tagClose()
	p.names.push()
	for _, t := range s.to {
		p.bindTarget(t)
	}
	s.body = p.body("endwith")
	p.names.pop()
	p.end()
	return s
}

func (p *parser) filterTag() stmt {
	off := p.peek().off
	filters := append([]*filterExpr{p.filter(nil, off)}, p.blockFilters()...)
	p.tagClose()
	body := p.scoped("endfilter")
	p.end()
	return &filterBlock{body, filters}
}

func (p *parser) macroTag(open token) stmt {
	name := p.expectKind(tName, "the name of the macro")
	p.names.bind(name.text)
	m := &macro{name: name.text}
	p.names.push()
	defer p.names.pop()
	p.params(m)
	p.tagClose()
	m.span = p.from(open.off)
	p.macroBody(m, "endmacro")
	return &macroStmt{m}
}

func (p *parser) callTag(open token) stmt {
	m := &macro{name: "caller"}
	p.names.push()
	defer p.names.pop()
	if p.peek().is("(") {
		p.params(m)
	}
	t := p.peek()
	call, ok := p.unary(true).(*callExpr)
	if !ok {
		p.unexpected(t, "the call of a macro")
	}
	p.tagClose()
	m.span = p.from(open.off)
	p.macroBody(m, "endcall")
	return &callBlock{call, m}
}

func (p *parser) macroBody(m *macro, end string) {
	for _, name := range []string{"varargs", "kwargs", "caller"} {
		p.names.bind(name)
	}
	from := len(p.names.loads)
	m.body = p.body(end)
	p.end()
	used := p.names.loads[from:]
	m.wantsRest = slices.Contains(used, "varargs")
	m.wantsNamed = slices.Contains(used, "kwargs")
	m.wantsCaller = slices.Contains(used, "caller")
}

func (p *parser) params(m *macro) {
	p.expect("(")
	for !p.accept(")") {
		if len(m.params) > 0 {
			p.expect(",")
		}
		t := p.expectKind(tName, "the name of a parameter")
		m.params = append(m.params, t.text)
		p.names.bind(t.text)
		switch {
		case p.accept("="):
			m.defaults = append(m.defaults, p.expression())
		case len(m.defaults) > 0:
			p.fail(span{t.off, t.end}, fmt.Sprintf("the parameter %q needs a default, as the one before has one", t.text), "")
		}
	}
}
