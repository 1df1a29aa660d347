package vars_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

func project(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
}

func plain(layer vars.Layer) map[string]any {
	all := map[string]any{}
	for name, v := range layer {
		all[name] = jinja.ToGo(v)
	}
	return all
}

type scope vars.Layer

func (s scope) Lookup(name string) (jinja.Value, bool) { v, ok := s[name]; return v, ok }

func TestExtra(t *testing.T) {
	project(t, map[string]string{"more.yml": "a: 5\nb: [yes, '{{ c }}']\n"})
	got, errs := vars.Extra([]string{"a=1 t='x y'", "@more.yml", `{"n": 2, "text": "3"}`, "a=last", "c={{ n }}"})
	require.NoError(t, errs.Err())
	assert.Equal(t, map[string]any{
		"a": "last", "t": "x y", "b": []any{true, "{{ c }}"}, "n": int64(2), "text": "3", "c": "{{ n }}",
	}, plain(got))
	v, err := jinja.Resolve(got["b"], scope(got))
	require.NoError(t, err)
	assert.Equal(t, []any{true, int64(2)}, jinja.ToGo(v), "what is given with -e is trusted")
}

func TestExtraFindsMistakes(t *testing.T) {
	project(t, map[string]string{"list.yml": "- a\n"})
	tests := map[string]string{
		"a":           `-e:1:1: want NAME=VALUE, found "a"; or give @FILE, or a mapping in YAML or JSON`,
		"a=1 b-c=2":   `-e:1:5: want NAME=VALUE, found "b-c=2"; or give @FILE, or a mapping in YAML or JSON`,
		"a='x":        `-e:1:1: the quote ' at character 3 is not closed`,
		`{"a-b": 1}`:  `-e:1:2: "a-b" cannot be the name of a variable; use letters, digits and underscores`,
		"[1]":         `-e:1:1: want variables, name: value, found a list`,
		"{":           `-e:1:`,
		"a={{ 1 + }}": `-e:1:`,
		"@none.yml":   `variables: open none.yml: no such file or directory`,
		"@list.yml":   `list.yml:1:1: want variables, name: value, found a list`,
	}
	for arg, want := range tests {
		_, errs := vars.Extra([]string{arg})
		require.NotEmpty(t, errs, arg)
		assert.Contains(t, errs.Error(), want, arg)
	}
}

func TestValueKeepsOrderKindsAndPlaces(t *testing.T) {
	f := &source.File{Name: "x.yml", Data: []byte("z: 1\na: {2: two, 1: one}\nm: [0644, yes, 1.5, null, text]\nbad: \"{{ nope }}\"\n")}
	n, errs := source.Parse(f)
	require.NoError(t, errs.Err())
	v, errs := vars.Value(f, n)
	require.NoError(t, errs.Err())
	assert.Equal(t, "{'z': 1, 'a': {1: 'one', 2: 'two'}, 'm': [420, True, 1.5, None, 'text'], 'bad': '{{ nope }}'}", jinja.Text(v))
	_, err := jinja.Resolve(v, scope{})
	require.ErrorContains(t, err, "x.yml:4:")
}

func TestBesideReadsFilesInOrder(t *testing.T) {
	project(t, map[string]string{
		"group_vars/web/10.yml":    "a: 1\nb: 1\n",
		"group_vars/web/sub/20":    "b: 2\n",
		"group_vars/web/.x/1.yml":  "b: 3\n",
		"group_vars/web/notes.txt": "b: 4\n",
		"group_vars/db.json":       `{"c": 1}`,
	})
	for name, want := range map[string]map[string]any{
		"web": {"a": int64(1), "b": int64(2)}, "db": {"c": int64(1)}, "none": {},
	} {
		layer, errs := vars.Beside(nil, "group_vars", name)
		require.NoError(t, errs.Err())
		assert.Equal(t, want, plain(layer), name)
	}
}
