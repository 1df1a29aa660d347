// Package inventory knows the hosts: their groups, their variables, and which of
// them a pattern means. It reads Ansible's formats.
package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

const (
	all       = "all"
	ungrouped = "ungrouped"
)

// Inventory is hosts and groups. It does not change once it is loaded.
type Inventory struct {
	hosts  map[string]*Host
	groups map[string]*group
	order  []string            // of the groups, as they were first named
	of     map[string][]*group // of each host, in the order in which their variables win

	beside   []files // group_vars and host_vars beside the sources, in their order
	playbook files   // those beside the playbook

	read *source.Files // what all of it was read from
}

// Host is one machine to work on.
type Host struct {
	Name string
	// Implicit says that no inventory names the host: it is this machine, which
	// is always there.
	Implicit bool

	vars vars.Layer
}

type group struct {
	name     string
	hosts    []string
	has      map[string]bool // the hosts
	children []string
	vars     vars.Layer
	depth    int // the longest way from all
}

// files is what group_vars and host_vars of one directory hold, by name.
type files struct{ groups, hosts map[string]vars.Layer }

func empty() *Inventory {
	inv := &Inventory{hosts: map[string]*Host{}, groups: map[string]*group{}, read: &source.Files{}}
	inv.group(all)
	inv.group(ungrouped)
	return inv
}

// group finds a group, or adds it.
func (inv *Inventory) group(name string) *group {
	g := inv.groups[name]
	if g == nil {
		g = &group{name: name, has: map[string]bool{}, vars: vars.Layer{}}
		inv.groups[name] = g
		inv.order = append(inv.order, name)
	}
	return g
}

// host finds a host, or adds it.
func (inv *Inventory) host(name string) *Host {
	h := inv.hosts[name]
	if h == nil {
		h = &Host{Name: name, vars: vars.Layer{}}
		inv.hosts[name] = h
	}
	return h
}

// join puts a host into a group.
func (inv *Inventory) join(host, name string) {
	inv.host(host)
	if g := inv.group(name); !g.has[host] {
		g.has[host] = true
		g.hosts = append(g.hosts, host)
	}
}

// nest makes one group the child of another.
func (inv *Inventory) nest(child, parent string) {
	inv.group(child)
	if g := inv.group(parent); !slices.Contains(g.children, child) {
		g.children = append(g.children, child)
	}
}

// settle puts every group below all and every host without a group into
// ungrouped, and finds groups that contain themselves.
func (inv *Inventory) settle() source.Errors {
	nested := map[string]bool{}
	for _, g := range inv.groups {
		if g.name != all {
			for _, child := range g.children {
				nested[child] = true
			}
		}
	}
	top := inv.groups[all]
	listed := top.children
	top.children = []string{ungrouped}
	for _, name := range append(listed, inv.order...) {
		if name != all && !nested[name] && !slices.Contains(top.children, name) {
			top.children = append(top.children, name)
		}
	}
	inv.ungroup()
	if errs := inv.measure(); len(errs) > 0 {
		return errs
	}
	inv.rank()
	return nil
}

// ungroup keeps in ungrouped exactly the hosts that are in no other group.
func (inv *Inventory) ungroup() {
	grouped := map[string]bool{}
	candidates := slices.Concat(inv.groups[all].hosts, inv.groups[ungrouped].hosts)
	for _, g := range inv.groups {
		if g.name != all && g.name != ungrouped {
			for _, host := range g.hosts {
				grouped[host] = true
			}
		}
	}
	inv.groups[ungrouped].hosts, inv.groups[ungrouped].has = nil, map[string]bool{}
	for _, host := range candidates {
		if !grouped[host] {
			inv.join(host, ungrouped)
		}
	}
}

// measure finds how deep each group is. A way that is longer than there are
// groups goes round in a circle.
func (inv *Inventory) measure() source.Errors {
	for _, g := range inv.groups {
		g.depth = 0
	}
	for range len(inv.groups) + 1 {
		settled := true
		for _, name := range inv.order {
			g := inv.groups[name]
			for _, child := range g.children {
				if c := inv.groups[child]; c.depth <= g.depth {
					c.depth = g.depth + 1
					settled = false
				}
			}
		}
		if settled {
			return nil
		}
	}
	deepest := slices.MaxFunc(slices.Collect(maps.Values(inv.groups)), func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(b.name, a.name))
	})
	return source.Errors{(&source.Error{Msg: fmt.Sprintf("group %q contains itself", deepest.name)}).Try("look at the children of its groups")}
}

