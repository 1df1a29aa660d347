package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

func init() {
	register(Def{
		Name:  "set_fact",
		Doc:   "Set variables of the host for the rest of the run",
		New:   func() Module { return &setFact{} },
		Facts: SetFacts,
	})
}

type setFact struct {
	Variables map[string]any `arg:"variables,rest" doc:"Every other key is the name of a variable, with its value."`
	Cacheable bool           `arg:"cacheable" doc:"Keeping facts between runs is not supported; only false is accepted."`
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (m *setFact) Validate() error {
	if m.Cacheable {
		return errors.New("cacheable is not supported: facts last as long as the run; drop it")
	}
	if len(m.Variables) == 0 {
		return errors.New("no variable given; write at least one as NAME: VALUE")
	}
	for _, name := range slices.Sorted(maps.Keys(m.Variables)) {
		if !variableName.MatchString(name) {
			return fmt.Errorf("%q cannot name a variable; use letters, digits and _, beginning with no digit", name)
		}
	}
	return nil
}

func (m *setFact) Check(context.Context, Target) (Change, error) {
	return Change{Vars: map[string]any{"ansible_facts": m.Variables}}, nil
}
