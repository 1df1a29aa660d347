package playbooks

import (
	"maps"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
)

// unsupported are the keywords that Ansible has and that are not accepted, with
// what to write in their place. Accepting one without doing what it says would
// be a lie.
var unsupported = map[string]string{
	"action":             "write the module's name as the key",
	"local_action":       `write the module's name as the key, and "delegate_to: localhost"`,
	"async":              "use timeout to bound a long task",
	"poll":               "",
	"collections":        "",
	"debugger":           "",
	"delegate_facts":     "",
	"diff":               "",
	"become_exe":         "",
	"fact_path":          "",
	"force_handlers":     "notifications survive a failed run anyhow",
	"gather_subset":      `use "gather_facts: no" and a setup task`,
	"gather_timeout":     "",
	"ignore_unreachable": "",
	"import_playbook":    "",
	"import_role":        "",
	"include":            "use import_tasks",
	"include_role":       "",
	"include_tasks":      "use import_tasks",
	"include_vars":       "use vars_files on the play",
	"module_defaults":    "",
	"roles":              "",
	"throttle":           "use serial on the play, or --forks",
	"user":               "use remote_user",
	"vars_prompt":        "use -e",
}

// shared are the keywords of plays, blocks and tasks.
var shared = map[string]func(*reader, *Keywords, *yaml.Node){
	"tags": func(r *reader, k *Keywords, n *yaml.Node) { k.tag(r.words("tags", n, true)) },
	"environment": func(r *reader, k *Keywords, n *yaml.Node) {
		k.Environment = slices.Concat(k.Environment, r.environment(n))
	},
	"become":           func(r *reader, k *Keywords, n *yaml.Node) { k.Become = r.flag("become", n) },
	"become_user":      func(r *reader, k *Keywords, n *yaml.Node) { k.BecomeUser = r.text("become_user", n) },
	"become_method":    func(r *reader, k *Keywords, n *yaml.Node) { k.BecomeMethod = r.text("become_method", n) },
	"become_flags":     func(r *reader, k *Keywords, n *yaml.Node) { k.BecomeFlags = r.text("become_flags", n) },
	"connection":       func(r *reader, k *Keywords, n *yaml.Node) { k.Connection = r.text("connection", n) },
	"remote_user":      func(r *reader, k *Keywords, n *yaml.Node) { k.RemoteUser = r.text("remote_user", n) },
	"port":             func(r *reader, k *Keywords, n *yaml.Node) { k.Port = r.number("port", n) },
	"run_once":         func(r *reader, k *Keywords, n *yaml.Node) { k.RunOnce = r.flag("run_once", n) },
	"ignore_errors":    func(r *reader, k *Keywords, n *yaml.Node) { k.IgnoreErrors = r.flag("ignore_errors", n) },
	"any_errors_fatal": func(r *reader, k *Keywords, n *yaml.Node) { k.AnyErrorsFatal = r.flag("any_errors_fatal", n) },
	"no_log":           func(r *reader, k *Keywords, n *yaml.Node) { k.NoLog = r.flag("no_log", n) },
	"check_mode":       func(r *reader, k *Keywords, n *yaml.Node) { k.CheckMode = r.flag("check_mode", n) },
	"timeout":          func(r *reader, k *Keywords, n *yaml.Node) { k.Timeout = r.duration("timeout", n) },
}

// inner are the keywords that blocks and tasks have beside the shared ones.
var inner = map[string]func(*reader, *Keywords, *yaml.Node){
	"when": func(r *reader, k *Keywords, n *yaml.Node) {
		k.When = append(slices.Clone(k.When), r.conditions("when", n))
	},
	"vars": func(r *reader, k *Keywords, n *yaml.Node) {
		k.Layers = append(slices.Clone(k.Layers), r.layer(n))
	},
	"delegate_to": func(r *reader, k *Keywords, n *yaml.Node) { k.DelegateTo = r.text("delegate_to", n) },
}

// keyword reads one of the keywords that plays, blocks and tasks have in common
// into what was inherited. It reports whether the key is one.
func (r *reader) keyword(k *Keywords, key, value *yaml.Node, tables ...map[string]func(*reader, *Keywords, *yaml.Node)) bool {
	for _, table := range tables {
		if read := table[key.Value]; read != nil {
			read(r, k, value)
			return true
		}
	}
	return false
}

// tag adds tags to the inherited ones.
func (k *Keywords) tag(tags []string) {
	k.Tags = slices.Clone(k.Tags)
	for _, tag := range tags {
		if !slices.Contains(k.Tags, tag) {
			k.Tags = append(k.Tags, tag)
		}
	}
}

// environment reads a mapping, a template that gives one, or a list of these.
func (r *reader) environment(n *yaml.Node) []*Value {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var list []*Value
	for _, item := range items {
		t, isText := item.Value, item.Kind == yaml.ScalarNode
		if item.Kind == yaml.SequenceNode || isText && (isNull(item) || !jinja.HasTemplate(t)) {
			r.fail(item, "%q wants a mapping of names to values, found %s", "environment", shown(item))
			continue
		}
		list = append(list, r.value(item))
	}
	return list
}

// layer reads a mapping of variables.
func (r *reader) layer(n *yaml.Node) Layer {
	if isNull(n) {
		return nil
	}
	layer, errs := vars.Mapping(r.file, n)
	r.errs = append(r.errs, errs...)
	return layer
}

func (r *reader) duration(keyword string, n *yaml.Node) time.Duration {
	var t time.Duration
	switch {
	case n.Kind == yaml.ScalarNode && jinja.HasTemplate(n.Value):
		r.fail(n, "templates in %q are not supported yet", keyword)
	case isNull(n) || len(r.file.Decode(n, &t)) > 0:
		r.fail(n, "%q wants a number of seconds or a time such as 90s, 5m, 2h, found %s", keyword, shown(n))
	}
	return t
}

// names lists the keywords of tables.
func names(tables ...map[string]func(*reader, *Keywords, *yaml.Node)) []string {
	var all []string
	for _, table := range tables {
		all = slices.AppendSeq(all, maps.Keys(table))
	}
	return all
}
