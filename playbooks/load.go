package playbooks

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// Load reads a playbook and finds every mistake in it that can be found before
// a host is contacted.
func Load(path string) (*Playbook, source.Errors) {
	files := &source.Files{}
	f, carried, err := read(files, path)
	if err != nil {
		return nil, source.Errors{{Msg: "playbook: " + err.Error()}}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, source.Errors{{Msg: "playbook: " + err.Error()}}
	}
	book, errs := parse(f, dir, carried, files)
	if book != nil {
		book.Path = path
	}
	return book, errs
}

// Parse reads a playbook whose relative files are in dir.
func Parse(f *source.File, dir string) (*Playbook, source.Errors) {
	files := &source.Files{}
	files.Add(f.Name, f.Data)
	return parse(f, dir, false, files)
}

// parse is Parse that remembers in files what it reads. A playbook that the
// program carries has what it imports from there.
func parse(f *source.File, dir string, carried bool, files *source.Files) (*Playbook, source.Errors) {
	n, errs := source.Parse(f)
	if len(errs) > 0 {
		return nil, errs
	}
	r := reader{file: f, dir: dir, at: dir, carried: carried, files: files}
	r.within = []string{filepath.Join(dir, filepath.Base(f.Name))}
	if carried {
		r.at, r.within = ".", []string{filepath.Base(f.Name)}
	}
	book := &Playbook{Path: f.Name, Dir: dir, read: files}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "a playbook is a list of plays, found %s", source.Kind(n)).Try(`start a play with "- hosts: ..."`)
		return nil, r.errs
	}
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			r.fail(item, "a play is a mapping of keywords, found %s", source.Kind(item)).Try(`start it with "hosts:"`)
			continue
		}
		book.Plays = append(book.Plays, r.play(item))
	}
	if len(n.Content) == 0 {
		r.fail(n, "the playbook has no play").Try(`start one with "- hosts: ..."`)
	}
	if len(r.errs) > 0 {
		return nil, r.errs.Sorted()
	}
	return book, nil
}

// reader turns nodes into what they mean and collects what is wrong.
type reader struct {
	file    *source.File
	dir     string   // of the playbook
	at      string   // of this file; of a carried one, within those
	carried bool     // the program carries the playbook
	within  []string // this file, and what imports it, outermost first
	files   *source.Files
	errs    source.Errors
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) *source.Error {
	length := 1
	if n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") {
		length = len([]rune(n.Value))
	}
	e := r.file.Pos(n).Errorf(length, format, args...)
	r.errs = append(r.errs, e)
	return e
}

// isNull reports whether nothing stands behind a keyword.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && source.Scalar(n) == nil }

// text reads a single value that may be a template.
func (r *reader) text(keyword string, n *yaml.Node) *Text {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.fail(n, "%q wants text, found %s", keyword, source.Kind(n))
		return nil
	}
	pos := r.file.Text(n)
	t, err := NewText(n.Value, pos)
	r.errs.Add(pos, r.file.Relocate(n, err))
	return t
}

// number reads a whole number, or a template that gives one.
func (r *reader) number(keyword string, n *yaml.Node) *Text {
	t := r.text(keyword, n)
	if t == nil || t.template != nil {
		return t
	}
	if i, ok := source.Scalar(n).(int64); ok && i >= 0 {
		return t
	}
	if _, err := t.Int(nil); err != nil || strings.HasPrefix(strings.TrimSpace(t.Source), "-") {
		r.fail(n, "%q wants a whole number that is not negative, found %q", keyword, n.Value)
	}
	return t
}

// flag reads yes or no, or a template that gives one.
func (r *reader) flag(keyword string, n *yaml.Node) *Flag {
	var on bool
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		if t, err := NewText(n.Value, r.file.Text(n)); err != nil || t.template != nil {
			r.errs.Add(r.file.Text(n), r.file.Relocate(n, err))
			return &Flag{text: t}
		}
	}
	if isNull(n) || len(r.file.Decode(n, &on)) > 0 {
		r.fail(n, "%q wants yes or no, found %s", keyword, shown(n))
	}
	return &Flag{on: on}
}

// shown is a node for a message: its text, or what it is.
func shown(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return source.Kind(n)
	}
	return strconv.Quote(n.Value)
}

// conditions reads an expression, a boolean, or a list of these.
func (r *reader) conditions(keyword string, n *yaml.Node) *Conditions {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	c := &Conditions{}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			r.fail(item, "%q wants an expression, found %s", keyword, source.Kind(item))
			continue
		}
		text := item.Value
		if on, ok := source.Scalar(item).(bool); ok {
			text = map[bool]string{true: "true", false: "false"}[on]
		}
		pos := r.file.Text(item)
		r.errs.Add(pos, r.file.Relocate(item, c.Add(text, pos)))
	}
	return c
}

// words reads a list of plain texts, or one text; with commas, also several in
// one text.
func (r *reader) words(keyword string, n *yaml.Node, commas bool) []string {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var words []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			r.fail(item, "%q wants a list of texts, found %s", keyword, source.Kind(item))
			continue
		}
		if strings.Contains(item.Value, "{{") || strings.Contains(item.Value, "{%") {
			r.fail(item, "templates in %q are not supported yet", keyword)
			continue
		}
		parts := []string{item.Value}
		if commas {
			parts = strings.Split(item.Value, ",")
		}
		for _, part := range parts {
			if part = strings.TrimSpace(part); part != "" {
				words = append(words, part)
			}
		}
	}
	return words
}

// value reads anything, with templates anywhere inside.
func (r *reader) value(n *yaml.Node) *Value {
	raw, errs := vars.Value(r.file, n)
	r.errs = append(r.errs, errs...)
	return &Value{Pos: r.file.Text(n), raw: raw}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variable reads the name of a variable.
func (r *reader) variable(keyword string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || !identifier.MatchString(n.Value) {
		r.fail(n, "%q wants the name of a variable, found %s", keyword, shown(n)).
			Try("use letters, digits and underscores")
		return ""
	}
	return n.Value
}

// unknown reports a keyword that is not accepted: one that Ansible has and that
// is not supported yet, or one that nobody has.
func (r *reader) unknown(key *yaml.Node, where string, known []string) {
	if hint, later := unsupported[key.Value]; later {
		r.fail(key, "keyword %q is not supported yet in a %s", key.Value, where).Try("%s", hint)
		return
	}
	if loop, ok := strings.CutPrefix(key.Value, "with_"); ok {
		r.fail(key, "keyword %q is not supported", key.Value).Try("use loop in place of with_%s", loop)
		return
	}
	hint := source.DidYouMean(key.Value, known)
	if hint == "" {
		hint = "allowed: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	}
	r.fail(key, "unknown keyword %q in a %s", key.Value, where).Try("%s", hint)
}
