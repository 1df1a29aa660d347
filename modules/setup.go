package modules

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name:  "setup",
		Doc:   "Find out what kind of host this is",
		New:   func() Module { return &setup{GatherSubset: []string{"all"}, GatherTimeout: 10 * time.Second} },
		Facts: HostFacts,
	})
}

type setup struct {
	GatherSubset  []string      `arg:"gather_subset" doc:"Which groups of facts: all, min, hardware, network, virtual; with ! in front, which not."`
	Filter        []string      `arg:"filter" doc:"Patterns of the names that are kept, with or without ansible_."`
	GatherTimeout time.Duration `arg:"gather_timeout" doc:"How long it may take, in seconds."`
}

// setupGroups are the groups beside the smallest, min.
var setupGroups = []string{"hardware", "network", "virtual"}

func (m *setup) Validate() error {
	for _, group := range m.GatherSubset {
		name := strings.TrimPrefix(group, "!")
		if name != "all" && name != "min" && !slices.Contains(setupGroups, name) {
			return fmt.Errorf("gather_subset %q is not known; write all, min, %s, or one of them after !",
				group, strings.Join(setupGroups, ", "))
		}
	}
	for _, pattern := range m.Filter {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("filter %q is not a pattern: a bracket is never closed", pattern)
		}
	}
	return nil
}

// groups resolves gather_subset: what is named is added, what stands after ! is
// taken away, and where nothing is named to be added, all is.
func (m *setup) groups() []string {
	wanted := map[string]bool{}
	named := false
	for _, group := range m.GatherSubset {
		if !strings.HasPrefix(group, "!") {
			named = true
			wanted[group] = true
		}
	}
	for _, group := range setupGroups {
		wanted[group] = wanted[group] || wanted["all"] || !named
	}
	for _, group := range m.GatherSubset {
		switch name, not := strings.CutPrefix(group, "!"); {
		case not && name == "all":
			clear(wanted)
			for _, g := range m.GatherSubset {
				wanted[g] = true
			}
		case not:
			delete(wanted, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(setupGroups), func(g string) bool { return !wanted[g] })
}

//go:embed setup.sh
var setupScript string

func (m *setup) query() Run {
	return Run{
		Shell: "want=" + Quote(strings.Join(m.groups(), " ")) + "\n" + setupScript,
		Show:  "gather facts: " + strings.Join(append([]string{"min"}, m.groups()...), ", "),
		Limit: m.GatherTimeout,
	}
}

func (m *setup) Check(ctx context.Context, t Target) (Change, error) {
	out, err := t.Query(ctx, m.query())
	if err != nil {
		return Change{}, fmt.Errorf("gathering facts: %w", err)
	}
	if out.Code != 0 {
		return Change{}, fmt.Errorf("gathering facts: exit code %d: %s", out.Code, strings.TrimSpace(out.Stderr))
	}
	found := parseFindings(out.Stdout)
	facts := map[string]any{
		"ansible_env": found.env, "gather_subset": words(m.GatherSubset), "module_setup": true,
	}
	for _, part := range []map[string]any{
		found.platform(), found.distribution(), found.identity(), found.clock(), found.services(),
		found.hardware(), found.network(), found.virtualization(),
	} {
		maps.Copy(facts, part)
	}
	maps.DeleteFunc(facts, func(name string, _ any) bool { return !m.keeps(name) })
	return Change{Vars: map[string]any{"ansible_facts": facts}}, nil
}

func (m *setup) keeps(name string) bool {
	for _, pattern := range m.Filter {
		full, _ := path.Match(pattern, name) // Validate has looked at the error
		short, _ := path.Match(pattern, strings.TrimPrefix(name, "ansible_"))
		if full || short {
			return true
		}
	}
	return len(m.Filter) == 0
}

// findings are what setup.sh prints.
type findings struct {
	value      map[string]string
	env        map[string]any
	interfaces map[string]string // by name: address, mtu, state, and type if it is no plain one
}

func parseFindings(text string) findings {
	f := findings{value: map[string]string{}, env: map[string]any{}, interfaces: map[string]string{}}
	inEnv := false
	for _, record := range strings.Split(text, "\x00") {
		name, value, ok := strings.Cut(record, "=")
		device, isDevice := strings.CutPrefix(name, "interface ")
		switch {
		case !ok:
		case record == "env=begins", record == "env=ends":
			inEnv = record == "env=begins"
		case inEnv:
			f.env[name] = value
		case isDevice:
			f.interfaces[device] = value
		default:
			f.value[name] = value
		}
	}
	return f
}

// fields are the words of a value, at least n of them, empty where missing.
func (f findings) fields(name string, n int) []string {
	list := strings.Fields(f.value[name])
	for len(list) < n {
		list = append(list, "")
	}
	return list
}

// words is a list as variables hold it.
func words(list []string) []any {
	out := make([]any, len(list))
	for i, w := range list {
		out[i] = w
	}
	return out
}
