package playbooks_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks"
	"runbook/runner/source"
)

// importing reads a playbook beside other files, given as name and text.
func importing(t *testing.T, text string, files map[string]string) (*playbooks.Playbook, source.Errors) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	path := filepath.Join(dir, "site.yml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return playbooks.Load(path)
}

func TestImportedTasksStandInTheirPlace(t *testing.T) {
	book, errs := importing(t, `
- hosts: all
  tags: [play]
  tasks:
    - {name: first, ping: }
    - name: the parts
      import_tasks: tasks/outer.yml
      when: a
      tags: [imported]
      vars: {x: 1}
      become: true
    - ansible.builtin.import_tasks: {file: tasks/inner/more.yml}
`, map[string]string{
		"tasks/outer.yml":      "- {name: second, ping: , when: b}\n- import_tasks: inner/more.yml\n- import_tasks: tasks/inner/more.yml\n",
		"tasks/inner/more.yml": "- {name: third, ping: , tags: own}\n",
	})
	require.NoError(t, errs.Err())
	list := book.Plays[0].Tasks
	require.Len(t, list, 3)
	outer := list[1].(*playbooks.Block)
	second := outer.Tasks[0].(*playbooks.Task)
	third := outer.Tasks[1].(*playbooks.Block).Tasks[0].(*playbooks.Task)
	again := list[2].(*playbooks.Block).Tasks[0].(*playbooks.Task)
	assert.Len(t, second.When, 2)
	assert.Equal(t, []string{"play", "imported", "own"}, third.Tags)
	assert.Len(t, third.When, 1)
	assert.Len(t, third.Layers, 1)
	assert.NotNil(t, third.Become)
	assert.Contains(t, third.Pos.String(), "more.yml:1:3")
	assert.Equal(t, []string{"play", "own"}, again.Tags)
	assert.Nil(t, again.Become)
	var read []string
	for _, f := range book.Files() {
		read = append(read, filepath.Base(f.Path))
	}
	assert.ElementsMatch(t, []string{"site.yml", "outer.yml", "more.yml"}, read, "a plan names them")
}

func TestMistakesInImports(t *testing.T) {
	files := map[string]string{
		"lost.yml": "- import_tasks: nowhere.yml\n", "circle.yml": "- import_tasks: back.yml\n", "back.yml": "- import_tasks: circle.yml\n",
		"empty.yml": "[]\n", "play.yml": "- hosts: all\n", "text.yml": "hello\n", "broken.yml": "- {\n",
	}
	for name, c := range map[string]struct{ task, want string }{
		"not there":         {"import_tasks: none.yml", "site.yml:3:21: import_tasks: open"},
		"nowhere":           {"import_tasks: lost.yml", `lost.yml:1:17: import_tasks: "nowhere.yml" is neither beside this file nor beside the playbook`},
		"a template":        {"import_tasks: '{{ x }}'", `site.yml:3:21: import_tasks wants the path of a file, without templates, found "{{ x }}"`},
		"no path":           {"import_tasks: ", "site.yml:3:20: import_tasks wants the path of a file"},
		"a loop":            {"import_tasks: empty.yml\n      loop: [1]", `site.yml:4:7: "loop" is not allowed with import_tasks`},
		"a strange keyword": {"import_tasks: play.yml\n      wehn: x", `site.yml:4:7: unknown keyword "wehn" in a task that imports; did you mean "when"?`},
		"in a circle":       {"import_tasks: circle.yml", "back.yml:1:17: import_tasks: "},
		"without tasks":     {"import_tasks: empty.yml", "empty.yml:1:1: the file has no tasks, and is imported at"},
		"a playbook":        {"import_tasks: play.yml", `play.yml:1:3: unknown module "hosts"`},
		"text":              {"import_tasks: text.yml", `text.yml:1:1: "tasks" wants a list of tasks, found text`},
		"no YAML":           {"import_tasks: broken.yml", "broken.yml:2:1: not YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := importing(t, "- hosts: all\n  tasks:\n    - "+c.task+"\n", files)
			require.NotEmpty(t, errs)
			assert.Contains(t, errs.Error(), c.want)
		})
	}
	_, errs := importing(t, "- hosts: all\n  tasks: []\n  handlers:\n    - import_tasks: empty.yml\n", files)
	assert.Contains(t, errs.Error(), "site.yml:4:7: import_tasks is not supported yet in handlers")
}
