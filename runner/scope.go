package runner

import (
	"sort"
	"strings"

	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// scope is what one task on one host sees: layers of variables, lowest first,
// under the names that the engine itself gives a meaning.
type scope struct {
	layers []playbooks.Layer
	magic  func(name string) (jinja.Value, bool)
	names  []string // that magic knows
}

var _ jinja.Scope = (*scope)(nil)

func (s *scope) Lookup(name string) (jinja.Value, bool) {
	if v, ok := s.magic(name); ok {
		return v, true
	}
	for i := len(s.layers) - 1; i >= 0; i-- {
		if v, ok := s.layers[i][name]; ok {
			return v, true
		}
	}
	return nil, false
}

// Names lists what can be looked up, for suggestions.
func (s *scope) Names() []string {
	seen := map[string]bool{}
	for _, name := range s.names {
		seen[name] = true
	}
	for _, l := range s.layers {
		for name := range l {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// with is the scope under one more layer.
func (s *scope) with(l playbooks.Layer) *scope {
	layers := append(s.layers[:len(s.layers):len(s.layers)], l)
	return &scope{layers: layers, magic: s.magic, names: s.names}
}

// scope stacks a host's variables for one task: the inventory's, facts, the
// play's, the task's, what earlier tasks have set, and -e.
func (p *play) scope(h *host, own []playbooks.Layer) *scope {
	return p.scopeAt(h, own, 0)
}

// scopeAt is the scope of a variable that is asked for through depth hostvars.
func (p *play) scopeAt(h *host, own []playbooks.Layer, depth int) *scope {
	layers := p.run.inventory.Layers(h.name)
	layers = append(layers, h.facts)
	layers = append(layers, p.play.Vars...)
	layers = append(layers, own...)
	layers = append(layers, h.set, p.run.extra)
	s := &scope{layers: layers}
	s.names = []string{"inventory_hostname", "inventory_hostname_short", "group_names", "groups", "hostvars",
		"play_hosts", "ansible_play_batch", "ansible_play_hosts", "ansible_play_hosts_all", "ansible_check_mode",
		"ansible_facts", "ansible_limit", "playbook_dir", "runbook_run", "omit"}
	s.magic = func(name string) (jinja.Value, bool) { return p.magic(h, name, depth) }
	return s
}

// outside is what the play itself sees, before it has hosts: its variables, -e, the
// groups, and what earlier plays know of hosts.
func (p *play) outside() *scope {
	layers := append(p.play.Vars[:len(p.play.Vars):len(p.play.Vars)], p.run.extra)
	magic := func(name string) (jinja.Value, bool) {
		switch name {
		case "groups":
			return jinja.FromGo(p.run.inventory.Groups()), true
		case "hostvars":
			return p.hostvars(0)
		}
		return nil, false
	}
	return &scope{layers: layers, magic: magic, names: []string{"groups", "hostvars"}}
}

func (p *play) magic(h *host, name string, depth int) (jinja.Value, bool) {
	switch name {
	case "inventory_hostname":
		return jinja.FromGo(h.name), true
	case "inventory_hostname_short":
		short, _, _ := strings.Cut(h.name, ".")
		return jinja.FromGo(short), true
	case "group_names":
		return jinja.FromGo(p.run.inventory.GroupNames(h.name)), true
	case "groups":
		return jinja.FromGo(p.run.inventory.Groups()), true
	case "hostvars":
		return p.hostvars(depth)
	case "play_hosts", "ansible_play_batch":
		return jinja.FromGo(names(p.batch, (*host).going)), true
	case "ansible_play_hosts":
		return jinja.FromGo(names(p.all, (*host).going)), true
	case "ansible_play_hosts_all":
		return jinja.FromGo(names(p.all, nil)), true
	case "ansible_check_mode":
		return jinja.FromGo(p.run.Plan), true
	case "ansible_facts":
		return factsOf(h.facts), true
	case "ansible_limit":
		return jinja.FromGo(p.run.Limit), p.run.Limit != ""
	case "playbook_dir":
		return jinja.FromGo(p.run.book.Dir), true
	case "runbook_run":
		return p.run.id()
	case "omit":
		return jinja.Omit, true
	}
	return nil, false
}

// id is the run's name, the same in all its lives. A plan is not the run that
// will carry it out.
func (rn *run) id() (jinja.Value, bool) {
	if rn.Plan {
		return jinja.Unknown{Reason: "the run's name"}, true
	}
	return jinja.FromGo(rn.Holder.Run), rn.Holder.Run != ""
}

// name is the run's, as modules see it.
func (rn *run) name() modules.RunName {
	return modules.RunName{ID: rn.Holder.Run, Life: rn.Holder.Session, Who: rn.Holder.Who}
}

// factsOf is the facts without their prefix, as ansible_facts has them.
func factsOf(facts playbooks.Layer) jinja.Value {
	bare := map[string]any{}
	for name, v := range facts {
		bare[strings.TrimPrefix(name, "ansible_")] = v
	}
	return jinja.FromGo(bare)
}

func names(hosts []*host, keep func(*host) bool) []string {
	var out []string
	for _, h := range hosts {
		if keep == nil || keep(h) {
			out = append(out, h.name)
		}
	}
	return out
}
