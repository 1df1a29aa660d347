package cli

import (
	"context"
	"fmt"
	"sync"

	"runbook/runner"
	"runbook/runner/render"
)

// doubts is who decides about commands of which nobody knows whether they ran.
// Nil makes them fail.
func doubts(env *Env, unknown string) (func(context.Context, runner.Intent) (runner.Doubt, error), error) {
	switch d := runner.Doubt(unknown); d {
	case runner.Rerun, runner.Skip, runner.Fail:
		return func(context.Context, runner.Intent) (runner.Doubt, error) { return d, nil }, nil
	case "":
	default:
		return nil, fmt.Errorf("--unknown is %q, want rerun, skip or fail", unknown)
	}
	if !canAsk(env) {
		return nil, nil
	}
	var one sync.Mutex // question at a time
	return func(ctx context.Context, i runner.Intent) (runner.Doubt, error) {
		one.Lock()
		defer one.Unlock()
		return askDoubt(ctx, env, i)
	}, nil
}

// askDoubt asks until the answer is one of the three; who gives none lets it fail.
func askDoubt(ctx context.Context, env *Env, i runner.Intent) (runner.Doubt, error) {
	question := "rerun, skip or fail? "
	fmt.Fprintln(env.Stderr, "\nNobody knows whether this command ran:")
	_ = render.Heading(env.Stderr, []render.Label{ // where it cannot be written, nobody answers either
		{Name: "host", Text: i.Host}, {Name: "task", Text: i.Name}, {Name: "command", Text: i.Command}, {Name: "given", Text: render.When(i.At, render.Options{})},
	}, render.Options{})
	for range 5 {
		said, err := ask(ctx, env, question)
		if err != nil {
			return runner.Fail, err
		}
		switch d := runner.Doubt(said); d {
		case runner.Rerun, runner.Skip, runner.Fail:
			return d, nil
		}
	}
	return runner.Fail, nil
}
