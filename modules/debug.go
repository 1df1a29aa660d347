package modules

import (
	"context"
	"errors"
)

func init() {
	register(Def{
		Name:  "debug",
		Doc:   "Print a message or a value",
		New:   func() Module { return &debug{} },
		Shows: true,
	})
}

type debug struct {
	Msg       any  `arg:"msg" doc:"What to print; a text, a list or a mapping. \"Hello world!\" where neither msg nor var is given."`
	Var       Expr `arg:"var,expr" doc:"The expression whose value is printed."`
	Verbosity int  `arg:"verbosity" doc:"How many -v it takes for the task to run; with fewer it is skipped."`
}

func (m *debug) Validate() error {
	if m.Msg != nil && m.Var.Text != "" {
		return errors.New("msg and var exclude each other; keep one of them")
	}
	if m.Verbosity < 0 {
		return errors.New("verbosity must not be negative")
	}
	return nil
}

func (m *debug) Check(context.Context, Target) (Change, error) {
	if m.Var.Text != "" {
		return Change{Vars: map[string]any{m.Var.Text: m.Var.Value}}, nil
	}
	return Change{Vars: map[string]any{"msg": either(m.Msg, "Hello world!")}}, nil
}

// Verbosity says how many -v it takes for a task to run; with fewer the engine
// skips it. Only debug asks for any.
func Verbosity(m Module) int {
	if d, ok := m.(*debug); ok {
		return d.Verbosity
	}
	return 0
}
