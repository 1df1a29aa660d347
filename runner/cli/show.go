package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/runner/project"
	"runbook/runner/render"
	"runbook/runner/source"
)

// showFlags are what show takes.
type showFlags struct {
	view  view
	state state
	hosts []string
	tasks []string
}

func newShow(env *Env) *cobra.Command {
	f := &showFlags{}
	cmd := &cobra.Command{
		Use:   "show [RUN|PLAN]",
		Short: "Show what a run did, or what a plan file says",
		Long: `Show what a run did, or what a plan file says. Without an argument, the newest run.
With --host and --task it shows what the task printed there.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&f.state),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := f.view.validate(); err != nil {
				return err
			}
			what := strings.Join(args, "")
			if isPlan, err := aPlan(what); err != nil {
				return err
			} else if isPlan {
				return f.plan(env, what)
			}
			return f.run(env, what)
		},
	}
	f.view.register(cmd)
	f.state.register(cmd)
	cmd.Flags().StringSliceVar(&f.hosts, "host", nil, "only these `hosts`")
	cmd.Flags().StringArrayVar(&f.tasks, "task", nil, "only the task of this `name`; may be repeated")
	return cmd
}

// run shows a run of the project.
func (f *showFlags) run(env *Env, id string) error {
	p, err := f.state.need()
	if err != nil {
		return err
	}
	c, err := p.Contents(id)
	if err != nil {
		return err
	}
	a, err := f.account(c)
	if err != nil {
		return err
	}
	if f.view.output == "json" {
		return asJSON(env.Stdout, f.shown(c, a))
	}
	if c.Notice != "" {
		fmt.Fprintln(env.Stderr, "runbook:", c.Notice)
	}
	o := f.view.options(env)
	labels, err := runLabels(p, c, o)
	if err != nil {
		return err
	}
	if err := render.Heading(env.Stdout, labels, o); err != nil {
		return readable(err)
	}
	return readable(render.Work(env.Stdout, a, o))
}

// readable is an error of writing, unless nobody reads any more.
func readable(err error) error {
	if unread(err) {
		return nil
	}
	return err
}

// account is what the run did on the hosts and in the tasks that were asked for.
func (f *showFlags) account(c *journal.Contents) (render.Account, error) {
	a := render.Account{Begun: []runner.Intent{}}
	records := c.Records()
	hosts, tasks := map[string]bool{}, map[string]bool{}
	for _, r := range records {
		switch r := r.(type) {
		case runner.BatchBegun:
			a.Batches = append(a.Batches, r)
		case runner.Outcome:
			hosts[r.Host], tasks[r.Name] = true, true
			if f.wants(r.Host, r.Name) {
				a.Outcomes = append(a.Outcomes, r)
			}
		}
	}
	past := runner.Fold(records)
	for _, r := range records { // in the order of the journal
		i, ok := r.(runner.Intent)
		if !ok {
			continue
		}
		hosts[i.Host], tasks[i.Name] = true, true
		begun := past.Begun[i.Key]
		if last := len(begun) - 1; last >= 0 && begun[last].At.Equal(i.At) && begun[last].ID == i.ID && f.wants(i.Host, i.Name) {
			a.Begun = append(a.Begun, i)
		}
	}
	if err := errors.Join(known("host", f.hosts, hosts), known("task", f.tasks, tasks)); err != nil {
		return a, err
	}
	return a, f.printed(c, a.Outcomes)
}

func (f *showFlags) wants(host, task string) bool {
	return (len(f.hosts) == 0 || slices.Contains(f.hosts, host)) && (len(f.tasks) == 0 || slices.Contains(f.tasks, task))
}

// known refuses names that the run does not have.
func known(what string, given []string, there map[string]bool) error {
	for _, name := range given {
		if there[name] {
			continue
		}
		err := fmt.Errorf("the run has no %s %q", what, name)
		if hint := source.DidYouMean(name, slices.Sorted(maps.Keys(there))); hint != "" {
			err = fmt.Errorf("%w: %s", err, hint)
		}
		return err
	}
	return nil
}

// printed fetches what the steps printed, where host and task are named.
func (f *showFlags) printed(c *journal.Contents, outcomes []runner.Outcome) error {
	if len(f.hosts) == 0 || len(f.tasks) == 0 {
		return nil
	}
	for i := range outcomes {
		var err error
		o := &outcomes[i]
		if o.Stdout, o.Stderr, err = c.Output(*o); err != nil {
			return fmt.Errorf("what %q printed on %s: %w", o.Name, o.Host, err)
		}
	}
	return nil
}

// shown is a run for programs.
func (f *showFlags) shown(c *journal.Contents, a render.Account) any {
	type output struct {
		runner.Outcome
		Stdout string `json:"stdout,omitempty"`
		Stderr string `json:"stderr,omitempty"`
	}
	outcomes := []output{}
	for _, o := range a.Outcomes {
		o.Value, o.Facts, o.Sealed = nil, nil, ""
		outcomes = append(outcomes, output{o, o.Stdout, o.Stderr})
	}
	return map[string]any{
		"run": c.Header.Run, "playbook": c.Header.Playbook, "who": c.Header.Who, "began": c.Header.At, "lives": len(c.Lives),
		"plan": c.Header.Plan, "ended": c.Ended(), "outcomes": outcomes, "unknown": a.Begun,
	}
}

// runLabels say what the run is.
func runLabels(p *project.Project, c *journal.Contents, o render.Options) ([]render.Label, error) {
	runs, err := p.Runs()
	if err != nil {
		return nil, err
	}
	h := c.Header
	labels := []render.Label{
		{Name: "run", Text: h.Run}, {Name: "playbook", Text: h.Playbook}, {Name: "plan", Text: h.Plan},
		{Name: "by", Text: h.Who}, {Name: "began", Text: render.When(h.At, o)},
	}
	var set settings
	if json.Unmarshal(h.Args, &set) == nil {
		labels = append(labels, render.Label{Name: "settings", Text: set.words()})
	}
	for _, life := range c.Lives {
		if r := life.Resumed; r != nil {
			labels = append(labels, render.Label{Name: "resumed", Text: render.When(r.At, o) + " by " + r.Who})
		}
	}
	for _, r := range runs {
		if r.ID == h.Run {
			labels = append(labels, render.Label{Name: "state", Text: r.State}, render.Label{Name: "hosts", Text: render.CountHosts(r.Recap).String()})
		}
	}
	return labels, nil
}

// aPlan says whether what is to be shown is a plan file. A name with a slash, or
// of a file, is no run.
func aPlan(what string) (bool, error) {
	info, err := os.Stat(what)
	switch {
	case what == "":
		return false, nil
	case err == nil && info.Mode().IsRegular():
		return true, nil
	case strings.ContainsRune(what, os.PathSeparator) && errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("there is no file %s", what)
	}
	return false, nil
}
