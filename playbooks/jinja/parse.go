package jinja

import (
	"fmt"
	"slices"
	"strings"

	"runbook/runner/source"
)

// parser builds the tree of one template. Its methods panic with *source.Error
// at the first mistake; parse and parseExpr recover it.
type parser struct {
	*script
	tokens []token
	i      int
	nested int
	names  nameUse
	// changes says that a method is called that changes its list or dictionary.
	changes bool
}

// catch turns the panic of a mistake into an error.
func catch(err *error) {
	switch e := recover().(type) {
	case nil:
	case *source.Error:
		*err = e
	default:
		panic(e)
	}
}

func (p *parser) fail(at span, msg, hint string) { panic(p.err(at, msg, hint)) }

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) peekAt(n int) token { return p.tokens[min(p.i+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tEnd {
		p.i++
	}
	return t
}

// accept takes an operator if it is next.
func (p *parser) accept(op string) bool {
	if !p.peek().is(op) {
		return false
	}
	p.i++
	return true
}

func (p *parser) acceptName(name string) bool {
	if !p.peek().isName(name) {
		return false
	}
	p.i++
	return true
}

func (p *parser) expect(op string) token {
	t := p.peek()
	if !t.is(op) {
		p.unexpected(t, fmt.Sprintf("%q", op))
	}
	return p.next()
}

func (p *parser) expectKind(k kind, wanted string) token {
	t := p.peek()
	if t.kind != k {
		p.unexpected(t, wanted)
	}
	return p.next()
}

func (p *parser) unexpected(t token, wanted string) {
	p.fail(span{t.off, t.end}, fmt.Sprintf("unexpected %s; want %s", t, wanted), "")
}

// from is the span from off to the token taken last.
func (p *parser) from(off int) span {
	if p.i == 0 {
		return span{off, off}
	}
	return span{off, max(off, p.tokens[p.i-1].end)}
}

// deeper guards the recursion; call the result when leaving.
func (p *parser) deeper() func() {
	p.nested++
	if p.nested > maxNested {
		t := p.peek()
		p.fail(span{t.off, t.end}, fmt.Sprintf("the expression is more than %d deep in itself", maxNested), "split it with variables")
	}
	return func() { p.nested-- }
}

// chain guards a loop that builds a left-leaning tree.
func (p *parser) chain(n int) {
	if n > maxNested {
		t := p.peek()
		p.fail(span{t.off, t.end}, fmt.Sprintf("the expression has more than %d parts", maxNested), "split it with variables")
	}
}

// nameUse finds out which names a template takes from outside.
type nameUse struct {
	scopes []map[string]bool
	free   map[string]bool
	loads  []string // every name that is read, in order
}

func (u *nameUse) push()            { u.scopes = append(u.scopes, map[string]bool{}) }
func (u *nameUse) pop()             { u.scopes = u.scopes[:len(u.scopes)-1] }
func (u *nameUse) bind(name string) { u.scopes[len(u.scopes)-1][name] = true }

func (u *nameUse) bound(name string) bool {
	return slices.ContainsFunc(u.scopes, func(s map[string]bool) bool { return s[name] })
}

func (u *nameUse) load(name string) {
	u.loads = append(u.loads, name)
	if u.bound(name) {
		return
	}
	if u.free == nil {
		u.free = map[string]bool{}
	}
	u.free[name] = true
}

// list is the free names, sorted, without those that the language itself has.
func (u *nameUse) list() []string {
	var out []string
	for name := range u.free {
		if _, ok := globals[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// overridePrefix begins a first line that changes how the rest is read.
const overridePrefix = "#jinja2:"

// overrides reads such a line and returns where the template begins after it.
func overrides(s *script, syn *syntax) (int, error) {
	if !strings.HasPrefix(s.text, overridePrefix) {
		return 0, nil
	}
	line, _, more := strings.Cut(s.text, "\n")
	off := len(overridePrefix)
	for part := range strings.SplitSeq(line[off:], ",") {
		name, value, _ := strings.Cut(part, ":")
		on, ok := map[string]bool{"true": true, "false": false}[strings.ToLower(strings.TrimSpace(value))]
		at := span{off, off + len(part)}
		if !ok {
			return 0, s.err(at, fmt.Sprintf("%q is no setting; want \"name: True\" or \"name: False\"", strings.TrimSpace(part)), "")
		}
		switch strings.TrimSpace(name) {
		case "trim_blocks":
			syn.trim = on
		case "lstrip_blocks":
			syn.lstrip = on
		default:
			return 0, s.err(at, fmt.Sprintf("the setting %q is not supported; want trim_blocks or lstrip_blocks", strings.TrimSpace(name)), "")
		}
		off += len(part) + 1
	}
	if !more {
		return len(s.text), nil
	}
	return len(line) + 1, nil
}
