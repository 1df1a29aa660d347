package inventory

import (
	"encoding/json"
	"maps"
	"slices"

	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// Account is what an inventory came to, in bytes that are equal where the
// inventories are: whether a file, a script or the command line said so.
type Account struct {
	Groups []byte            // JSON: every group with its members, children and variables, and the order of the hosts
	Hosts  map[string][]byte // JSON by host: its groups, and its variables as written, the winning ones
}

// Account tells what the inventory holds. This machine is among the hosts even
// where no inventory names it: plays can have it all the same. An error says
// which variable has no form in JSON.
func (inv *Inventory) Account() (Account, error) {
	groups, err := inv.groupsAccount()
	if err != nil {
		return Account{}, err
	}
	a := Account{Groups: groups, Hosts: make(map[string][]byte, len(inv.hosts)+1)}
	for _, name := range append(slices.Collect(maps.Keys(inv.hosts)), localhost) {
		if a.Hosts[name], err = inv.hostAccount(name); err != nil {
			return Account{}, err
		}
	}
	return a, nil
}

// Files are those that the inventory was read from, so far: a file of --limit is
// read when hosts are selected. What scripts are made of is not among them; what
// they answered is in the Account.
func (inv *Inventory) Files() []source.Kept { return inv.read.All() }

func (inv *Inventory) groupsAccount() ([]byte, error) {
	type told struct {
		Hosts    []string        `json:"hosts,omitempty"`
		Children []string        `json:"children,omitempty"`
		Vars     json.RawMessage `json:"vars"`
	}
	groups := make(map[string]told, len(inv.groups))
	for name, g := range inv.groups {
		encoded, err := vars.Encode(g.vars)
		if err != nil {
			return nil, err
		}
		groups[name] = told{g.hosts, g.children, encoded}
	}
	return json.Marshal(map[string]any{"groups": groups, "hosts": inv.members(all)})
}

func (inv *Inventory) hostAccount(name string) ([]byte, error) {
	merged := vars.Layer{}
	for _, layer := range inv.Layers(name) {
		maps.Copy(merged, layer)
	}
	encoded, err := vars.Encode(merged)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"groups": inv.GroupNames(name), "vars": json.RawMessage(encoded)})
}
