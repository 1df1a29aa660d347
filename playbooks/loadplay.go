package playbooks

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// playKeywords are those that only plays have; their lists of tasks are read
// when everything that the tasks inherit is known.
var playKeywords = map[string]func(*reader, *Play, *yaml.Node){
	"name":                func(r *reader, p *Play, n *yaml.Node) { p.Name = r.text("name", n) },
	"hosts":               func(r *reader, p *Play, n *yaml.Node) { p.Hosts = r.hosts(n) },
	"gather_facts":        func(r *reader, p *Play, n *yaml.Node) { p.GatherFacts = r.flag("gather_facts", n) },
	"serial":              func(r *reader, p *Play, n *yaml.Node) { p.Serial = r.serial(n) },
	"max_fail_percentage": func(r *reader, p *Play, n *yaml.Node) { p.MaxFailPercentage = r.number("max_fail_percentage", n) },
	"strategy":            func(r *reader, _ *Play, n *yaml.Node) { r.only("strategy", "linear", n) },
	"order":               func(r *reader, _ *Play, n *yaml.Node) { r.only("order", "inventory", n) },
	"vars":                func(*reader, *Play, *yaml.Node) {},
	"vars_files":          func(*reader, *Play, *yaml.Node) {},
	"pre_tasks":           func(*reader, *Play, *yaml.Node) {},
	"tasks":               func(*reader, *Play, *yaml.Node) {},
	"post_tasks":          func(*reader, *Play, *yaml.Node) {},
	"handlers":            func(*reader, *Play, *yaml.Node) {},
}

// play reads one play.
func (r *reader) play(n *yaml.Node) *Play {
	p := &Play{Pos: r.file.Pos(n)}
	known := append(names(shared), slices.Collect(maps.Keys(playKeywords))...)
	parts := map[string]*yaml.Node{}
	for key, value := range source.Pairs(n) {
		parts[key.Value] = value
		if read := playKeywords[key.Value]; read != nil {
			read(r, p, value)
		} else if !r.keyword(&p.Keywords, key, value, shared) {
			r.unknown(key, "play", known)
			if meant := source.Closest(key.Value, known); parts[meant] == nil {
				parts[meant] = value
			}
		}
	}
	if parts["hosts"] == nil && parts["import_playbook"] == nil {
		r.fail(n, `"hosts" is missing in the play`).Try(`name hosts or groups, or "all"`)
	}
	r.playVars(p, parts)
	p.Handlers = r.handlers(parts["handlers"], p.Keywords)
	p.PreTasks = r.nodes("pre_tasks", parts["pre_tasks"], p.Keywords)
	p.Tasks = r.nodes("tasks", parts["tasks"], p.Keywords)
	p.PostTasks = r.nodes("post_tasks", parts["post_tasks"], p.Keywords)
	r.notifications(p)
	return p
}

// only accepts the one value that is supported.
func (r *reader) only(keyword, value string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value != value {
		r.fail(n, "%s %s is not supported yet; want %q", keyword, shown(n), value)
	}
}

// hosts reads a pattern, or a list of patterns, which is joined by commas.
func (r *reader) hosts(n *yaml.Node) *Text {
	if n.Kind != yaml.SequenceNode {
		t := r.text("hosts", n)
		if t != nil && strings.TrimSpace(t.Source) == "" {
			r.fail(n, `"hosts" is empty`).Try(`name hosts or groups, or "all"`)
		}
		return t
	}
	var terms []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || strings.TrimSpace(item.Value) == "" {
			r.fail(item, `"hosts" wants names of hosts or groups, found %s`, shown(item))
			continue
		}
		terms = append(terms, item.Value)
	}
	if len(n.Content) == 0 {
		r.fail(n, `"hosts" is empty`).Try(`name hosts or groups, or "all"`)
	}
	pos := r.file.Pos(n)
	t, err := NewText(strings.Join(terms, ","), pos)
	r.errs.Add(pos, err)
	return t
}

