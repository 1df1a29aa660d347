package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/playbooks/vars"
)

// input is everything that the user wrote, without mistakes.
type input struct {
	book      *playbooks.Playbook
	inventory *inventory.Inventory
	extra     vars.Layer
}

// load reads everything that the settings name and reports all mistakes
// together. It completes the settings: with the working directory, and with the
// inventory that was found where none is named.
func (s *settings) load(ctx context.Context) (*input, error) {
	if s.Dir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		s.Dir = dir
	}
	if len(s.Inventories) == 0 {
		found, err := nearby(s.Playbook)
		if err != nil {
			return nil, err
		}
		s.Inventories = []string{found}
	}
	var in input
	book, all := playbooks.Load(s.Playbook)
	inv, errs := inventory.Load(ctx, s.Inventories)
	all = append(all, errs...)
	if book != nil && inv != nil {
		inv, errs = inv.Beside(book.Dir)
		all = append(all, errs...)
	}
	in.extra, errs = vars.Extra(s.Extra)
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
