package plan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"runbook/runner/source"
)

// The kinds of inputs, as the names in Digests begin.
const (
	ofFile  = "file "
	ofHost  = "host "
	ofExtra = "variable "
	ofAll   = "inventory"
)

// Digests names every input, with its digest: for a journal's header and for a
// plan. No secret can be learned from it without the project's key.
func (in Inputs) Digests() map[string]string {
	all := map[string]string{ofAll: in.Inventory}
	for kind, inputs := range map[string][]Input{ofFile: in.Files, ofHost: in.Hosts, ofExtra: in.Extra} {
		for _, i := range inputs {
			all[kind+i.Name] = i.Digest
		}
	}
	return all
}

// Since says for people what is not as it was before, as Differences does. Files
// that went into the run before and that nobody has read yet now are looked at.
func (in Inputs) Since(before map[string]string) []string {
	now := in.Digests()
	for name := range before {
		path, isFile := strings.CutPrefix(name, ofFile)
		if _, known := now[name]; known || !isFile || strings.HasPrefix(path, source.Carried) {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(in.dir, filepath.FromSlash(path))
		}
		data, err := read(path)
		switch {
		case err == nil:
			now[name] = in.key.Digest(data)
		case !errors.Is(err, fs.ErrNotExist):
			now[name] = "" // it cannot be what it was
		}
	}
	return Differences(before, now)
}

// most is what a file may hold to be looked at again: more than any that a run
// reads (16 MiB, see playbooks).
const most = 32 << 20

// read is the content of a file. What is no regular file is not opened: a pipe
// would not end.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%q is bigger than %d bytes", path, most)
	}
	return data, err
}

// Differences says for people how two Digests differ: first the files, then the
// inventory, then the variables of -e.
func Differences(before, now map[string]string) []string {
	var said []string
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(now))
	slices.Sort(names)
	hosts := map[string][]string{}
	var files, extra []string
	for _, name := range slices.Compact(names) {
		what := became(before, now, name)
		if what == "" || name == ofAll {
			continue
		}
		if host, ok := strings.CutPrefix(name, ofHost); ok {
			hosts[what] = append(hosts[what], host)
		} else if variable, ok := strings.CutPrefix(name, ofExtra); ok {
			extra = append(extra, "-e "+variable+" "+what)
		} else {
			files = append(files, strings.TrimPrefix(name, ofFile)+" "+what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(hosts)) {
		said = append(said, "inventory: "+several(hosts[what], what))
	}
	if len(hosts) == 0 && became(before, now, ofAll) != "" {
		said = append(said, "inventory: its groups or the order of its hosts changed")
	}
	return slices.Concat(files, said, extra)
}

// became is what happened to an input; empty where nothing did.
func became(before, now map[string]string, name string) string {
	was, had := before[name]
	is, has := now[name]
	switch {
	case had && !has:
		return "is gone"
	case has && !had:
		return "is new"
	case was != is:
		return "changed"
	}
	return ""
}

// several says the same of many hosts in one sentence.
func several(hosts []string, what string) string {
	const shown = 5
	if len(hosts) == 1 {
		return "host " + hosts[0] + " " + what
	}
	what = strings.Replace(what, "is ", "are ", 1)
	if len(hosts) > shown {
		return fmt.Sprintf("%d hosts %s: %s and %d more", len(hosts), what, strings.Join(hosts[:shown], ", "), len(hosts)-shown)
	}
	return "hosts " + strings.Join(hosts, ", ") + " " + what
}
