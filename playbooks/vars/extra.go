package vars

import (
	"maps"
	"strings"

	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// Extra reads what was given with -e, each as @FILE, as a mapping in YAML or
// JSON, or as words NAME=VALUE, whose values are texts. Later ones win.
func Extra(given []string) (Layer, source.Errors) {
	all := Layer{}
	var errs source.Errors
	for _, arg := range given {
		layer, mistakes := extra(arg)
		errs = append(errs, mistakes...)
		maps.Copy(all, layer)
	}
	return all, errs
}

func extra(arg string) (Layer, source.Errors) {
	if path, ok := strings.CutPrefix(arg, "@"); ok {
		return Read(nil, path) // a run remembers the variables themselves, wherever they come from
	}
	f := &source.File{Name: "-e", Data: []byte(arg)}
	if trimmed := strings.TrimSpace(arg); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		n, errs := source.Parse(f)
		if len(errs) > 0 {
			return nil, errs
		}
		return Mapping(f, n)
	}
	words, err := source.Words(arg)
	if err != nil {
		return nil, source.Errors{{Pos: f.At(1, 1), Msg: err.Error()}}
	}
	layer := Layer{}
	var errs source.Errors
	for _, w := range words {
		name, value, found := strings.Cut(w.Text, "=")
		pos := f.At(1, len([]rune(arg[:w.Start]))+1)
		if !found || !isName(name) {
			errs = append(errs, pos.Errorf(len([]rune(w.Raw)), "want NAME=VALUE, found %q", w.Text).
				Try("or give @FILE, or a mapping in YAML or JSON"))
			continue
		}
		pos.Col += len([]rune(name)) + 1
		if jinja.HasTemplate(value) {
			_, err := jinja.Parse(value, pos)
			errs.Add(pos, err)
		}
		layer[name] = jinja.Trusted(value, pos)
	}
	return layer, errs
}
