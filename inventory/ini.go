package inventory

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

var section = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$`)

// ini reads Ansible's INI format.
func (l *loader) ini(f *source.File) {
	if !utf8.Valid(f.Data) {
		l.fail("%s is not UTF-8 text; a script needs the executable bit and a first line that starts with #!", f.Name)
		return
	}
	r := iniReader{loader: l, file: f, group: ungrouped, later: map[string]vars.Layer{}, wanted: map[string]source.Pos{}}
	for text := range strings.Lines(string(f.Data)) {
		r.number++
		r.line(strings.TrimRight(text, "\r\n"))
	}
	r.finish()
}

// finish puts together what sections say of groups that may come after them.
func (r *iniReader) finish() {
	known := len(r.errs)
	asWritten := func(a, b string) int { return cmp.Compare(r.wanted[a].Line, r.wanted[b].Line) }
	for _, name := range slices.SortedFunc(maps.Keys(r.wanted), asWritten) {
		if r.inv.groups[name] == nil {
			r.errs = append(r.errs, r.wanted[name].Errorf(len(name), "no group is called %q", name).
				Try("%s", source.DidYouMean(name, r.inv.order)))
		}
	}
	if len(r.errs) > known {
		return
	}
	for _, pair := range r.nested {
		r.inv.nest(pair.child, pair.parent)
	}
	for name, layer := range r.later {
		maps.Copy(r.inv.group(name).vars, layer)
	}
}

type iniReader struct {
	*loader
	file        *source.File
	number      int
	group, kind string                // of the section
	skip        bool                  // the section could not be read
	wanted      map[string]source.Pos // groups that some section must make
	nested      []nesting
	later       map[string]vars.Layer // of groups, by name
}

type nesting struct{ child, parent string }

func (r *iniReader) mistake(col, length int, format string, args ...any) *source.Error {
	e := r.file.At(r.number, col).Errorf(length, format, args...)
	r.errs = append(r.errs, e)
	return e
}

func (r *iniReader) line(text string) {
	trimmed := strings.TrimSpace(text)
	col := 1 + utf8.RuneCountInString(text[:len(text)-len(strings.TrimLeft(text, " \t"))])
	switch {
	case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
	case trimmed[0] == '[':
		r.section(trimmed, col)
	case r.skip:
	case r.kind == "vars":
		r.variable(trimmed, col)
	case r.kind == "children":
		r.child(trimmed, col)
	default:
		r.member(trimmed, col)
	}
}

func (r *iniReader) section(text string, col int) {
	m := section.FindStringSubmatch(text)
	r.skip = m == nil
	if m == nil {
		r.mistake(col, len(text), "want [group], [group:vars] or [group:children], found %q", text)
		return
	}
	r.group, r.kind = m[1], m[2]
	switch {
	case !groupName.MatchString(r.group):
		r.mistake(col+1, len(r.group), "%q cannot be the name of a group", r.group).Try("use letters, digits and underscores")
		r.skip = true
	case r.kind == "vars":
		r.want(r.group, col+1)
	case r.kind == "children" || r.kind == "" || r.kind == "hosts":
		r.inv.group(r.group)
	default:
		r.skip = true
		r.mistake(col+2+len(r.group), len(r.kind), "unknown kind of section %q; want vars or children", r.kind).
			Try("%s", source.DidYouMean(r.kind, []string{"vars", "children", "hosts"}))
	}
}

// want notes that a group must be made by some section, before or after.
func (r *iniReader) want(name string, col int) {
	if _, noted := r.wanted[name]; !noted {
		r.wanted[name] = r.file.At(r.number, col)
	}
}

func (r *iniReader) child(text string, col int) {
	name := strings.TrimSpace(uncomment(text))
	if !groupName.MatchString(name) || name == r.group || name == all {
		r.mistake(col, len(name), "%q cannot be a child of group %q", name, r.group)
		return
	}
	r.want(name, col)
	r.nested = append(r.nested, nesting{name, r.group})
}

// variable reads one line of a section [group:vars].
func (r *iniReader) variable(text string, col int) {
	name, value, found := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if !found || name == "" {
		r.mistake(col, utf8.RuneCountInString(text), "want name=value, found %q", text)
		return
	}
	at := col + utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeft(value, " \t"))
	if r.later[r.group] == nil {
		r.later[r.group] = vars.Layer{}
	}
	r.later[r.group][name] = r.value(strings.TrimSpace(value), at)
}

// member reads a host with its variables: name[:port] key=value key=value
func (r *iniReader) member(text string, col int) {
	words, err := source.Words(uncomment(text))
	if err != nil {
		r.mistake(col, 1, "%s", err)
		return
	}
	name, port := splitPort(words[0].Text)
	layer := vars.Layer{}
	if port != "" {
		layer["ansible_port"] = r.value(port, col+len(name)+1)
	}
	for _, w := range words[1:] {
		at := col + utf8.RuneCountInString(text[:w.Start])
		key, value, found := strings.Cut(w.Text, "=")
		if !found || key == "" {
			r.mistake(at, utf8.RuneCountInString(w.Raw), "want name=value behind the host, found %q", w.Text)
			continue
		}
		layer[key] = r.value(value, at+utf8.RuneCountInString(key)+1)
	}
	for _, host := range r.hosts(r.file.At(r.number, col), name, r.group) {
		maps.Copy(r.inv.host(host).vars, layer)
	}
}

var hostPort = regexp.MustCompile(`^([^:]+|.*\]):([0-9]{1,5})$`)

// splitPort separates web1:2222. An address with several colons has no port.
func splitPort(text string) (name, port string) {
	if m := hostPort.FindStringSubmatch(text); m != nil && strings.Count(m[1], "[") == strings.Count(m[1], "]") {
		return m[1], m[2]
	}
	return text, ""
}

// uncomment cuts what stands behind # at the start of a word.
func uncomment(text string) string {
	quote := rune(0)
	for i, c := range text {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
			return strings.TrimRight(text[:i], " \t")
		}
	}
	return text
}

// value reads what stands behind the equals sign: a Python literal, or text.
func (r *iniReader) value(text string, col int) jinja.Value {
	if v, ok := literal(text); ok {
		if _, isText := v.(string); !isText {
			return jinja.FromGo(v)
		}
		text = v.(string)
	}
	pos := r.file.At(r.number, col)
	if jinja.HasTemplate(text) {
		_, err := jinja.Parse(text, pos)
		r.errs.Add(pos, err)
	}
	return jinja.Trusted(text, pos)
}
