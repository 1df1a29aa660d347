package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/runner/source"
)

func newValidate(env *Env) *cobra.Command {
	var inventories []string
	cmd := &cobra.Command{
		Use:   "validate PLAYBOOK...",
		Short: "Report every mistake in playbooks and inventories; contact no host",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all source.Errors
			for _, path := range args {
				_, errs := playbooks.Load(path)
				all = append(all, errs...)
			}
			if len(inventories) > 0 {
				_, errs := inventory.Load(cmd.Context(), inventories)
				all = append(all, errs...)
			}
			if err := all.Err(); err != nil {
				return err
			}
			fmt.Fprintf(env.Stdout, "%d without mistakes\n", len(args)+len(inventories))
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&inventories, "inventory", "i", nil, "inventory `file`, directory or list; may be repeated")
	return cmd
}
