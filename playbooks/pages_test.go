package playbooks_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// headings are the sections of a playbook's page, after its first paragraph.
var headings = []string{"When to use it:", "What it will not do:", "Variables:"}

// TestEveryPlaybookHasItsPage: what it does in a sentence, when to use it, what it
// will not do, and exactly the variables that it reads from outside.
func TestEveryPlaybookHasItsPage(t *testing.T) {
	require.NotEmpty(t, playbooks.Shipped())
	for _, name := range playbooks.Shipped() {
		t.Run(name, func(t *testing.T) {
			summary := playbooks.Summary(name)
			assert.True(t, len(summary) <= 160 && strings.HasSuffix(summary, "."), "the first sentence is to end with a full stop within 160 characters: %q", summary)
			about, _ := playbooks.About(name)
			text, err := os.ReadFile(name + ".yaml")
			require.NoError(t, err)
			for _, wrong := range mistakesOf(name, about, whole(t, string(text))) {
				t.Error(wrong)
			}
		})
	}
}

// whole is a playbook with what it imports in its place: the tasks of a file as a
// block, under which stands what stands under the import.
func whole(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(text) {
		at, name, imports := strings.Cut(line, "- import_tasks: ")
		if !imports || strings.TrimSpace(at) != "" {
			b.WriteString(line)
			continue
		}
		data, err := os.ReadFile(filepath.Join("tasks", filepath.Base(strings.TrimSpace(name))))
		require.NoError(t, err)
		b.WriteString(at + "- block:\n")
		for inner := range strings.Lines(whole(t, string(data))) {
			b.WriteString(at + "    " + inner)
		}
	}
	return b.String()
}

// mistakesOf are those of a page, beside what its playbook reads.
func mistakesOf(name, about, text string) []string {
	wrong := shape(about)
	listed, bad := variables(about)
	wrong = append(wrong, bad...)
	reads, err := readsOf(name, text)
	if err != nil {
		return append(wrong, err.Error())
	}
	for _, v := range slices.Sorted(maps.Keys(reads)) {
		given, ok := listed[v]
		if wants := wanted(v, text); !ok {
			wrong = append(wrong, fmt.Sprintf("%s is read and does not stand under Variables: its default is (%s)", v, strings.Join(wants, ") or (")))
		} else if wants != nil && !slices.Contains(wants, given) {
			wrong = append(wrong, fmt.Sprintf("%s (%s): its default is (%s)", v, given, strings.Join(wants, ") or (")))
		}
	}
	for _, v := range slices.Sorted(maps.Keys(listed)) {
		if !reads[v] {
			wrong = append(wrong, v+" stands under Variables, and is not read from outside")
		}
	}
	return wrong
}

// shape is what is wrong with the page's sections and lines.
func shape(about string) []string {
	var wrong []string
	lines := strings.Split(strings.TrimRight(about, "\n"), "\n")
	at := 0
	for _, h := range headings {
		i := slices.Index(lines, h)
		switch {
		case i < at || i == 0:
			wrong = append(wrong, fmt.Sprintf("%q is to stand on a line of its own, after what it does and in the order %q", h, headings))
			continue
		case i+1 >= len(lines) || !strings.HasPrefix(lines[i+1], "  "):
			wrong = append(wrong, fmt.Sprintf("there is nothing under %q", h))
		}
		at = i
	}
	for _, line := range lines {
		if len([]rune(line)) > 120 {
			wrong = append(wrong, "a line is longer than 120 characters: "+line)
		}
	}
	return wrong
}

var variable = regexp.MustCompile(`^  ([A-Za-z_]\w*) \((.*?)\)(  +\S.*)?$`)

