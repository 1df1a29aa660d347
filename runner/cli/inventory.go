package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"runbook/inventory"
	"runbook/playbooks/jinja"
)

func newInventory(env *Env) *cobra.Command {
	var sources []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inventory [PATTERN]",
		Short: "Show the hosts, groups and variables that inventories give",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(sources) == 0 {
				sources = []string{"inventory/nodes.yaml"}
			}
			inv, errs := inventory.Load(cmd.Context(), sources)
			if err := errs.Err(); err != nil {
				return err
			}
			pattern := "all"
			if len(args) == 1 {
				pattern = args[0]
			}
			hosts, err := inv.Select(pattern)
			if err != nil {
				return err
			}
			if asJSON {
				return inventoryJSON(env.Stdout, inv, hosts)
			}
			return inventoryText(env.Stdout, inv, hosts)
		},
	}
	cmd.Flags().StringArrayVarP(&sources, "inventory", "i", nil, "inventory `file`, directory or list; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, in the form of Ansible's dynamic inventories")
	return cmd
}

// hostVars are a host's variables as written, templates and all.
func hostVars(inv *inventory.Inventory, host string) map[string]any {
	vars := map[string]any{}
	for _, layer := range inv.Layers(host) {
		for name, v := range layer {
			vars[name] = jinja.ToGo(v)
		}
	}
	for name := range vars {
		if secretName(name) {
			vars[name] = "********"
		}
	}
	return vars
}

// secretName says whether a variable is a password by its name.
func secretName(name string) bool {
	for _, word := range []string{"password", "passwd", "_pass", "secret", "token"} {
		if strings.Contains(strings.ToLower(name), word) {
			return true
		}
	}
	return false
}

func inventoryText(out io.Writer, inv *inventory.Inventory, hosts []*inventory.Host) error {
	for _, h := range hosts {
		groups := inv.GroupNames(h.Name)
		if _, err := fmt.Fprintf(out, "%s  (%s)\n", h.Name, strings.Join(groups, ", ")); err != nil {
			return err
		}
		vars := hostVars(inv, h.Name)
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			text, err := json.Marshal(vars[name])
			if err != nil {
				return fmt.Errorf("%s of %s: %w", name, h.Name, err)
			}
			fmt.Fprintf(out, "    %s: %s\n", name, text)
		}
	}
	return nil
}

func inventoryJSON(out io.Writer, inv *inventory.Inventory, hosts []*inventory.Host) error {
	chosen, vars := map[string]bool{}, map[string]any{}
	for _, h := range hosts {
		chosen[h.Name], vars[h.Name] = true, hostVars(inv, h.Name)
	}
	all := map[string]any{"_meta": map[string]any{"hostvars": vars}}
	for group, members := range inv.Groups() {
		in := []string{}
		for _, name := range members {
			if chosen[name] {
				in = append(in, name)
			}
		}
		all[group] = map[string]any{"hosts": in}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}
