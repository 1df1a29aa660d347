package playbooks

import (
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/modules"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// taskKeywords are those that only tasks have.
var taskKeywords = map[string]func(*reader, *Task, *yaml.Node){
	"name":         func(r *reader, t *Task, n *yaml.Node) { t.Name = r.text("name", n) },
	"loop":         func(r *reader, t *Task, n *yaml.Node) { t.Loop = r.loop(n) },
	"loop_control": func(r *reader, t *Task, n *yaml.Node) { t.LoopControl = r.loopControl(n) },
	"register":     func(r *reader, t *Task, n *yaml.Node) { t.Register = r.variable("register", n) },
	"until":        func(r *reader, t *Task, n *yaml.Node) { t.Until = r.conditions("until", n) },
	"retries":      func(r *reader, t *Task, n *yaml.Node) { t.Retries = r.number("retries", n) },
	"delay":        func(r *reader, t *Task, n *yaml.Node) { t.Delay = r.number("delay", n) },
	"changed_when": func(r *reader, t *Task, n *yaml.Node) { t.ChangedWhen = r.conditions("changed_when", n) },
	"failed_when":  func(r *reader, t *Task, n *yaml.Node) { t.FailedWhen = r.conditions("failed_when", n) },
	"notify":       func(r *reader, t *Task, n *yaml.Node) { t.Notify = r.notify(n) },
	"listen":       func(r *reader, t *Task, n *yaml.Node) { t.Listen = r.words("listen", n, false) },
	"args":         func(*reader, *Task, *yaml.Node) {}, // read with the module
}

// blockKeywords are those that make a block.
var blockKeywords = []string{"name", "block", "rescue", "always"}

// nodes reads a list of tasks and blocks.
func (r *reader) nodes(keyword string, n *yaml.Node, inherited Keywords) []Node {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%q wants a list of tasks, found %s", keyword, source.Kind(n))
		return nil
	}
	var list []Node
	for _, item := range n.Content {
		switch {
		case item.Kind != yaml.MappingNode:
			r.fail(item, "a task is a mapping of keywords, found %s", shown(item)).Try(`write "- name: ..." and the module below it`)
		case importKey(item) != nil && keyword == "handlers":
			r.fail(importKey(item), "import_tasks is not supported yet in handlers")
		case importKey(item) != nil:
			if b := r.imported(item, inherited); b != nil {
				list = append(list, b)
			}
		case has(item, "block"):
			list = append(list, r.block(item, inherited, keyword == "handlers"))
		default:
			if t := r.task(item, inherited, keyword == "handlers"); t != nil {
				list = append(list, t)
			}
		}
	}
	return list
}

func has(n *yaml.Node, name string) bool {
	for key := range source.Pairs(n) {
		if key.Value == name {
			return true
		}
	}
	return false
}

// block reads a block. What it says holds for everything in it.
func (r *reader) block(n *yaml.Node, inherited Keywords, handlers bool) *Block {
	b := &Block{Pos: r.file.Pos(n), Keywords: inherited}
	known := append(names(shared, inner), blockKeywords...)
	parts := map[string]*yaml.Node{}
	for key, value := range source.Pairs(n) {
		switch {
		case key.Value == "name":
			b.Name = r.text("name", value)
		case slices.Contains(blockKeywords, key.Value):
			parts[key.Value] = value
		case key.Value == "loop":
			r.fail(key, `"loop" is not allowed on a block`).Try("put it on the tasks of the block")
		case !r.keyword(&b.Keywords, key, value, shared, inner):
			if _, isModule := modules.Lookup(key.Value); isModule {
				r.fail(key, "a block cannot have the module %q", key.Value).Try("put it into a task of the block")
				continue
			}
			r.unknown(key, "block", known)
		}
	}
	if isNull(parts["block"]) || len(parts["block"].Content) == 0 && parts["block"].Kind == yaml.SequenceNode {
		r.fail(n, "the block has no tasks")
	}
	if handlers {
		return b
	}
	b.Tasks = r.nodes("block", parts["block"], b.Keywords)
	b.Rescue = r.nodes("rescue", parts["rescue"], b.Keywords)
	b.Always = r.nodes("always", parts["always"], b.Keywords)
	return b
}