// variables are those that a page lists, with the defaults that it gives.
func variables(about string) (map[string]string, []string) {
	_, section, _ := strings.Cut(about, "\nVariables:\n")
	listed, wrong := map[string]string{}, []string(nil)
	for line := range strings.Lines(section) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" {
			break
		}
		m := variable.FindStringSubmatch(line)
		switch {
		case line == "  (none)", strings.HasPrefix(line, "     "):
		case m == nil || m[3] == "":
			wrong = append(wrong, "a variable's line is `  NAME (DEFAULT)  MEANING`: "+line)
		default:
			listed[m[1]] = m[2]
		}
	}
	return listed, wrong
}

// ofTheEngine are the names that the engine gives a meaning; with them go all
// that begin with ansible_.
var ofTheEngine = []string{"inventory_hostname", "inventory_hostname_short", "group_names", "groups", "hostvars", "play_hosts", "playbook_dir", "runbook_run", "omit"}

// names are what one play reads and defines.
type names struct{ reads, here, everywhere map[string]bool }

// readsOf are the names that a playbook reads and nothing in it defines.
func readsOf(path, text string) (map[string]bool, error) {
	root, errs := source.Parse(&source.File{Name: path, Data: []byte(text)})
	if err := errs.Err(); err != nil {
		return nil, err
	}
	var plays []names
	registered := map[string]bool{}
	for _, play := range root.Content {
		n := names{map[string]bool{}, map[string]bool{}, registered}
		if err := n.mapping(play); err != nil {
			return nil, err
		}
		plays = append(plays, n)
	}
	all := map[string]bool{}
	for _, n := range plays {
		for name := range n.reads {
			if !n.here[name] && !registered[name] && !strings.HasPrefix(name, "ansible_") && !slices.Contains(ofTheEngine, name) {
				all[name] = true
			}
		}
	}
	return all, nil
}

// mapping reads a play, a block or a task.
func (n names) mapping(m *yaml.Node) error {
	for key, value := range source.Pairs(m) {
		if err := n.keyword(key.Value, value); err != nil {
			return err
		}
	}
	return nil
}

func (n names) keyword(key string, value *yaml.Node) error {
	switch key {
	case "pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always":
		for _, item := range value.Content {
			if err := n.mapping(item); err != nil {
				return err
			}
		}
		return nil
	case "when", "until", "changed_when", "failed_when":
		return n.expressions(value)
	case "register":
		n.everywhere[value.Value] = true
		return nil
	case "loop":
		n.here["item"] = true
	case "loop_control":
		for k, v := range source.Pairs(value) {
			if k.Value == "loop_var" || k.Value == "index_var" {
				n.here[v.Value] = true
			}
		}
	case "vars":
		for k := range source.Pairs(value) {
			n.here[k.Value] = true
		}
	}
	if def, ok := modules.Lookup(key); ok {
		return n.arguments(def, value)
	}
	return n.templates(value)
}

func (n names) arguments(def modules.Def, value *yaml.Node) error {
	args := map[string]source.Arg{}
	for _, a := range source.ArgsOf(def.New()) {
		args[a.Name] = a
	}
	for k, v := range source.Pairs(value) {
		a, known := args[k.Value]
		if def.Facts == modules.SetFacts && (!known || a.Rest) {
			n.everywhere[k.Value] = true
		}
		read := n.templates
		if a.Expr {
			read = n.expressions
		}
		if err := read(v); err != nil {
			return err
		}
	}
	if value.Kind == yaml.ScalarNode {
		return n.templates(value)
	}
	return nil
}

// expressions reads what is written without {{ }}.
func (n names) expressions(value *yaml.Node) error {
	for _, item := range value.Content {
		if err := n.expressions(item); err != nil {
			return err
		}
	}
	if value.Kind != yaml.ScalarNode {
		return nil
	}
	e, err := jinja.ParseExpr(value.Value, source.Pos{})
	if err != nil {
		return err
	}
	n.read(e.Names())
	return nil
}

