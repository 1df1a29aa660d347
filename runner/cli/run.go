package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/playbooks/vars"
	"runbook/runner"
	"runbook/runner/render"
)

// runFlags are what plan and apply take.
type runFlags struct {
	inventories  []string
	limit        string
	extra        []string
	tags, skip   []string
	forks        int
	user, key    string
	become       bool
	askPassword  bool
	verbosity    int
	diff         bool
	yes          bool
	check        bool
	output       string
	detailedExit bool
}

func (f *runFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.inventories, "inventory", "i", nil, "inventory `file`, directory or list \"host1,host2,\"; may be repeated")
	fs.StringVarP(&f.limit, "limit", "l", "", "only the hosts of this `pattern`")
	fs.StringArrayVarP(&f.extra, "extra-vars", "e", nil, "variables: key=value, JSON, YAML or @`file`; may be repeated")
	fs.StringSliceVarP(&f.tags, "tags", "t", nil, "only tasks with one of these `tags`")
	fs.StringSliceVar(&f.skip, "skip-tags", nil, "no task with one of these `tags`")
	fs.IntVarP(&f.forks, "forks", "f", 32, "how many hosts at once")
	fs.StringVarP(&f.user, "user", "u", "", "connect as this `user`")
	fs.StringVar(&f.key, "private-key", "", "connect with this key `file`")
	fs.BoolVarP(&f.become, "become", "b", false, "act as another user, root unless said otherwise")
	fs.BoolVarP(&f.askPassword, "ask-become-pass", "K", false, "ask for the password that becoming another user takes")
	fs.CountVarP(&f.verbosity, "verbose", "v", "say more; twice for more still")
	fs.BoolVarP(&f.diff, "diff", "D", false, "show what differs")
	fs.StringVar(&f.output, "output", "text", "text, or json for the events as JSON Lines")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func newPlan(env *Env) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "plan PLAYBOOK",
		Short: "Show what apply would change, host by host; change nothing",
		Args:  onePlaybook,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.check = true
			return f.run(cmd.Context(), env, args[0])
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.detailedExit, "detailed-exitcode", false, "exit with 3 if there is something to do")
	return cmd
}

func newApply(env *Env) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "apply PLAYBOOK",
		Short: "Carry a playbook out",
		Args:  onePlaybook,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0])
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVarP(&f.check, "check", "C", false, "the same as plan")
	return cmd
}

func onePlaybook(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one playbook, got %d arguments; try: runbook plan playbooks/ipset-fix.yaml -i inventory/nodes.yaml", len(args))
	}
	return nil
}

// run loads everything, reports every mistake in it at once, and only then
// lets the engine contact a host.
func (f *runFlags) run(ctx context.Context, env *Env, path string) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output is %q, want text or json", f.output)
	}
	in, err := load(ctx, path, f.inventories, f.extra)
	if err != nil {
		return err
	}
	password, err := f.password(ctx, env)
	if err != nil {
		return err
	}
	if err := f.confirm(ctx, env, path); err != nil {
		return err
	}
	show, finish := f.renderer(env)
	r := &runner.Runner{
		Plan: f.check, Forks: f.forks, Limit: f.limit, Verbosity: f.verbosity,
		Selection: runner.Selection{Tags: f.tags, Skip: f.skip},
		Defaults:  runner.Defaults{User: f.user, Key: f.key, Become: f.become, Password: password, HostKeys: hostKeys(env)},
		Dial:      dial,
		Cluster:   clusterOf(in.inventory),
		Emit:      show,
	}
	sum, err := r.Run(ctx, in.book, in.inventory, in.extra)
	if err == nil {
		err = finish()
	}
	if err != nil {
		return err
	}
	return f.exit(sum)
}

func (f *runFlags) exit(sum runner.Summary) error {
	switch {
	case sum.Interrupted:
		return status(exitInterrupted)
	case sum.Unreachable:
		return status(exitUnreachable)
	case sum.Failed:
		return status(exitFailed)
	case f.detailedExit && sum.Changes:
		return status(exitChanges)
	}
	return nil
}

// renderer is where the events go, and what is to be asked when they are over.
func (f *runFlags) renderer(env *Env) (show func(runner.Event), finish func() error) {
	if f.output == "json" {
		j := render.NewJSON(env.Stdout)
		return j.Event, j.Err
	}
	width, tty := terminal(env.Stdout)
	o := render.Options{Width: width, Verbosity: f.verbosity, Diff: f.diff, Color: tty && env.Getenv("NO_COLOR") == ""}
	if _, live := terminal(env.Stderr); live && tty && env.Getenv("CI") == "" && env.Getenv("TERM") != "dumb" {
		o.Progress = env.Stderr
	}
	return render.NewTerminal(env.Stdout, o).Event, func() error { return nil }
}

// hostKeys is the policy that Ansible's environment variable asks for.
func hostKeys(env *Env) string {
	if check := env.Getenv("ANSIBLE_HOST_KEY_CHECKING"); check != "" {
		return runner.HostKeys(check)
	}
	return ""
}

// input is everything that the user wrote, without mistakes.
type input struct {
	book      *playbooks.Playbook
	inventory *inventory.Inventory
	extra     vars.Layer
}

// load reads everything and reports all mistakes together.
func load(ctx context.Context, path string, inventories, extra []string) (*input, error) {
	if len(inventories) == 0 {
		found, err := nearby(path)
		if err != nil {
			return nil, err
		}
		inventories = []string{found}
	}
	var in input
	book, all := playbooks.Load(path)
	inv, errs := inventory.Load(ctx, inventories)
	all = append(all, errs...)
	if book != nil && inv != nil {
		inv, errs = inv.Beside(book.Dir)
		all = append(all, errs...)
	}
	in.extra, errs = vars.Extra(extra)
	all = append(all, errs...)
	in.book, in.inventory = book, inv
	if err := all.Err(); err != nil {
		return nil, err
	}
	return &in, nil
}

// nearby finds inventory/nodes.yaml beside the playbook, beside the folder that
// the playbook is in, or here.
func nearby(playbook string) (string, error) {
	var tried []string
	for _, path := range places(playbook) {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		tried = append(tried, path)
	}
	return "", fmt.Errorf("no inventory: give one with -i; looked for %s", strings.Join(tried, ", "))
}
