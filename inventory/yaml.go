package inventory

import (
	"maps"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// yaml reads Ansible's YAML format: group: {hosts: , vars: , children: }.
func (l *loader) yaml(f *source.File) {
	n, errs := source.Parse(f)
	l.errs = append(l.errs, errs...)
	if len(errs) > 0 {
		return
	}
	y := yamlReader{loader: l, file: f}
	if n.Kind != yaml.MappingNode {
		y.fail(n, 1, "an inventory is a mapping of groups, found %s", source.Kind(n)).Try(`start with "all:"`)
		return
	}
	for key, value := range source.Pairs(n) {
		if key.Value == "plugin" {
			y.fail(key, len(key.Value), "inventory plugins are not supported").Try("write a script that prints the inventory")
			return
		}
		y.group(key, value)
	}
}

type yamlReader struct {
	*loader
	file *source.File
}

func (y *yamlReader) fail(n *yaml.Node, length int, format string, args ...any) *source.Error {
	e := y.file.Pos(n).Errorf(length, format, args...)
	y.errs = append(y.errs, e)
	return e
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && source.Scalar(n) == nil }

// group reads one group with all that is below it.
func (y *yamlReader) group(key, n *yaml.Node) {
	if !groupName.MatchString(key.Value) {
		y.fail(key, len(key.Value), "%q cannot be the name of a group", key.Value).Try("use letters, digits and underscores")
		return
	}
	g := y.inv.group(key.Value)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.fail(n, 1, "group %q must be a mapping with hosts, vars or children, found %s", key.Value, source.Kind(n))
		return
	}
	for name, value := range source.Pairs(n) {
		switch name.Value {
		case "hosts":
			y.members(g, value)
		case "vars":
			maps.Copy(g.vars, y.variables(value))
		case "children":
			y.children(g, value)
		default:
			y.fail(name, len(name.Value), "unknown key %q in group %q; want hosts, vars or children", name.Value, key.Value).
				Try("%s", source.DidYouMean(name.Value, []string{"hosts", "vars", "children"}))
		}
	}
}

func (y *yamlReader) members(g *group, n *yaml.Node) {
	switch {
	case isNull(n):
		return
	case n.Kind == yaml.ScalarNode:
		y.hosts(y.file.Pos(n), n.Value, g.name)
		return
	case n.Kind != yaml.MappingNode:
		y.fail(n, 1, "the hosts of group %q must be a mapping, found %s", g.name, source.Kind(n)).Try(`write each as "name:"`)
		return
	}
	for key, value := range source.Pairs(n) {
		names := y.hosts(y.file.Pos(key), key.Value, g.name)
		layer := y.variables(value)
		for _, name := range names {
			maps.Copy(y.inv.host(name).vars, layer)
		}
	}
}

func (y *yamlReader) children(g *group, n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.fail(n, 1, "the children of group %q must be a mapping, found %s", g.name, source.Kind(n)).Try(`write each as "name:"`)
		return
	}
	for key, value := range source.Pairs(n) {
		if key.Value == g.name || key.Value == all {
			y.fail(key, len(key.Value), "group %q cannot be a child of %q", key.Value, g.name)
			continue
		}
		y.group(key, value)
		if y.inv.groups[key.Value] != nil {
			y.inv.nest(key.Value, g.name)
		}
	}
}

// variables reads a mapping; nothing is no variables.
func (y *yamlReader) variables(n *yaml.Node) vars.Layer {
	layer, errs := vars.Loose(y.file, n)
	y.errs = append(y.errs, errs...)
	return layer
}
