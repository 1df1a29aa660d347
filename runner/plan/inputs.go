package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// Inputs are all that a run is computed from.
type Inputs struct {
	Playbook  string          `json:"playbook"`
	Version   string          `json:"version"`         // of the program
	Files     []Input         `json:"files"`           // of the controller, by name: relative to the project's directory where they lie below it
	Inventory string          `json:"inventory"`       // a digest of what the inventory came to: groups, the order of the hosts, and all variables
	Hosts     []Input         `json:"hosts"`           // what the inventory came to for each, as JSON
	Extra     []Input         `json:"extra,omitempty"` // the variables of -e, as JSON, wherever -e had them from
	Settings  json.RawMessage `json:"settings,omitempty"`

	dir string
	key Key
}

// Input is one thing that went into a run.
type Input struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`         // with the project's key
	Data   []byte `json:"data,omitempty"` // not of files bigger than 1 MiB: their digest must do
}

// biggest is how much of one file a plan keeps: enough for whatever people
// write, not for a package that a task copies.
const biggest = 1 << 20

// Gather puts together what a run is computed from. Dir is the project's
// directory. Files that tasks read are known where the task names them plainly;
// those that a template names are known when the run has read them. So a plan
// gathers when it is over; whoever compares gathers before anything runs
// (Inputs.Since).
//
// Settings are kept, and they have no digest: who goes on with a plan or a run
// goes on with its settings.
func Gather(dir string, book *playbooks.Playbook, inv *inventory.Inventory, extra vars.Layer, settings json.RawMessage, key Key) (Inputs, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Inputs{}, err
	}
	in := Inputs{Version: Version(), Settings: settings, dir: dir, key: key}
	in.Playbook = in.name(source.Carried + book.Path)
	if _, err := os.Stat(book.Path); err == nil {
		in.Playbook = in.name(book.Path)
	}
	for _, k := range merged(book.Files(), inv.Files()) {
		if err := in.file(k); err != nil {
			return Inputs{}, err
		}
	}
	if err := in.hosts(inv); err != nil {
		return Inputs{}, fmt.Errorf("inventory: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		data, err := vars.Encode(vars.Layer{name: extra[name]})
		if err != nil {
			return Inputs{}, fmt.Errorf("-e: %w", err)
		}
		in.Extra = append(in.Extra, in.input(name, data))
	}
	return in, nil
}

// merged is every file once, in the order of their paths.
func merged(lists ...[]source.Kept) []source.Kept {
	var all source.Files
	for _, k := range slices.Concat(lists...) {
		all.Keep(k)
	}
	return all.All()
}

func (in *Inputs) input(name string, data []byte) Input {
	i := Input{Name: name, Digest: in.key.Digest(data)}
	if len(data) <= biggest {
		i.Data = data
	}
	return i
}

// file adds one file.
func (in *Inputs) file(k source.Kept) error {
	name := in.name(k.Path)
	if k.Unsteady {
		return fmt.Errorf("%s changed while it was being read: begin again", name)
	}
	if k.Unread {
		var err error
		if k.Data, err = read(k.Path); err != nil {
			return err
		}
	}
	in.Files = append(in.Files, in.input(name, k.Data))
	return nil
}

// hosts adds what the inventory came to.
func (in *Inputs) hosts(inv *inventory.Inventory) error {
	account, err := inv.Account()
	if err != nil {
		return err
	}
	all := [][]byte{account.Groups}
	for _, name := range slices.Sorted(maps.Keys(account.Hosts)) {
		data := account.Hosts[name]
		in.Hosts = append(in.Hosts, in.input(name, data))
		all = append(all, []byte(name), data)
	}
	whole, err := json.Marshal(all)
	if err != nil {
		return err
	}
	in.Inventory = in.key.Digest(whole)
	return nil
}

// name is a path as people know it: from the project's directory, where it lies
// below that.
func (in *Inputs) name(path string) string {
	if strings.HasPrefix(path, source.Carried) {
		return path
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(in.dir, absolute); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return absolute
}

// Version is that of the program: "(devel)" or empty where the build says none.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

// sameMajor reports whether two versions of the program understand each other's
// plans. Builds without a version are taken at their word.
func sameMajor(a, b string) bool {
	major := func(v string) string {
		if !strings.HasPrefix(v, "v") {
			return ""
		}
		number, _, _ := strings.Cut(v, ".")
		return number
	}
	return major(a) == "" || major(b) == "" || major(a) == major(b)
}