// task reads a task: its keywords, and the one key that is a module.
func (r *reader) task(n *yaml.Node, inherited Keywords, handler bool) *Task {
	t := &Task{Pos: r.file.Pos(n), Keywords: inherited}
	var module, extra *yaml.Node // the module's key, and what stands under args
	var arguments *yaml.Node
	var strange []*yaml.Node
	for key, value := range source.Pairs(n) {
		switch read := taskKeywords[key.Value]; {
		case key.Value == "listen" && !handler:
			r.fail(key, `"listen" belongs to handlers`)
		case key.Value == "args":
			extra = value
		case read != nil:
			read(r, t, value)
		case r.keyword(&t.Keywords, key, value, shared, inner):
		default:
			def, ok := modules.Lookup(key.Value)
			switch {
			case !ok:
				strange = append(strange, key)
			case module != nil:
				r.fail(key, "the task has two modules, %q and %q", module.Value, key.Value).Try("make two tasks of it")
			default:
				t.Def, module, arguments = def, key, value
			}
		}
	}
	r.strange(n, strange, module)
	if module == nil {
		return nil
	}
	t.Args = r.arguments(t.Def, module, arguments, extra)
	if t.Def.Name == "meta" {
		t.Action = t.Args.text("action")
	}
	return t
}

// strange reports the keys of a task that are neither keyword nor module, and a
// task without a module.
func (r *reader) strange(n *yaml.Node, keys []*yaml.Node, module *yaml.Node) {
	known := append(names(shared, inner), slices.Collect(maps.Keys(taskKeywords))...)
	if module != nil {
		for _, key := range keys {
			r.unknown(key, "task", known)
		}
		return
	}
	for _, key := range keys {
		_, later := unsupported[key.Value]
		if later || source.Closest(key.Value, known) != "" || strings.HasPrefix(key.Value, "with_") {
			r.unknown(key, "task", known)
			continue
		}
		r.fail(key, "unknown module %q", key.Value).Try("%s", source.DidYouMean(short(key.Value), modules.Names()))
	}
	if len(keys) == 0 {
		r.fail(n, "the task has no module").Try(`add what is to be done, such as "command: ..."`)
	}
}

// short is the last part of a module's full name.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// loop reads a list, or a template that gives one.
func (r *reader) loop(n *yaml.Node) *Value {
	if n.Kind == yaml.MappingNode || n.Kind == yaml.ScalarNode && !jinja.HasTemplate(n.Value) {
		e := r.fail(n, `"loop" wants a list or a template that gives one, found %s`, shown(n))
		if n.Kind == yaml.ScalarNode && identifier.MatchString(n.Value) {
			e.Try("write %q", "{{ "+n.Value+" }}")
		}
		return nil
	}
	return r.value(n)
}

func (r *reader) loopControl(n *yaml.Node) LoopControl {
	var c LoopControl
	if n.Kind != yaml.MappingNode {
		r.fail(n, `"loop_control" wants a mapping, found %s`, source.Kind(n))
		return c
	}
	known := []string{"loop_var", "index_var", "label", "pause"}
	for key, value := range source.Pairs(n) {
		switch key.Value {
		case "loop_var":
			c.Var = r.variable("loop_var", value)
		case "index_var":
			c.Index = r.variable("index_var", value)
		case "label":
			c.Label = r.text("label", value)
		case "pause":
			c.Pause = r.duration("pause", value)
		case "extended", "extended_allitems", "break_when":
			r.fail(key, "loop_control %q is not supported yet", key.Value)
		default:
			r.unknown(key, "loop_control", known)
		}
	}
	return c
}

// notify reads the names of handlers, or of what they listen to.
func (r *reader) notify(n *yaml.Node) []*Text {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var list []*Text
	for _, item := range items {
		if t := r.text("notify", item); t != nil {
			list = append(list, t)
		}
	}
	return list
}
