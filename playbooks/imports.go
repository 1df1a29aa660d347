package playbooks

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// importTasks is the keyword that puts the tasks of another file in its place.
const importTasks = "import_tasks"

// importKey is the import in a task, by either of its names; nil where it has none.
func importKey(n *yaml.Node) *yaml.Node {
	for key := range source.Pairs(n) {
		if key.Value == importTasks || key.Value == "ansible.builtin."+importTasks {
			return key
		}
	}
	return nil
}

// imported reads a list of tasks from another file when the playbook is read, as
// Ansible's static import does: what stands beside import_tasks holds for each of
// them.
func (r *reader) imported(n *yaml.Node, inherited Keywords) *Block {
	b := &Block{Pos: r.file.Pos(n), Keywords: inherited}
	at := importKey(n)
	var name *yaml.Node
	for key, value := range source.Pairs(n) {
		switch {
		case key == at:
			name = value
		case key.Value == "name":
			b.Name = r.text("name", value)
		case key.Value == "loop" || strings.HasPrefix(key.Value, "with_"):
			r.fail(key, "%q is not allowed with import_tasks, which happens before there are items", key.Value).Try("put it on the tasks of the file")
		case !r.keyword(&b.Keywords, key, value, shared, inner):
			r.unknown(key, "task that imports", append(names(shared, inner), "name", importTasks))
		}
	}
	if name.Kind == yaml.MappingNode && len(name.Content) == 2 && name.Content[0].Value == "file" {
		name = name.Content[1]
	}
	if name.Kind != yaml.ScalarNode || strings.TrimSpace(name.Value) == "" || jinja.HasTemplate(name.Value) {
		r.fail(name, "import_tasks wants the path of a file, without templates, found %s", shown(name))
		return nil
	}
	b.Tasks = r.tasksOf(name, b.Keywords)
	return b
}

// tasksOf reads the file that is imported.
func (r *reader) tasksOf(name *yaml.Node, inherited Keywords) []Node {
	f, where, err := r.beside(name.Value)
	if err != nil {
		r.fail(name, "import_tasks: %v", err)
		return nil
	}
	if slices.Contains(r.within, where) {
		r.fail(name, "import_tasks: %s imports itself, by way of %s", f.Name, strings.Join(r.within[1:], ", "))
		return nil
	}
	root, errs := source.Parse(f)
	if len(errs) > 0 {
		r.errs = append(r.errs, errs...)
		return nil
	}
	inner := reader{file: f, dir: r.dir, at: filepath.Dir(where), carried: r.carried, files: r.files, within: append(slices.Clone(r.within), where)}
	list := inner.nodes("tasks", root, inherited)
	if len(list) == 0 && len(inner.errs) == 0 {
		inner.fail(root, "the file has no tasks, and is imported at %s", r.file.Pos(name))
	}
	r.errs = append(r.errs, inner.errs...)
	return list
}

// beside reads a file that is named in this one: it lies beside this one, or beside
// the playbook. What a playbook that the program carries imports, the program
// carries too.
func (r *reader) beside(name string) (f *source.File, where string, err error) {
	for _, dir := range []string{r.at, filepath.Dir(r.within[0])} {
		where = name
		if !filepath.IsAbs(where) {
			where = filepath.Join(dir, name)
		}
		if f, err = r.open(where); !errors.Is(err, fs.ErrNotExist) {
			return f, where, err
		}
		if len(r.within) == 1 {
			break
		}
	}
	if len(r.within) > 1 {
		return nil, "", fmt.Errorf("%q is neither beside this file nor beside the playbook", name)
	}
	return nil, "", err
}

func (r *reader) open(where string) (*source.File, error) {
	if !r.carried {
		return r.files.Read(where)
	}
	data, err := shipped.ReadFile(filepath.ToSlash(where))
	if err != nil {
		return nil, err
	}
	name := path.Join("playbooks", filepath.ToSlash(where))
	r.files.Add(source.Carried+name, data)
	return &source.File{Name: name, Data: data}, nil
}
