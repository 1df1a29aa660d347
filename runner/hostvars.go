package runner

import (
	"slices"
	"sync"

	"runbook/playbooks/jinja"
)

// hostvarsDepth is how many times a variable may go through hostvars to one that
// goes through hostvars again. A circle has to end somewhere: the variable that
// goes further is undefined.
const hostvarsDepth = 3

// everywhere are names that mean the same for every host. They are not repeated
// in hostvars: lists of all hosts, once for each host, would be quadratic.
var everywhere = []string{"hostvars", "groups", "play_hosts", "ansible_play_batch", "ansible_play_hosts",
	"ansible_play_hosts_all", "ansible_check_mode", "ansible_limit", "playbook_dir", "runbook_run", "omit"}

// hostvars is every host's variables, made when a task first asks for them and
// kept until a result changes them. The zero hostvars is ready.
type hostvars struct {
	levels [hostvarsDepth]struct {
		mu  sync.Mutex
		all jinja.Value
	}
}

// forget is called between tasks, when results are recorded; while a task is at
// work on its hosts, nothing that hostvars shows changes.
func (v *hostvars) forget() {
	for i := range v.levels {
		level := &v.levels[i]
		level.mu.Lock()
		level.all = nil
		level.mu.Unlock()
	}
}

// hostvars is every host's variables, as one asks for them from within depth
// others.
func (p *play) hostvars(depth int) (jinja.Value, bool) {
	if depth >= hostvarsDepth {
		return nil, false
	}
	level := &p.others.levels[depth]
	level.mu.Lock()
	defer level.mu.Unlock()
	if level.all == nil {
		all := &jinja.Dict{Settled: true} // varsOf has rendered all there is
		for _, name := range p.run.everyone {
			all.Set(name, jinja.FromGo(p.varsOf(p.run.stranger(name), depth)))
		}
		level.all = all
	}
	return level.all, true
}

// varsOf is a host's variables, rendered in that host's own scope. A variable
// that cannot be rendered there is left out, as undefined.
func (p *play) varsOf(h *host, depth int) map[string]any {
	s := p.scopeAt(h, nil, depth+1)
	vars := map[string]any{}
	for _, name := range s.Names() {
		if slices.Contains(everywhere, name) {
			continue
		}
		v, ok := s.Lookup(name)
		if !ok {
			continue
		}
		if v, err := jinja.Resolve(v, s); err == nil {
			vars[name] = v
		}
	}
	return vars
}
