package modules

import (
	"context"
	"fmt"
	"strings"
)

func init() {
	register(Def{
		Name: "assert",
		Doc:  "Fail unless every expression holds",
		New:  func() Module { return &assertion{} },
	})
}

type assertion struct {
	That       []Expr `arg:"that,required,expr" doc:"The expressions that must hold."`
	FailMsg    any    `arg:"fail_msg" alias:"msg" doc:"What to say when one does not hold; a text or a list of texts."`
	SuccessMsg any    `arg:"success_msg" doc:"What to say when all hold; a text or a list of texts."`
	Quiet      bool   `arg:"quiet" doc:"Accepted for compatibility: the expressions that hold are never listed."`
}

func (m *assertion) Validate() error {
	if err := textOrTexts("fail_msg", m.FailMsg); err != nil {
		return err
	}
	return textOrTexts("success_msg", m.SuccessMsg)
}

func (m *assertion) Check(context.Context, Target) (Change, error) {
	var broken, quoted []string
	for _, e := range m.That {
		if !e.True {
			broken = append(broken, e.Text)
			quoted = append(quoted, fmt.Sprintf("%q", e.Text))
		}
	}
	if len(broken) == 0 {
		return Change{Vars: map[string]any{"msg": either(m.SuccessMsg, "All assertions passed")}}, nil
	}
	err := fmt.Errorf("does not hold: %s", strings.Join(quoted, ", "))
	if m.FailMsg != nil {
		err = fmt.Errorf("%s (%w)", joined(m.FailMsg), err)
	}
	return Change{Vars: map[string]any{
		"msg": either(m.FailMsg, "Assertion failed"), "assertion": broken[0], "evaluated_to": false,
	}}, err
}

// textOrTexts holds an argument to being a text, a list of texts, or not given.
func textOrTexts(name string, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, e := range list {
		if _, text := e.(string); !text && e != nil {
			return fmt.Errorf("%s must be a text or a list of texts, not %v", name, e)
		}
	}
	return nil
}

func either(v any, otherwise string) any {
	if v == nil {
		return otherwise
	}
	return v
}

// joined is a text, or several as lines.
func joined(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = fmt.Sprint(e)
	}
	return strings.Join(lines, "\n")
}
