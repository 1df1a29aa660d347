package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"runbook/runner/journal"
	"runbook/runner/plan"
	"runbook/runner/project"
)

// resumeFlags are what resume takes.
type resumeFlags struct {
	pace    settings // only forks and the question for a password
	view    view
	state   state
	unknown string
	changed bool
}

func newResume(env *Env) *cobra.Command {
	f := &resumeFlags{}
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on where a run was interrupted, died or failed",
		Long: `Go on where a run was interrupted, died or failed: the newest one, unless RUN
names another. It has the settings that it was begun with.

What is done is not done again. Of what was under way the targets are asked:
what has ended gives its result, what runs is waited for, what never began is
begun. Where a target cannot say, the module looks; and where looking cannot
tell (a command), you are asked, or --unknown decides.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, strings.Join(args, ""))
		},
		ValidArgsFunction: completeRuns(&f.state),
	}
	f.pace.registerPace(cmd)
	f.view.register(cmd)
	f.state.register(cmd)
	f.state.registerPatience(cmd)
	cmd.Flags().StringVar(&f.unknown, "unknown", "", "what to do about a command of which nobody knows whether it ran: rerun, skip or fail; asked for on a terminal")
	cmd.Flags().BoolVar(&f.changed, "changed-inputs", false, "go on although the playbook, the inventory or other files have changed since")
	_ = cmd.RegisterFlagCompletionFunc("unknown", cobra.FixedCompletions([]string{"rerun", "skip", "fail"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *resumeFlags) run(ctx context.Context, env *Env, run string) error {
	doubt, err := doubts(env, f.unknown)
	if err != nil {
		return err
	}
	p, err := f.state.need()
	if err != nil {
		return err
	}
	l, err := f.prepare(ctx, env, p, run)
	if err != nil {
		return err
	}
	unlock, err := f.state.lock(ctx, env, p)
	if err != nil {
		return err
	}
	defer unlock()
	if ctx.Err() != nil {
		return status(exitInterrupted)
	}
	if err := f.reopen(l); err != nil {
		return err
	}
	l.doubt = doubt
	return l.carryOut(ctx)
}

// prepare finds the run and loads what it was begun with. It asks for a
// password, and so it comes before the lock.
func (f *resumeFlags) prepare(ctx context.Context, env *Env, p *project.Project, run string) (*live, error) {
	contents, err := resumable(p, run)
	if err != nil {
		return nil, err
	}
	k, err := key(env, p)
	if err != nil {
		return nil, err
	}
	id := contents.Header.Run
	w, err := f.again(ctx, env, contents.Header, k)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", id, err)
	}
	return &live{work: w, project: p, key: k, patience: f.state.patience, id: id}, nil
}

// resumable is the run of that name, or the newest that is worth resuming.
func resumable(p *project.Project, run string) (*journal.Contents, error) {
	if run == "" {
		newest, ok, err := p.Resumable()
		if err == nil && !ok {
			err = errors.New("there is nothing to resume: no run here was interrupted, died or failed, or a later one of the same playbook is done; `runbook runs` lists them")
		}
		if err != nil {
			return nil, err
		}
		run = newest.ID
	}
	contents, err := p.Contents(run)
	if err != nil {
		return nil, err
	}
	if e := contents.Ended(); e != nil && !e.Summary.Failed && !e.Summary.Unreachable && !e.Summary.Interrupted {
		return nil, fmt.Errorf("run %s is done: there is nothing to resume", contents.Header.Run)
	}
	return contents, nil
}

// reopen begins the new life, under the lock, if everything is as it was, and
// learns what the earlier lives did.
func (f *resumeFlags) reopen(l *live) error {
	contents, err := resumable(l.project, l.id) // again: somebody else may have had the lock
	if err != nil {
		return err
	}
	now, err := l.gather(l.project, l.key)
	if err != nil {
		return err
	}
	if l.signed, err = l.samePlan(contents.Header, now); err != nil {
		return err
	}
	if err := f.same(contents.Header, now); err != nil {
		return err
	}
	left, err := pending(l.env, l.project, contents.Header.Playbook)
	if err != nil {
		return err
	}
	l.writer, contents, err = l.project.Resume(l.id, journal.Resumed{Who: who(l.env), PID: os.Getpid(), Version: plan.Version(), At: time.Now()})
	if err != nil {
		return err
	}
	if contents.Notice != "" {
		l.warn("%s", contents.Notice)
	}
	l.past, l.pending = l.remember(contents.Records(), left)
	return nil
}

// again prepares the run with the settings that it was begun with.
func (f *resumeFlags) again(ctx context.Context, env *Env, h journal.Header, k *project.Key) (*work, error) {
	set, err := unseal(h.Args, k)
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	set = set.from(here)
	if f.pace.Forks != 0 {
		set.Forks = f.pace.Forks
	}
	set.AskPassword = set.AskPassword || f.pace.AskPassword
	return prepare(ctx, env, set, f.view)
}

// same refuses a run whose inputs have changed, unless that was asked for.
func (f *resumeFlags) same(h journal.Header, now plan.Inputs) error {
	changed := now.Since(h.Inputs)
	if len(changed) == 0 || f.changed {
		return nil
	}
	return fmt.Errorf("run %s was begun with something else than what is here now:\n  %s\nbring that back, or go on with what is here now: runbook resume %s --changed-inputs",
		h.Run, strings.Join(changed, "\n  "), h.Run)
}

// samePlan is the plan that the run carries out, if it carries one out. It was
// approved as it is: one that is not complete is as good here as any other.
func (l *live) samePlan(h journal.Header, now plan.Inputs) (*plan.Plan, error) {
	if h.Plan == "" {
		return nil, nil
	}
	signed, err := plan.Read(l.copy())
	if errors.Is(err, fs.ErrNotExist) { // the run died before it took it
		if left, bad := plan.Read(l.waiting()); bad == nil && left.Digest == h.Plan {
			signed, err = left, os.Rename(l.waiting(), l.copy())
		}
	}
	if err == nil && signed.Digest != h.Plan {
		err = errors.New("it is another plan than the one that the run began with")
	}
	if err == nil {
		err = signed.Verify(l.key)
	}
	if err != nil {
		return nil, fmt.Errorf("run %s carries out a plan, and can be resumed with that plan only: %w", l.id, err)
	}
	if changed := now.Since(signed.Digests); len(changed) > 0 {
		return nil, fmt.Errorf("run %s carries out a plan, and what that was computed from is not what is here now:\n  %s\nbring that back, or plan again and apply that", l.id, strings.Join(changed, "\n  "))
	}
	return signed, nil
}
