package modules

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// sharedFile names the file of modules that live in another one's.
var sharedFile = map[string]string{"systemd": "service"}

// Every module is held to the recipe in the package comment.
func TestRegistry(t *testing.T) {
	require.NotEmpty(t, Names())
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			d, ok := Lookup(name)
			require.True(t, ok)
			full, ok := Lookup("ansible.builtin." + name)
			require.True(t, ok)
			assert.Equal(t, d.Name, full.Name)

			file := name
			if other := sharedFile[name]; other != "" {
				file = other
			}
			assert.FileExists(t, file+".go")
			assert.FileExists(t, file+"_test.go")
			assert.Regexp(t, `^[A-Z][a-z]+[, ][^\n]*[^.\n]$`, d.Doc, "one line that begins with a verb, no full stop")
			checkArguments(t, d)
			assert.Contains(t, modulesOf(t, name), name, "the example does not show its module")
		})
	}
}

func TestLookup(t *testing.T) {
	d, ok := Lookup("ansible.builtin.systemd_service")
	assert.True(t, ok)
	assert.Equal(t, "systemd", d.Name)
	for _, name := range []string{"", "nope", "ansible.builtin.", "ansible.builtin.nope", "community.general.ping"} {
		_, ok := Lookup(name)
		assert.False(t, ok, name)
	}
}

var (
	argumentName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	options      = []string{"required", "free", "expr", "file", "secret", "rest"}
)

func checkArguments(t *testing.T, d Def) {
	t.Helper()
	one, two := reflect.ValueOf(d.New()), reflect.ValueOf(d.New())
	require.Equal(t, reflect.Pointer, one.Kind())
	require.Equal(t, reflect.Struct, one.Elem().Kind())
	assert.NotEqual(t, one.Pointer(), two.Pointer(), "two tasks share their arguments")

	seen := map[string]bool{}
	free := 0
	for i := range one.Elem().NumField() {
		f := one.Elem().Type().Field(i)
		if !f.IsExported() {
			continue
		}
		words := strings.Split(f.Tag.Get("arg"), ",")
		for _, key := range append([]string{words[0]}, strings.Fields(f.Tag.Get("alias"))...) {
			assert.Regexp(t, argumentName, key, f.Name)
			assert.False(t, seen[key], "%q is given twice", key)
			seen[key] = true
		}
		for _, option := range words[1:] {
			assert.Contains(t, options, option, f.Name)
		}
		if slices.Contains(words, "free") {
			free++
		}
		assert.Regexp(t, `^[^\n]+\.$`, f.Tag.Get("doc"), "%s: one sentence", f.Name)
		checkTypes(t, f, words[1:])
		if enum := strings.Fields(f.Tag.Get("enum")); f.Type.Kind() == reflect.String && len(enum) > 0 {
			assert.Contains(t, append(enum, ""), one.Elem().Field(i).String(), "the default is not allowed")
		}
	}
	assert.LessOrEqual(t, free, 1, "two arguments take the free text")
}

// checkTypes holds the options that ask for a type to it.
func checkTypes(t *testing.T, f reflect.StructField, options []string) {
	t.Helper()
	bare := f.Type
	for bare.Kind() == reflect.Pointer || bare.Kind() == reflect.Slice {
		bare = bare.Elem()
	}
	for option, want := range map[string]reflect.Type{"expr": reflect.TypeFor[Expr](), "file": reflect.TypeFor[Local]()} {
		assert.Equal(t, slices.Contains(options, option), bare == want, "%s: %s is for %s", f.Name, option, want)
	}
	if slices.Contains(options, "rest") {
		assert.Equal(t, reflect.TypeFor[map[string]any](), f.Type, f.Name)
	}
}

// modulesOf lists the keys of all tasks of an example.
func modulesOf(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "examples", name+".yaml"))
	require.NoError(t, err)
	var plays []struct {
		Tasks    []map[string]any
		Handlers []map[string]any
	}
	require.NoError(t, yaml.Unmarshal(data, &plays))
	var keys []string
	for _, p := range plays {
		for _, task := range append(p.Tasks, p.Handlers...) {
			for key := range task {
				keys = append(keys, strings.TrimPrefix(key, "ansible.builtin."))
			}
		}
	}
	return keys
}