// serial reads a count, a percentage, a template that gives one, or a list of these.
func (r *reader) serial(n *yaml.Node) []Batch {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var batches []Batch
	for _, item := range items {
		if item.Kind == yaml.ScalarNode && jinja.HasTemplate(item.Value) {
			if t := r.text("serial", item); t != nil {
				batches = append(batches, Batch{Text: t})
			}
			continue
		}
		b, ok := batchOf(item.Value)
		if item.Kind != yaml.ScalarNode || !ok {
			r.fail(item, wantsBatch+", found %s", shown(item))
			continue
		}
		batches = append(batches, b)
	}
	return batches
}

const wantsBatch = `"serial" wants a number of hosts or a percentage such as "30%%"`

// batchOf reads a count of hosts, or a percentage.
func batchOf(text string) (Batch, bool) {
	digits, isPercent := strings.CutSuffix(strings.TrimSpace(text), "%")
	number, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || !(number > 0) || number > 1e6 || isPercent && number > 100 || !isPercent && number != float64(int(number)):
		return Batch{}, false
	case isPercent:
		return Batch{Percent: number}, true
	}
	return Batch{Count: int(number)}, true
}

// Batches are the entries of serial, with what their templates come to.
func (p *Play) Batches(s jinja.Scope) ([]Batch, error) {
	var all []Batch
	for _, b := range p.Serial {
		if b.Text == nil {
			all = append(all, b)
			continue
		}
		items, err := b.Text.Items(s)
		if err != nil {
			return nil, fmt.Errorf("%s: serial: %w", b.Text.Pos, err)
		}
		for _, item := range items {
			one, ok := batchOf(item)
			if !ok {
				return nil, b.Text.Pos.Errorf(len([]rune(b.Text.Source)), wantsBatch+", found %q", item)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// playVars reads vars, and vars_files above them.
func (r *reader) playVars(p *Play, parts map[string]*yaml.Node) {
	if n := parts["vars"]; n != nil {
		if layer := r.layer(n); len(layer) > 0 {
			p.Vars = append(p.Vars, layer)
		}
	}
	n := parts["vars_files"]
	if n == nil || isNull(n) {
		return
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || jinja.HasTemplate(item.Value) {
			r.fail(item, `"vars_files" wants paths without templates, found %s`, shown(item))
			continue
		}
		path := item.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.dir, path)
		}
		layer, errs := vars.Read(r.files, path)
		for _, mistake := range errs {
			r.errs.Add(r.file.Text(item), mistake)
		}
		p.Vars = append(p.Vars, layer)
	}
}

// handlers reads a list of tasks that run when they are notified.
func (r *reader) handlers(n *yaml.Node, inherited Keywords) []*Task {
	var handlers []*Task
	for _, node := range r.nodes("handlers", n, inherited) {
		switch node := node.(type) {
		case *Task:
			if node.Name.String() == "" && len(node.Listen) == 0 {
				r.errs = append(r.errs, node.Pos.Errorf(1, "a handler needs a name or listen: nobody can notify it"))
			}
			handlers = append(handlers, node)
		case *Block:
			r.errs = append(r.errs, node.Pos.Errorf(1, "a handler is a task, not a block"))
		}
	}
	return handlers
}

// notifications finds notify of a handler that is not there. Names that are
// templates are known only when a task runs.
func (r *reader) notifications(p *Play) {
	var known []string
	for _, handler := range p.Handlers {
		if handler.Name != nil && handler.Name.template != nil {
			return
		}
		known = append(known, handler.Name.String())
		known = append(known, handler.Listen...)
	}
	check := func(t *Task) {
		for _, n := range t.Notify {
			if n.template == nil && !slices.Contains(known, n.Source) {
				r.errs = append(r.errs, n.Pos.Errorf(len([]rune(n.Source)), "no handler is called %q or listens to it", n.Source).
					Try("%s", source.DidYouMean(n.Source, known)))
			}
		}
	}
	for _, list := range [][]Node{p.PreTasks, p.Tasks, p.PostTasks} {
		each(list, check)
	}
	for _, handler := range p.Handlers {
		check(handler)
	}
}

// each visits every task of a list, blocks and all.
func each(list []Node, visit func(*Task)) {
	for _, node := range list {
		switch node := node.(type) {
		case *Task:
			visit(node)
		case *Block:
			for _, part := range [][]Node{node.Tasks, node.Rescue, node.Always} {
				each(part, visit)
			}
		}
	}
}
