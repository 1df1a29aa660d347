package playbooks

import (
	"embed"
	"errors"
	"io/fs"
	"path"
	"strings"

	"runbook/runner/source"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped are the names of the playbooks that the program carries with it.
func Shipped() []string {
	entries, err := fs.Glob(shipped, "*.yaml")
	if err != nil {
		return nil // the pattern is the only thing that could be wrong
	}
	for i, name := range entries {
		entries[i] = strings.TrimSuffix(name, ".yaml")
	}
	return entries
}

// About is the comment that a shipped playbook begins with: what it is for.
func About(name string) (string, bool) {
	data, err := shipped.ReadFile(name + ".yaml")
	if err != nil {
		return "", false
	}
	var about strings.Builder
	for line := range strings.Lines(string(data)) {
		text, comment := strings.CutPrefix(line, "#")
		if !comment {
			break
		}
		about.WriteString(strings.TrimPrefix(text, " "))
	}
	return about.String(), true
}

// read is the playbook at a path; where nothing is there, NAME and
// playbooks/NAME.yaml mean the one of that name that the program carries.
func read(files *source.Files, file string) (*source.File, error) {
	f, err := files.Read(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	name := strings.TrimSuffix(path.Base(file), ".yaml")
	if file != name && file != "playbooks/"+name+".yaml" {
		return nil, err
	}
	data, missing := shipped.ReadFile(name + ".yaml")
	if missing != nil {
		return nil, err
	}
	name = "playbooks/" + name + ".yaml"
	files.Add(source.Carried+name, data)
	return &source.File{Name: name, Data: data}, nil
}
