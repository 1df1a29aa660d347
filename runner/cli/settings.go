package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"runbook/runner"
)

// settings are what a run is started with and what its resumption, and the
// apply of its plan, start with again. A password is never among them.
type settings struct {
	Dir         string   `json:"dir"`      // the working directory that the paths are relative to
	Playbook    string   `json:"playbook"` // as it was written
	Inventories []string `json:"inventories,omitempty"`
	Limit       string   `json:"limit,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Skip        []string `json:"skip_tags,omitempty"`
	Forks       int      `json:"forks,omitempty"`
	User        string   `json:"user,omitempty"`
	Key         string   `json:"private_key,omitempty"`
	Become      bool     `json:"become,omitempty"`
	AskPassword bool     `json:"ask_become_pass,omitempty"`
	Replan      bool     `json:"replan,omitempty"` // --on-drift=replan

	// The variables of -e. They may be secrets: a journal has them sealed.
	Extra  []string `json:"extra_vars,omitempty"`
	Sealed string   `json:"sealed,omitempty"`
}

// register makes flags of the settings.
func (s *settings) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVarP(&s.Inventories, "inventory", "i", nil, "inventory `file`, directory or list \"host1,host2,\"; may be repeated")
	fs.StringVarP(&s.Limit, "limit", "l", "", "only the hosts of this `pattern`")
	fs.StringArrayVarP(&s.Extra, "extra-vars", "e", nil, "variables: key=value, JSON, YAML or @`file`; may be repeated")
	fs.StringSliceVarP(&s.Tags, "tags", "t", nil, "only tasks with one of these `tags`")
	fs.StringSliceVar(&s.Skip, "skip-tags", nil, "no task with one of these `tags`")
	fs.StringVarP(&s.User, "user", "u", "", "connect as this `user`")
	fs.StringVar(&s.Key, "private-key", "", "connect with this key `file`")
	fs.BoolVarP(&s.Become, "become", "b", false, "act as another user, root unless said otherwise")
	s.registerPace(cmd)
}

// registerPace makes flags of what may be another in each life of a run.
func (s *settings) registerPace(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&s.Forks, "forks", "f", 0, "how many hosts at once, 32 unless given")
	cmd.Flags().BoolVarP(&s.AskPassword, "ask-become-pass", "K", false, "ask for the password that becoming another user takes")
}

// signedFlags are the flags whose values a plan file holds: beside one they
// would say something else than what was reviewed.
var signedFlags = []string{"inventory", "limit", "extra-vars", "tags", "skip-tags", "user", "private-key", "become", "check"}

// refuseBesidePlan is the error of flags that a plan file has answered already.
func refuseBesidePlan(cmd *cobra.Command, file string) error {
	var given []string
	for _, name := range signedFlags {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			given = append(given, "--"+name)
		}
	}
	if given == nil {
		return nil
	}
	return fmt.Errorf("%s is a plan, and %s would change what it says: leave it out, or plan again with it: runbook plan PLAYBOOK %s ... -o FILE",
		file, strings.Join(given, " and "), given[0])
}

// seal is the settings as a journal may have them.
func (s settings) seal(key runner.Seal) (json.RawMessage, error) {
	if len(s.Extra) > 0 {
		plain, err := json.Marshal(s.Extra)
		if err != nil {
			return nil, err
		}
		if s.Sealed, err = key.Seal(plain); err != nil {
			return nil, err
		}
		s.Extra = nil
	}
	return json.Marshal(s)
}

// unseal reads what seal wrote.
func unseal(data json.RawMessage, key runner.Seal) (settings, error) {
	var s settings
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("the settings of the run: %w", err)
	}
	if s.Sealed == "" {
		return s, nil
	}
	plain, err := key.Open(s.Sealed)
	if err != nil {
		return s, fmt.Errorf("the variables of -e: %w", err)
	}
	s.Sealed = ""
	if err := json.Unmarshal(plain, &s.Extra); err != nil {
		return s, fmt.Errorf("the variables of -e: %w", err)
	}
	return s, nil
}

// from is the settings as they would be written in another working directory.
func (s settings) from(dir string) settings {
	if dir == s.Dir {
		return s
	}
	s.Playbook = s.path(dir, s.Playbook)
	s.Inventories, s.Extra = slices.Clone(s.Inventories), slices.Clone(s.Extra)
	for i, source := range s.Inventories {
		s.Inventories[i] = s.path(dir, source)
	}
	for i, arg := range s.Extra {
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			s.Extra[i] = "@" + s.path(dir, file)
		}
	}
	if file, ok := strings.CutPrefix(s.Limit, "@"); ok {
		s.Limit = "@" + s.path(dir, file)
	}
	if s.Key != "" && !strings.HasPrefix(s.Key, "~") {
		s.Key = s.path(dir, s.Key)
	}
	s.Dir = dir
	return s
}

// path is a path of the settings as seen from another directory. What is not a
// file stays as it is: a list of hosts, a playbook that the program carries.
func (s settings) path(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	whole := filepath.Join(s.Dir, path)
	if _, err := os.Lstat(whole); err != nil {
		return path
	}
	if near, err := filepath.Rel(dir, whole); err == nil && filepath.IsLocal(near) {
		return near
	}
	return whole
}

// playbookName is the name by which runs and notifications know a playbook: its
// path from the project's directory, the same from wherever it was started.
func playbookName(root, path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if _, err := os.Stat(whole); err != nil { // one that the program carries
		return "playbooks/" + strings.TrimSuffix(filepath.Base(path), ".yaml") + ".yaml"
	}
	if name, err := filepath.Rel(root, whole); err == nil && filepath.IsLocal(name) {
		return filepath.ToSlash(name)
	}
	return whole
}
