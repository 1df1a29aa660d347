package playbooks

import (
	"embed"
	"errors"
	"io/fs"
	"path"
	"strings"

	"runbook/runner/source"
)

//go:embed *.yaml tasks/*.yaml
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

// About is the page of a shipped playbook: the comment that it begins with. A
// first paragraph says what it does; "When to use it:", "What it will not do:"
// and "Variables:" follow (pages_test.go holds every playbook to that).
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

// Summary is the first sentence of a shipped playbook's page, on one line.
func Summary(name string) string {
	about, _ := About(name)
	paragraph, _, _ := strings.Cut(about, "\n\n")
	words := strings.Fields(paragraph)
	for i, w := range words {
		if strings.HasSuffix(w, ".") {
			return strings.Join(words[:i+1], " ")
		}
	}
	return strings.Join(words, " ")
}

// read is the playbook at a path; where nothing is there, NAME and
// playbooks/NAME.yaml mean the one of that name that the program carries.
func read(files *source.Files, file string) (f *source.File, carried bool, err error) {
	f, err = files.Read(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	name := strings.TrimSuffix(path.Base(file), ".yaml")
	if file != name && file != "playbooks/"+name+".yaml" {
		return nil, false, err
	}
	data, missing := shipped.ReadFile(name + ".yaml")
	if missing != nil {
		return nil, false, err
	}
	name = "playbooks/" + name + ".yaml"
	files.Add(source.Carried+name, data)
	return &source.File{Name: name, Data: data}, true, nil
}
