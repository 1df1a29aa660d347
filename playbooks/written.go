package playbooks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// UnknownError says that a plan cannot know a value yet, and what it hangs on.
type UnknownError struct{ Reason string }

func (e *UnknownError) Error() string { return "known after apply: " + e.Reason }

// Text is text as the user wrote it, which may hold templates. A nil Text is
// empty.
type Text struct {
	Source   string
	Pos      source.Pos
	template *jinja.Template // nil where the text has none
}

// NewText compiles what stands at pos.
func NewText(text string, pos source.Pos) (*Text, error) {
	t := &Text{Source: text, Pos: pos}
	if !jinja.HasTemplate(text) {
		return t, nil
	}
	var err error
	t.template, err = jinja.Parse(text, pos)
	return t, err
}

// Render gives the text for one host, or *UnknownError.
func (t *Text) Render(s jinja.Scope) (string, error) {
	if t == nil || t.template == nil {
		return t.String(), nil
	}
	v, err := t.template.Render(s)
	if err != nil {
		return "", err
	}
	if u, ok := v.(jinja.Unknown); ok {
		return "", &UnknownError{u.Reason}
	}
	return jinja.Text(v), nil
}

// Items gives the text as a list of one, or where the template gives a list, each
// of its items as text.
func (t *Text) Items(s jinja.Scope) ([]string, error) {
	if t == nil || t.template == nil {
		return []string{t.String()}, nil
	}
	v, err := t.template.Render(s)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case jinja.Unknown:
		return nil, &UnknownError{v.Reason}
	case *jinja.List:
		items := make([]string, len(v.Items))
		for i, item := range v.Items {
			if u, unknown := item.(jinja.Unknown); unknown {
				return nil, &UnknownError{u.Reason}
			}
			items[i] = jinja.Text(item)
		}
		return items, nil
	}
	return []string{jinja.Text(v)}, nil
}

// Reads says whether the templates in the text read a variable.
func (t *Text) Reads(name string) bool {
	return t != nil && t.template != nil && slices.Contains(t.template.Names(), name)
}

// Int gives the number for one host; the message of an error names the text.
func (t *Text) Int(s jinja.Scope) (int, error) {
	text, err := t.Render(s)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, &source.Error{Pos: t.Pos, Len: len(t.Source), Msg: fmt.Sprintf("%q is not a whole number", text)}
	}
	return n, nil
}

// String is the text as written.
func (t *Text) String() string {
	if t == nil {
		return ""
	}
	return t.Source
}

// Conditions are expressions that must all hold, as in `when`. A nil Conditions
// holds.
type Conditions struct {
	exprs []*jinja.Expr
	texts []string
}

// Verdict is what conditions came to.
type Verdict struct {
	Holds  bool
	Known  bool   // false: it hangs on a value that a plan cannot know
	Reason string // not holding: the condition; not known: what it hangs on
}

// Add compiles one more expression.
func (c *Conditions) Add(text string, pos source.Pos) error {
	e, err := jinja.ParseExpr(text, pos)
	if err != nil {
		return err
	}
	c.exprs = append(c.exprs, e)
	c.texts = append(c.texts, text)
	return nil
}

// Eval says whether all hold. One that is known not to hold decides, whatever
// the others hang on.
func (c *Conditions) Eval(s jinja.Scope) (Verdict, error) {
	v := Verdict{Holds: true, Known: true}
	if c == nil {
		return v, nil
	}
	for i, e := range c.exprs {
		value, err := e.Eval(s)
		if err != nil {
			return Verdict{}, err
		}
		if u, ok := value.(jinja.Unknown); ok {
			v = Verdict{Reason: u.Reason}
			continue
		}
		if truth, _ := jinja.Truth(value); !truth {
			return Verdict{Known: true, Reason: c.texts[i]}, nil
		}
	}
	return v, nil
}

// Flag is a keyword that is on or off: a boolean, or a template that gives one.
// A nil Flag is off.
type Flag struct {
	on   bool
	text *Text // the template; nil where a plain boolean is written
}

// On says whether the flag is set for one host.
func (f *Flag) On(s jinja.Scope) (bool, error) {
	if f == nil || f.text == nil {
		return f != nil && f.on, nil
	}
	text, err := f.text.Render(s)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0", "":
		return false, nil
	}
	return false, &source.Error{Pos: f.text.Pos, Len: len(f.text.Source), Msg: fmt.Sprintf("%q is neither true nor false", text)}
}

// Value is a value as written, with templates anywhere inside. A nil Value is
// jinja's None.
type Value struct {
	Pos source.Pos
	raw jinja.Value // trusted strings, not yet rendered
}

// Resolve renders the value for one host; it may be, or hold, jinja.Unknown.
func (v *Value) Resolve(s jinja.Scope) (jinja.Value, error) {
	if v == nil {
		return jinja.None{}, nil
	}
	return jinja.Resolve(v.raw, s)
}
