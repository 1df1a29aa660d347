package cli

import (
	"context"

	"runbook/runner"
)

// work is one playbook and how it is to be carried out, in plan and apply alike.
type work struct {
	env      *Env
	set      settings
	view     view
	in       *input
	password string
}

// prepare loads everything that the settings name, reports every mistake in it
// at once, and asks for what no file may hold.
func prepare(ctx context.Context, env *Env, set settings, v view) (*work, error) {
	if err := v.validate(); err != nil {
		return nil, err
	}
	w := &work{env: env, set: set, view: v}
	var err error
	if w.in, err = w.set.load(ctx); err != nil {
		return nil, err
	}
	if w.set.AskPassword {
		w.password, err = password(ctx, env)
	}
	return w, err
}

// engine is the runner without what makes it a plan or a run.
func (w *work) engine(show screen) *runner.Runner {
	return &runner.Runner{
		Forks: w.set.Forks, Limit: w.set.Limit, Verbosity: w.view.verbosity,
		Selection: runner.Selection{Tags: w.set.Tags, Skip: w.set.Skip},
		Defaults: runner.Defaults{
			User: w.set.User, Key: w.set.Key, Become: w.set.Become, Password: w.password, HostKeys: hostKeys(w.env),
		},
		Dial:    dial,
		Cluster: clusterOf(w.in.inventory),
		Emit:    show.Event,
	}
}

func (w *work) run(ctx context.Context, r *runner.Runner) (runner.Summary, error) {
	return r.Run(ctx, w.in.book, w.in.inventory, w.in.extra)
}

// exit is the exit code that a run comes to.
func exit(sum runner.Summary) error {
	switch {
	case sum.Interrupted:
		return status(exitInterrupted)
	case sum.Unreachable:
		return status(exitUnreachable)
	case sum.Failed:
		return status(exitFailed)
	}
	return nil
}

// hostKeys is the policy that Ansible's environment variable asks for.
func hostKeys(env *Env) string {
	if check := env.Getenv("ANSIBLE_HOST_KEY_CHECKING"); check != "" {
		return runner.HostKeys(check)
	}
	return ""
}
