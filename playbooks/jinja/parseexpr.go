package jinja

import (
	"slices"
)

// expression parses anything but a tuple without brackets.
func (p *parser) expression() expr {
	defer p.deeper()()
	off := p.peek().off
	x := p.logic("or")
	for n := 0; p.peek().isName("if"); n++ {
		p.chain(n)
		p.next()
		cond := p.logic("or")
		var otherwise expr
		if p.acceptName("else") {
			otherwise = p.expression()
		}
		x = &condExpr{p.from(off), cond, x, otherwise}
	}
	return x
}

// logic parses "or", and what binds tighter.
func (p *parser) logic(op string) expr {
	operand := p.negation
	if op == "or" {
		operand = func() expr { return p.logic("and") }
	}
	off := p.peek().off
	x := operand()
	for n := 0; p.acceptName(op); n++ {
		p.chain(n)
		right := operand()
		x = &logicExpr{p.from(off), op == "and", x, right}
	}
	return x
}

func (p *parser) negation() expr {
	defer p.deeper()()
	off := p.peek().off
	if p.peek().isName("not") {
		p.next()
		of := p.negation()
		return &notExpr{p.from(off), of}
	}
	return p.comparison()
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

// comparisonOp takes an operator of a comparison, or returns "".
func (p *parser) comparisonOp() string {
	t := p.peek()
	switch {
	case t.kind == tOp && slices.Contains(comparisons, t.text):
		p.next()
		return t.text
	case t.isName("in"):
		p.next()
		return "in"
	case t.isName("not") && p.peekAt(1).isName("in"):
		p.next()
		p.next()
		return "not in"
	}
	return ""
}

func (p *parser) comparison() expr {
	off := p.peek().off
	first := p.binary(1)
	var links []comparison
	for op := p.comparisonOp(); op != ""; op = p.comparisonOp() {
		p.chain(len(links))
		links = append(links, comparison{op, p.binary(1)})
	}
	if links == nil {
		return first
	}
	return &compareExpr{p.from(off), first, links}
}

// power says how tightly an operator binds. All lean to the left, "**" too: in
// this language 2**3**2 is 64.
var power = map[string]int{"+": 1, "-": 1, "~": 2, "*": 3, "/": 3, "//": 3, "%": 3, "**": 4}

func (p *parser) binary(least int) expr {
	off := p.peek().off
	x := p.unary(true)
	for n := 0; ; n++ {
		p.chain(n)
		t := p.peek()
		level := power[t.text]
		if t.kind != tOp || level < least {
			return x
		}
		p.next()
		right := p.binary(level + 1)
		if t.text != "~" {
			x = &binaryExpr{p.from(off), t.text, x, right}
			continue
		}
		// A text is joined once, not once for every "~".
		if c, ok := x.(*concatExpr); ok && n > 0 {
			x = &concatExpr{p.from(off), append(c.parts, right)}
		} else {
			x = &concatExpr{p.from(off), []expr{x, right}}
		}
	}
}

// unary parses a sign, and the filters and tests behind: -n|abs is (-n)|abs.
func (p *parser) unary(filters bool) expr {
	defer p.deeper()()
	off := p.peek().off
	var x expr
	switch t := p.peek(); {
	case t.is("-"), t.is("+"):
		p.next()
		of := p.unary(false)
		x = &signExpr{p.from(off), t.text == "-", of}
	default:
		x = p.primary()
	}
	x = p.postfix(x, off)
	if filters {
		x = p.filtersAndTests(x, off)
	}
	return x
}

var constants = map[string]Value{"true": Bool(true), "True": Bool(true), "false": Bool(false), "False": Bool(false),
	"none": None{}, "None": None{}}

func (p *parser) primary() expr {
	t := p.next()
	at := span{t.off, t.end}
	switch t.kind {
	case tName:
		if v, ok := constants[t.text]; ok {
			return &literal{at, v}
		}
		if slices.Contains(reserved, t.text) {
			p.unexpected(t, "an expression")
		}
		p.names.load(t.text)
		return &nameExpr{at, t.text}
	case tString:
		text := t.text
		for p.peek().kind == tString {
			text += p.next().text
		}
		return &literal{p.from(t.off), str(text)}
	case tInt, tFloat:
		return &literal{at, numberFrom(t.text)}
	}
	switch {
	case t.is("("):
		return p.brackets(t)
	case t.is("["):
		items := p.items("]")
		return &listExpr{p.from(t.off), items}
	case t.is("{"):
		return p.dict(t)
	}
	p.unexpected(t, "an expression")
	return nil
}

// reserved words cannot be names.
var reserved = []string{"and", "or", "not", "if", "else", "elif", "in", "is", "for"}

// brackets parses a tuple or an expression in round brackets.
func (p *parser) brackets(open token) expr {
	if p.accept(")") {
		return &tupleExpr{p.from(open.off), nil}
	}
	first := p.expression()
	if p.accept(")") {
		return first
	}
	p.expect(",")
	items := append([]expr{first}, p.items(")")...)
	return &tupleExpr{p.from(open.off), items}
}

// items parses expressions up to the closing bracket; a comma may stand last.
func (p *parser) items(end string) []expr {
	var items []expr
	for !p.accept(end) {
		if len(items) > 0 {
			if !p.peek().is(",") {
				p.unexpected(p.peek(), `"," or "`+end+`"`)
			}
			p.next()
			if p.accept(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) dict(open token) expr {
	d := &dictExpr{}
	for !p.accept("}") {
		if len(d.keys) > 0 {
			if !p.peek().is(",") {
				p.unexpected(p.peek(), `"," or "}"`)
			}
			p.next()
			if p.accept("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.expect(":")
		d.values = append(d.values, p.expression())
	}
	d.span = p.from(open.off)
	return d
}

// tuple parses an expression that becomes a tuple where commas follow, as it
// may in an output, a set and a for.
func (p *parser) tuple() expr {
	off := p.peek().off
	first := p.expression()
	if !p.peek().is(",") {
		return first
	}
	items := []expr{first}
	for p.accept(",") {
		if k := p.peek().kind; k == tVarClose || k == tTagClose || k == tEnd {
			break
		}
		items = append(items, p.expression())
	}
	return &tupleExpr{p.from(off), items}
}
