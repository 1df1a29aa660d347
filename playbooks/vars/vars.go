// Package vars reads variables as users write them: mappings in YAML, files of
// them, and the command line.
package vars

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// Layer is the variables of one source, by name: trusted and not yet rendered.
type Layer map[string]jinja.Value

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isName reports whether a variable can have this name.
func isName(name string) bool { return identifier.MatchString(name) }

// Value is what a node holds. Its texts are trusted: the user wrote them. A
// template that cannot be parsed is a mistake here, not when it is first used.
func Value(f *source.File, n *yaml.Node) (jinja.Value, source.Errors) {
	r := reader{file: f}
	return r.value(n), r.errs
}

// Mapping is the variables of a mapping node. Names must be such that an
// expression can use them.
func Mapping(f *source.File, n *yaml.Node) (Layer, source.Errors) {
	layer, errs := Loose(f, n)
	for key := range source.Pairs(n) {
		if !isName(key.Value) {
			errs = append(errs, f.Pos(key).Errorf(len([]rune(key.Value)), "%q cannot be the name of a variable", key.Value).
				Try("use letters, digits and underscores"))
		}
	}
	return layer, errs
}

// Loose is Mapping for inventories, which may have names that only hostvars can
// reach.
func Loose(f *source.File, n *yaml.Node) (Layer, source.Errors) {
	r := reader{file: f}
	return r.mapping(n), r.errs
}

// Read reads a file that holds one mapping of variables. The file is remembered
// in read, which may be nil.
func Read(read *source.Files, path string) (Layer, source.Errors) {
	f, err := read.Read(path)
	if err != nil {
		return nil, source.Errors{{Msg: "variables: " + err.Error()}}
	}
	n, errs := source.Parse(f)
	if len(errs) > 0 {
		return nil, errs
	}
	return Loose(f, n)
}

// Beside reads dir/NAME, dir/NAME.yml, .yaml or .json, or every such file below
// the directory dir/NAME, in the order of their names. Where there is none, there
// are no variables; where there are two, one of them would be overlooked. The
// files are remembered in read, which may be nil.
func Beside(read *source.Files, dir, name string) (Layer, source.Errors) {
	var found string
	for _, extension := range []string{"", ".yml", ".yaml", ".json"} {
		path := filepath.Join(dir, name+extension)
		switch _, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, source.Errors{{Msg: "variables: " + err.Error()}}
		case found != "":
			return nil, source.Errors{{Msg: fmt.Sprintf("both %s and %s are there; only one can hold the variables of %q", found, path, name)}}
		default:
			found = path
		}
	}
	all := Layer{}
	if found == "" {
		return all, nil
	}
	paths, err := below(found)
	if err != nil {
		return nil, source.Errors{{Msg: "variables: " + err.Error()}}
	}
	var errs source.Errors
	for _, path := range paths {
		layer, mistakes := Read(read, path)
		errs = append(errs, mistakes...)
		maps.Copy(all, layer)
	}
	return all, errs
}

// below lists the files of variables in a directory and its directories; of a
// file only the file itself.
func below(root string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		hidden := path != root && (strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~"))
		switch {
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir():
		case path == root, slices.Contains([]string{"", ".yml", ".yaml", ".json"}, filepath.Ext(name)):
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

type reader struct {
	file *source.File
	errs source.Errors
}

func (r *reader) mapping(n *yaml.Node) Layer {
	layer := Layer{}
	switch {
	case n.Kind == yaml.ScalarNode && source.Scalar(n) == nil:
	case n.Kind != yaml.MappingNode:
		r.errs = append(r.errs, r.file.Pos(n).Errorf(1, "want variables, name: value, found %s", source.Kind(n)))
	}
	for key, item := range source.Pairs(n) {
		layer[key.Value] = r.value(item)
	}
	return layer
}

func (r *reader) value(n *yaml.Node) jinja.Value {
	switch n.Kind {
	case yaml.MappingNode:
		return r.dict(n)
	case yaml.SequenceNode:
		items := make([]jinja.Value, len(n.Content))
		for i, item := range n.Content {
			items[i] = r.value(item)
		}
		return &jinja.List{Items: items}
	}
	text, ok := source.Scalar(n).(string)
	if !ok {
		return jinja.FromGo(source.Scalar(n))
	}
	pos := r.file.Text(n)
	if jinja.HasTemplate(text) {
		_, err := jinja.Parse(text, pos)
		r.errs.Add(pos, r.file.Relocate(n, err))
	}
	return jinja.Trusted(text, pos)
}

// dict keeps the order of the keys. Keys that are numbers stay numbers, as
// expressions see them; such a mapping is in the order of its keys.
func (r *reader) dict(n *yaml.Node) jinja.Value {
	ordered, mixed, isMixed := &jinja.Dict{}, map[any]any{}, false
	for key, item := range source.Pairs(n) {
		value := r.value(item)
		name := source.Scalar(key)
		switch name.(type) {
		case string:
		case int64, float64, bool:
			isMixed = true
		default:
			name = key.Value
		}
		mixed[name] = value
		ordered.Set(key.Value, value)
	}
	if isMixed {
		return jinja.FromGo(mixed)
	}
	return ordered
}
