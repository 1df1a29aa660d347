package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"runbook/runner/journal"
	"runbook/runner/plan"
	"runbook/runner/project"
)

// applyFlags are what apply takes.
type applyFlags struct {
	set   settings
	view  view
	state state
	yes   bool
	check bool
	drift string
}

func newApply(env *Env) *cobra.Command {
	f := &applyFlags{}
	cmd := &cobra.Command{
		Use:   "apply PLAYBOOK|PLAN",
		Short: "Carry out a playbook, or exactly what a plan file says",
		Long: `Carry out a playbook, or exactly what a plan file says.

A playbook on a terminal is planned first; what you then say yes to is what is
done. A plan file (runbook plan -o FILE) is carried out without a question: before
each task it is looked again, and where something else than the plan says would
have to be done, that host stops (--on-drift=replan does it all the same).

Every run is recorded in .runbook, in the project's directory: "runbook runs"
lists them, "runbook resume" goes on with one that was interrupted.`,
		Args: onePlaybook,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.drift != "stop" && f.drift != "replan" {
				return fmt.Errorf("--on-drift is %q, want stop or replan", f.drift)
			}
			f.set.Replan = f.drift == "replan"
			if plan.Is(args[0]) {
				if err := refuseBesidePlan(cmd, args[0]); err != nil {
					return err
				}
				return f.file(cmd.Context(), env, args[0])
			}
			f.set.Playbook = args[0]
			return f.playbook(cmd.Context(), env)
		},
	}
	f.set.register(cmd)
	f.view.register(cmd)
	f.state.register(cmd)
	f.state.registerPatience(cmd)
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVarP(&f.check, "check", "C", false, "the same as plan")
	cmd.Flags().StringVar(&f.drift, "on-drift", "stop", "where a host is not as it was when the plan was made: stop it, or replan it")
	_ = cmd.RegisterFlagCompletionFunc("on-drift", cobra.FixedCompletions([]string{"stop", "replan"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// playbook carries out a playbook: on a terminal what was shown and approved,
// else whatever it comes to.
func (f *applyFlags) playbook(ctx context.Context, env *Env) error {
	if f.check {
		return (&planFlags{set: f.set, view: f.view, state: f.state}).run(ctx, env)
	}
	w, err := prepare(ctx, env, f.set, f.view)
	if err != nil {
		return err
	}
	var approved *plan.Plan
	if canAsk(env) && !f.yes {
		if approved, err = f.approve(ctx, w); approved == nil || err != nil {
			return err
		}
	}
	return f.begin(ctx, w, approved, func(*project.Key, plan.Inputs) error { return nil })
}

// approve shows what would be done and asks. No plan and no error means that
// there is nothing to do.
func (f *applyFlags) approve(ctx context.Context, w *work) (*plan.Plan, error) {
	seen, err := w.plan(ctx, &f.state, true)
	if err != nil {
		return nil, err
	}
	if seen.sum.Interrupted || ctx.Err() != nil {
		return nil, status(exitInterrupted)
	}
	if idle(seen.plan) {
		return nil, exit(seen.sum)
	}
	question := "Apply this plan? Only \"yes\" goes on: "
	if !seen.plan.Complete {
		question = "This plan is not complete: a host failed or was unreachable. " + question
	}
	said, err := ask(ctx, w.env, question)
	if err == nil && said != "yes" {
		err = errors.New("not applied")
	}
	return seen.plan, err
}

// idle says whether nothing is to be done: no change, nothing that may come up.
func idle(p *plan.Plan) bool {
	c := p.Summary
	return c.Change+c.Run+c.Wait+c.Unknown == 0
}

// file carries out a plan file. The review was the approval: nobody is asked.
func (f *applyFlags) file(ctx context.Context, env *Env, path string) error {
	signed, err := plan.Read(path)
	if err != nil {
		return err
	}
	p, err := f.state.need()
	if err != nil {
		return err
	}
	k, err := key(env, p)
	if err != nil {
		return err
	}
	set, err := planSettings(signed, k)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	w, err := prepare(ctx, env, f.beside(set), f.view)
	if err != nil {
		return err
	}
	return f.begin(ctx, w, signed, func(k *project.Key, now plan.Inputs) error {
		if err := signed.Check(k, now); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}

// beside is the settings of a plan with what may be said beside it.
func (f *applyFlags) beside(set settings) settings {
	set.Replan = f.set.Replan
	if f.set.Forks != 0 {
		set.Forks = f.set.Forks
	}
	set.AskPassword = set.AskPassword || f.set.AskPassword
	return set
}

// planSettings are those that the plan was made with, as seen from here.
func planSettings(p *plan.Plan, k *project.Key) (settings, error) {
	if err := p.Verify(k); err != nil {
		return settings{}, err
	}
	in, err := p.Inputs(k)
	if err != nil {
		return settings{}, err
	}
	set, err := unseal(in.Settings, k)
	if err != nil {
		return set, err
	}
	here, err := os.Getwd()
	return set.from(here), err
}

// begin begins a run and carries it out: of a plan, where there is one, that
// passes the check.
func (f *applyFlags) begin(ctx context.Context, w *work, signed *plan.Plan, check func(*project.Key, plan.Inputs) error) error {
	p, err := f.state.create()
	if err != nil {
		return err
	}
	k, err := key(w.env, p)
	if err != nil {
		return err
	}
	unlock, err := f.state.lock(ctx, w.env, p)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := w.gather(p, k)
	if err != nil {
		return err
	}
	if err := check(k, now); err != nil {
		return err
	}
	l := &live{work: w, project: p, key: k, patience: f.state.patience, signed: signed}
	left, err := pending(w.env, p, w.name(p))
	if err != nil {
		return err
	}
	l.pending = l.planned(left)
	if ctx.Err() != nil {
		return status(exitInterrupted) // before anything began
	}
	if err := l.open(now); err != nil {
		return err
	}
	return l.carryOut(ctx)
}

// signedName is the copy of the plan in the run's directory: a resumption is
// held to the same plan.
const signedName = "plan.json"

// open makes the run's journal, with everything that a resumption needs.
func (l *live) open(now plan.Inputs) error {
	args, err := l.set.seal(l.key)
	if err != nil {
		return err
	}
	header := journal.Header{
		Playbook: l.name(l.project), Args: args, Inputs: now.Digests(), Inventory: now.Inventory,
		Version: plan.Version(), Who: who(l.env), PID: os.Getpid(), At: time.Now(),
	}
	if l.signed != nil {
		if header.Plan, err = plan.Write(l.waiting(), l.signed, l.key); err != nil {
			return err
		}
	}
	if l.writer, l.id, err = l.project.Begin(header); err != nil || l.signed == nil {
		return err
	}
	if err := os.Rename(l.waiting(), l.copy()); err != nil {
		return errors.Join(fmt.Errorf("run %s has not begun, because its plan cannot be kept: %w", l.id, err), l.writer.Close())
	}
	return nil
}

// copy is the plan's place in the run's directory.
func (l *live) copy() string { return filepath.Join(l.project.RunDir(l.id), signedName) }

// waiting is where the plan is until the run has begun: a run that dies before it
// could take its plan finds it there.
func (l *live) waiting() string { return filepath.Join(l.project.Dir(), signedName) }

func (w *work) gather(p *project.Project, k *project.Key) (plan.Inputs, error) {
	set, err := w.set.seal(k)
	if err != nil {
		return plan.Inputs{}, err
	}
	return plan.Gather(root(p), w.in.book, w.in.inventory, w.in.extra, set, k)
}

// root is the project's directory, which file names are relative to.
func root(p *project.Project) string { return filepath.Dir(p.Dir()) }
