package cli

import (
	"context"
	"encoding/json"

	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/project"
	"runbook/runner/render"
)

func newRuns(env *Env) *cobra.Command {
	var s state
	var v view
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of this project, the newest last",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := v.validate(); err != nil {
				return err
			}
			rows, err := s.rows()
			if err != nil {
				return err
			}
			if v.output == "json" {
				return asJSON(env.Stdout, rows)
			}
			if err := render.Runs(env.Stdout, rows, v.options(env)); err != nil {
				return readable(err)
			}
			return s.owed(env, v)
		},
	}
	s.register(cmd)
	v.registerOutput(cmd, "text, or json for a list of objects")
	cmd.AddCommand(newPrune(env), newDrop(env))
	return cmd
}

// rows are the runs as the table has them; none where there is no project yet.
func (s *state) rows() ([]render.RunRow, error) {
	rows := []render.RunRow{}
	p, err := s.look()
	if p == nil || err != nil {
		return rows, err
	}
	runs, err := p.Runs()
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		row := render.RunRow{
			ID: r.ID, Playbook: r.Header.Playbook, Who: r.Header.Who, Began: r.Began, Last: r.Last,
			State: r.State, Lives: r.Lives, Hosts: render.CountHosts(r.Recap), Pending: r.Pending,
		}
		if r.Damage != nil {
			row.Damage = r.Damage.Error()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// owed shows the handlers that are pending, as a run does that takes them over.
func (s *state) owed(env *Env, v view) error {
	known, err := s.known()
	if err != nil || len(known.Pending) == 0 {
		return err
	}
	t := render.NewTerminal(env.Stdout, v.options(env))
	t.Event(runner.RunStarted{Pending: known.Pending})
	return readable(t.Err())
}

func newPrune(env *Env) *cobra.Command {
	var s state
	var keep int
	var older time.Duration
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove the records of old runs that are over",
		Long: `Remove the records of old runs that are over. A run that can be resumed stays,
and so do the handlers that are pending and what is known of the hosts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("keep") && older == 0 {
				keep = defaultKeep
			}
			var before time.Time
			if older > 0 {
				before = time.Now().Add(-older)
			}
			return s.locked(cmd.Context(), env, func(p *project.Project) error {
				gone, err := p.Prune(keep, before, dry)
				did := "removed"
				if dry {
					did = "would remove"
				}
				for _, id := range gone {
					fmt.Fprintln(env.Stdout, did, id)
				}
				if err == nil && len(gone) == 0 {
					fmt.Fprintln(env.Stdout, "nothing to remove")
				}
				return err
			})
		},
	}
	s.register(cmd)
	s.registerPatience(cmd)
	cmd.Flags().IntVar(&keep, "keep", 0, "keep the newest `N` runs; 50 where neither this nor --older-than is given")
	cmd.Flags().DurationVar(&older, "older-than", 0, "only runs that ended so long ago: 720h")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be removed")
	return cmd
}

const defaultKeep = 50

func newDrop(env *Env) *cobra.Command {
	var s state
	var hosts []string
	cmd := &cobra.Command{
		Use:   "drop HANDLER",
		Short: "Forget a handler that is pending: no run will run it any more",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.locked(cmd.Context(), env, func(p *project.Project) error {
				dropped, err := p.Drop(args[0], hosts, who(env))
				for _, n := range dropped {
					fmt.Fprintf(env.Stdout, "dropped: %s on %s (notified by %q in run %s)\n", n.Handler, n.Host, n.By, n.Run)
				}
				return err
			})
		},
	}
	s.register(cmd)
	s.registerPatience(cmd)
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "only on these `hosts`")
	return cmd
}

// locked does something to the project that no run may do at the same time.
func (s *state) locked(ctx context.Context, env *Env, do func(*project.Project) error) error {
	p, err := s.need()
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, env, p)
	if err != nil {
		return err
	}
	defer unlock()
	return do(p)
}

// completeRuns offers the ids of runs.
func completeRuns(s *state) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		rows, err := s.rows()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

func asJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); !unread(err) {
		return err
	}
	return nil
}