func (n names) templates(value *yaml.Node) error {
	for _, item := range value.Content {
		if err := n.templates(item); err != nil {
			return err
		}
	}
	if value.Kind != yaml.ScalarNode || !jinja.HasTemplate(value.Value) {
		return nil
	}
	t, err := jinja.Parse(value.Value, source.Pos{})
	if err != nil {
		return err
	}
	n.read(t.Names())
	return nil
}

func (n names) read(names []string) {
	for _, name := range names {
		n.reads[name] = true
	}
}

// wanted are the defaults that a playbook gives a variable, as its page has them;
// nil where one of them is computed: the page then says it in words.
func wanted(name, text string) []string {
	given := regexp.MustCompile(`\b`+name+`\s*\|\s*(?:default|d)\(\s*('[^']*'|"[^"]*"|-?[\w.]+|\[\s*\]|\{\s*\})?`).FindAllStringSubmatch(text, -1)
	if given == nil && regexp.MustCompile(`\b`+name+`\s+is\s+(not\s+)?defined`).MatchString(text) {
		return []string{"none"}
	}
	if given == nil {
		return []string{"required"}
	}
	var all []string
	for _, g := range given {
		literal := strings.Trim(g[1], `'" `)
		quoted := literal != g[1]
		switch {
		case g[1] == "", !quoted && regexp.MustCompile(`^[A-Za-z_]`).MatchString(literal) && literal != "true" && literal != "false":
			return nil
		case literal == "", strings.HasPrefix(literal, "[") && !quoted, strings.HasPrefix(literal, "{") && !quoted:
			literal = "none"
		}
		if !slices.Contains(all, literal) {
			all = append(all, literal)
		}
	}
	return all
}

// TestAPageThatLiesIsFound: the demands on a page are none that cannot fail.
func TestAPageThatLiesIsFound(t *testing.T) {
	page := `It does one thing.

When to use it:
  Now.

What it will not do:
  More.

Variables:
  who (world)  whom to greet
  times (1)    how often; said at
               some length
  site (required)  where
  extra (none)     more
`
	play := `- hosts: "{{ site }}"
  vars: {greeting: "hello {{ who | default('world') }}"}
  tasks:
    - {command: "echo {{ greeting }} {{ item }} {{ inventory_hostname }}", loop: "{{ range(times | default(1)) }}", register: said}
    - {debug: {var: said.stdout}, when: "not quiet"}
    - {set_fact: {quiet: "{{ extra | default([]) }}"}}
`
	require.Empty(t, mistakesOf("none", page, play))
	for name, lie := range map[string]struct{ from, to, says string }{
		"another default":     {"who (world)", "who (you)", "who (you): its default is (world)"},
		"not a word of it":    {"  site (required)  where\n", "", "site is read and does not stand under Variables"},
		"nobody reads it":     {"  extra (none)", "  other (1)  x\n  extra (none)", "other stands under Variables"},
		"a name of its own":   {"  extra (none)", "  said (1)  x\n  extra (none)", "said stands under Variables"},
		"no meaning":          {"who (world)  whom to greet", "who (world)", "NAME (DEFAULT)  MEANING"},
		"a section is gone":   {"What it will not do:\n", "", `"What it will not do:" is to stand`},
		"nothing under it":    {"  Now.\n", "", `nothing under "When to use it:"`},
		"nothing before":      {"It does one thing.\n\n", "", `"When to use it:" is to stand`},
		"too long to be read": {"  Now.", "  Now" + strings.Repeat(".", 120), "longer than 120"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, page, lie.from)
			wrong := mistakesOf("none", strings.Replace(page, lie.from, lie.to, 1), play)
			assert.Contains(t, strings.Join(wrong, "\n"), lie.says)
		})
	}
}

// TestAPlaybookOfAFolderHasAPage: what the program carries is what is here.
func TestAPlaybookOfAFolderHasAPage(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.Len(t, playbooks.Shipped(), len(files))
	for _, name := range playbooks.Shipped() {
		assert.NotEmpty(t, playbooks.Summary(name), name)
	}
}