// members are the hosts of a group and of all groups below it, in the order they
// were written, the nearer groups first.
func (inv *Inventory) members(name string) []string {
	queue, seen := []string{name}, map[string]bool{name: true}
	var hosts []string
	listed := map[string]bool{}
	for len(queue) > 0 {
		g := inv.groups[queue[0]]
		queue = queue[1:]
		for _, host := range g.hosts {
			if !listed[host] {
				listed[host] = true
				hosts = append(hosts, host)
			}
		}
		for _, child := range g.children {
			if !seen[child] {
				seen[child] = true
				queue = append(queue, child)
			}
		}
	}
	return hosts
}

// Groups gives the hosts of every group by its name: what the variable groups
// holds.
func (inv *Inventory) Groups() map[string][]string {
	groups := make(map[string][]string, len(inv.groups))
	for name := range inv.groups {
		groups[name] = append([]string{}, inv.members(name)...)
	}
	return groups
}

// GroupNames lists the groups that a host is in, sorted, without all.
func (inv *Inventory) GroupNames(host string) []string {
	names := []string{}
	for _, g := range inv.groupsOf(host) {
		if g.name != all {
			names = append(names, g.name)
		}
	}
	slices.Sort(names)
	return names
}

// rank lists every host's groups in the order in which their variables win, the
// lowest first: by depth, by ansible_group_priority, by name.
func (inv *Inventory) rank() {
	inv.of = map[string][]*group{}
	ranked := slices.SortedFunc(maps.Values(inv.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.priority(), b.priority()), cmp.Compare(a.name, b.name))
	})
	for _, g := range ranked {
		for _, host := range inv.members(g.name) {
			inv.of[host] = append(inv.of[host], g)
		}
	}
}

// groupsOf is what rank found; a host that no inventory names is in all only.
func (inv *Inventory) groupsOf(host string) []*group {
	if groups := inv.of[host]; groups != nil {
		return groups
	}
	return []*group{inv.groups[all]}
}

// priority is what ansible_group_priority says; 1 where it says nothing.
func (g *group) priority() int64 {
	v, given := g.vars["ansible_group_priority"]
	if !given {
		return 1
	}
	if n, ok := jinja.ToGo(v).(int64); ok {
		return n
	}
	return 1
}

// Layers gives a host's variables, each level in its own layer, the lowest
// first: of the groups in the inventory, group_vars/all beside the inventory and
// beside the playbook, the other group_vars, the host's own, and host_vars. A
// host that no inventory names has the variables of all.
func (inv *Inventory) Layers(host string) []vars.Layer {
	groups := inv.groupsOf(host)
	var layers []vars.Layer
	add := func(layer vars.Layer) {
		if len(layer) > 0 {
			layers = append(layers, layer)
		}
	}
	places := slices.Concat(inv.beside, []files{inv.playbook})
	for _, g := range groups {
		add(g.vars)
	}
	for _, f := range places {
		add(f.groups[all])
	}
	for _, f := range places {
		for _, g := range groups {
			if g.name != all {
				add(f.groups[g.name])
			}
		}
	}
	if h := inv.hosts[host]; h != nil {
		add(h.vars)
	} else if isHere(host) {
		add(vars.Layer{"ansible_connection": jinja.FromGo("local")})
	}
	for _, f := range places {
		add(f.hosts[host])
	}
	return layers
}

// Beside is the inventory with the group_vars and host_vars that stand in the
// playbook's directory.
func (inv *Inventory) Beside(dir string) (*Inventory, source.Errors) {
	with := *inv
	with.read = inv.read.Clone()
	var errs source.Errors
	with.playbook, errs = with.readFiles(dir)
	return &with, errs
}

// readFiles reads group_vars and host_vars of a directory for every group and
// host that is known.
func (inv *Inventory) readFiles(dir string) (files, source.Errors) {
	f := files{groups: map[string]vars.Layer{}, hosts: map[string]vars.Layer{}}
	var errs source.Errors
	read := func(into map[string]vars.Layer, kind string, names []string) {
		dir := filepath.Join(dir, kind)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return
		}
		for _, name := range names {
			layer, mistakes := vars.Beside(inv.read, dir, name)
			errs = append(errs, mistakes...)
			into[name] = layer
		}
	}
	read(f.groups, "group_vars", slices.Sorted(maps.Keys(inv.groups)))
	hosts := slices.AppendSeq([]string{localhost}, maps.Keys(inv.hosts))
	slices.Sort(hosts)
	read(f.hosts, "host_vars", slices.Compact(hosts))
	return f, errs
}
