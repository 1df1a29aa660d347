package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/plan"
	"runbook/runner/project"
)

// planFlags are what plan takes.
type planFlags struct {
	set      settings
	view     view
	state    state
	out      string
	detailed bool
}

func newPlan(env *Env) *cobra.Command {
	f := &planFlags{}
	cmd := &cobra.Command{
		Use:   "plan PLAYBOOK",
		Short: "Show what apply would change, host by host; change nothing",
		Long: `Show what apply would change, host by host; change nothing.

With -o the plan is kept: "runbook show FILE" reads it, and "runbook apply FILE"
carries out what it says and nothing else. Its secrets are sealed with the
project's key: .runbook/key, or the file that RUNBOOK_KEY_FILE names.`,
		Args: onePlaybook,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.set.Playbook = args[0]
			return f.run(cmd.Context(), env)
		},
	}
	f.set.register(cmd)
	f.view.register(cmd)
	f.state.register(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "keep the plan in this `file`, to be shown and applied")
	cmd.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "exit with 3 if there is something to do")
	return cmd
}

func onePlaybook(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one playbook, got %d arguments; try: runbook plan playbooks/ipset-fix.yaml -i inventory/nodes.yaml", len(args))
	}
	return nil
}

func (f *planFlags) run(ctx context.Context, env *Env) error {
	if plan.Is(f.set.Playbook) {
		return fmt.Errorf("%s is a plan already, and a playbook is wanted; runbook show %[1]s reads it, runbook apply %[1]s carries it out", f.set.Playbook)
	}
	if f.out != "" {
		if err := plan.Free(f.out); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
	}
	w, err := prepare(ctx, env, f.set, f.view)
	if err != nil {
		return err
	}
	seen, err := w.plan(ctx, &f.state, f.out != "")
	if err != nil {
		return err
	}
	switch {
	case f.out == "":
	case seen.sum.Interrupted:
		fmt.Fprintf(env.Stderr, "runbook: interrupted, so nothing is saved to %s\n", f.out)
	default:
		if err := seen.save(env, f.out); err != nil {
			return err
		}
	}
	if err := exit(seen.sum); err != nil {
		return err
	}
	if f.detailed && seen.sum.Changes {
		return status(exitChanges)
	}
	return nil
}

// foreseen is what a plan came to.
type foreseen struct {
	sum  runner.Summary
	key  *project.Key
	plan *plan.Plan // nil where it was not to be kept
}

// plan shows what apply would do. It takes no lock and writes nothing, but the
// project's key where the plan is to be kept.
func (w *work) plan(ctx context.Context, s *state, keep bool) (*foreseen, error) {
	p, err := s.look()
	if keep {
		p, err = s.create()
	}
	if err != nil {
		return nil, err
	}
	show := w.view.screen(w.env)
	r := w.engine(show)
	r.Plan = true
	if p != nil {
		if r.Pending, err = pending(w.env, p, w.name(p)); err != nil {
			return nil, err
		}
	}
	var seen foreseen
	var verdicts plan.Collector
	if keep {
		if seen.key, err = key(w.env, p); err != nil {
			return nil, err
		}
		r.Journal, r.Seal = &verdicts, seen.key
	}
	if seen.sum, err = w.run(ctx, r); err != nil {
		return nil, err
	}
	if err := show.Err(); !unread(err) {
		return nil, fmt.Errorf("the plan could not be written: %w", err)
	}
	if keep {
		seen.plan, err = w.collected(p, seen.key, &verdicts, seen.sum, r.Pending)
	}
	return &seen, err
}

// collected is the plan of what was foreseen. What it was computed from is
// complete only now: the run has read the last file.
func (w *work) collected(p *project.Project, k *project.Key, verdicts *plan.Collector, sum runner.Summary, pending []runner.Notification) (*plan.Plan, error) {
	in, err := w.gather(p, k)
	if err != nil {
		return nil, err
	}
	open := w.set
	open.Extra = nil // they may be secrets
	public, err := json.Marshal(open)
	if err != nil {
		return nil, err
	}
	return verdicts.Plan(plan.Header{Playbook: w.name(p), By: who(w.env), Settings: public}, in, sum, pending, k)
}

// save writes the plan, and says how to go on with it.
func (s *foreseen) save(env *Env, path string) error {
	digest, err := plan.Write(path, s.plan, s.key)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "saved to %s; digest %s\n", path, digest)
	if s.plan.Complete {
		fmt.Fprintf(env.Stderr, "runbook apply %s carries out exactly this\n", path)
		return nil
	}
	fmt.Fprintf(env.Stderr, "it is not complete, so it can be shown and not applied: %s\n", strings.Join(s.plan.Missing, "; "))
	return nil
}

// name is the playbook's in the project.
func (w *work) name(p *project.Project) string {
	return playbookName(root(p), w.set.Playbook)
}
