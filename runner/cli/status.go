package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/project"
	"runbook/runner/render"
	"runbook/runner/source"
)

func newStatus(env *Env) *cobra.Command {
	var s state
	var v view
	cmd := &cobra.Command{
		Use:   "status [HOST...]",
		Short: "Say what each host was last found to be, by which run, and what is pending",
		RunE: func(_ *cobra.Command, hosts []string) error {
			if err := v.validate(); err != nil {
				return err
			}
			known, err := s.known()
			if err != nil {
				return err
			}
			if len(hosts) > 0 {
				if known, err = only(known, hosts); err != nil {
					return err
				}
			}
			for _, notice := range known.Notices {
				fmt.Fprintln(env.Stderr, "runbook:", notice)
			}
			if v.output == "json" {
				return asJSON(env.Stdout, map[string]any{"hosts": statusRows(known), "pending": append([]runner.Notification{}, known.Pending...)})
			}
			return statusText(env, known, v, len(hosts) > 0)
		},
	}
	s.register(cmd)
	v.registerOutput(cmd, "text, or json")
	return cmd
}

// known is what all runs say together; nothing where there is no project yet.
func (s *state) known() (*project.State, error) {
	p, err := s.look()
	if p == nil || err != nil {
		return &project.State{}, err
	}
	return p.State()
}

// only is what is known of some hosts. A host that nobody has seen is a mistake.
func only(known *project.State, hosts []string) (*project.State, error) {
	some := &project.State{Hosts: map[string]project.Host{}, Notices: known.Notices}
	for _, name := range hosts {
		h, ok := known.Hosts[name]
		if !ok {
			err := fmt.Errorf("no run has seen a host %q", name)
			if hint := source.DidYouMean(name, slices.Sorted(maps.Keys(known.Hosts))); hint != "" {
				err = fmt.Errorf("%w: %s", err, hint)
			}
			return nil, err
		}
		some.Hosts[name] = h
	}
	for _, n := range known.Pending {
		if _, ok := some.Hosts[n.Host]; ok {
			some.Pending = append(some.Pending, n)
		}
	}
	return some, nil
}

func statusRows(known *project.State) []render.StatusRow {
	rows := []render.StatusRow{}
	for _, name := range slices.Sorted(maps.Keys(known.Hosts)) {
		h := known.Hosts[name]
		rows = append(rows, render.StatusRow{
			Host: name, Found: string(h.Status), OK: h.Recap.OK, Changed: h.Recap.Changed, Failed: h.Recap.Failed,
			Unreachable: h.Recap.Unreachable, At: h.At, Run: h.Run, Playbook: h.Playbook,
		})
	}
	return rows
}

// statusText is the table, and with named hosts why they failed.
func statusText(env *Env, known *project.State, v view, why bool) error {
	o := v.options(env)
	if err := render.Status(env.Stdout, statusRows(known), known.Pending, o); err != nil && !unread(err) {
		return err
	}
	if !why {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(known.Hosts)) {
		h := known.Hosts[name]
		if h.Status != runner.Failed && h.Status != runner.Unreachable {
			continue
		}
		fmt.Fprintln(env.Stdout)
		labels := []render.Label{{Name: "host", Text: name}, {Name: "failed", Text: h.Task}, {Name: "at", Text: h.Pos}, {Name: "because", Text: cmp.Or(h.Msg, "the task did not say why")}}
		if err := render.Heading(env.Stdout, labels, o); !unread(err) {
			return err
		}
	}
	return nil
}
