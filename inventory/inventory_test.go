package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/inventory"
	"runbook/playbooks/jinja"
)

// project writes files into a fresh working directory. A name that ends in ! is
// executable.
func project(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		mode := os.FileMode(0o600)
		if name[len(name)-1] == '!' {
			name, mode = name[:len(name)-1], 0o700
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), mode))
	}
}

func load(t *testing.T, sources ...string) *inventory.Inventory {
	t.Helper()
	inv, errs := inventory.Load(t.Context(), sources)
	require.NoError(t, errs.Err())
	return inv
}

// vars is what a host's variables come to.
func vars(inv *inventory.Inventory, host string) map[string]any {
	all := map[string]any{}
	for _, layer := range inv.Layers(host) {
		for name, v := range layer {
			all[name] = jinja.ToGo(v)
		}
	}
	return all
}

func hosts(t *testing.T, inv *inventory.Inventory, pattern string) []string {
	t.Helper()
	found, err := inv.Select(pattern)
	require.NoError(t, err, pattern)
	names := []string{}
	for _, h := range found {
		names = append(names, h.Name)
	}
	return names
}

func TestTheNodesOfTheCluster(t *testing.T) {
	inv := load(t, "nodes.yaml")
	assert.Len(t, hosts(t, inv, "all"), 8)
	assert.Equal(t, []string{"node001", "node002", "node003"}, hosts(t, inv, "control_plane"))
	last := vars(inv, "node008")
	assert.Equal(t, "10.0.0.114", last["ansible_host"])
	assert.Equal(t, "root", last["ansible_user"])
	assert.Equal(t, []any{"https://10.0.0.110/", "https://10.0.0.111/health"}, last["urls"])
	assert.Equal(t, []string{"workers"}, inv.GroupNames("node008"))
}

func TestINI(t *testing.T) {
	project(t, map[string]string{"hosts": `
# a comment
lonely:2222 name=x
web[01:03] ansible_user=admin port=80 on=True text='a b' list="['a', 1]" zero=0644 # behind

[db]
db-[a:b] ansible_host="10.0.0.{{ n }}"

[db:vars]
size = 5
ratio=1.5
words = several words
quoted = "x y"

[site:children]
web
db

[web]
web01
web02
web03
`})
	inv := load(t, "hosts")
	assert.Equal(t, []string{"lonely", "web01", "web02", "web03", "db-a", "db-b"}, hosts(t, inv, "lonely:site"))
	assert.Equal(t, map[string]any{"ansible_port": int64(2222), "name": "x"}, vars(inv, "lonely"))
	assert.Equal(t, map[string]any{
		"ansible_user": "admin", "port": int64(80), "on": true, "text": "a b", "list": []any{"a", int64(1)}, "zero": "0644",
	}, vars(inv, "web02"))
	assert.Equal(t, map[string]any{
		"ansible_host": "10.0.0.{{ n }}", "size": int64(5), "ratio": 1.5, "words": "several words", "quoted": "x y",
	}, vars(inv, "db-b"))
	assert.Equal(t, map[string][]string{
		"all": {"lonely", "web01", "web02", "web03", "db-a", "db-b"}, "ungrouped": {"lonely"}, "db": {"db-a", "db-b"},
		"web": {"web01", "web02", "web03"}, "site": {"web01", "web02", "web03", "db-a", "db-b"},
	}, inv.Groups())
	assert.Equal(t, []string{"db", "site"}, inv.GroupNames("db-a"))
	assert.Equal(t, []string{"ungrouped"}, inv.GroupNames("lonely"))
}

func TestYAML(t *testing.T) {
	project(t, map[string]string{"hosts.yml": `
all:
  vars: {a: all, b: all, c: all}
  hosts:
    lonely:
  children:
    site:
      vars: {b: site, c: site}
      children:
        web:
          hosts:
            web[1:2]: {c: host}
            "web3":
web:
  vars: {d: yes, e: "{{ a }}"}
empty:
`})
	inv := load(t, "hosts.yml")
	assert.Equal(t, []string{"lonely", "web1", "web2", "web3"}, hosts(t, inv, "all"))
	assert.Equal(t, map[string]any{"a": "all", "b": "site", "c": "host", "d": true, "e": "{{ a }}"}, vars(inv, "web1"))
	assert.Equal(t, map[string]any{"a": "all", "b": "site", "c": "site", "d": true, "e": "{{ a }}"}, vars(inv, "web3"))
	assert.Equal(t, []string{}, inv.Groups()["empty"])
}

func TestTextsOfFilesAreTrustedAndThoseOfScriptsAreNot(t *testing.T) {
	project(t, map[string]string{
		"hosts.yml": "all: {hosts: {a: {x: '{{ y }}', y: 1}}}\n",
		"script!":   "#!/bin/sh\necho '{\"_meta\": {\"hostvars\": {\"b\": {\"x\": \"{{ y }}\", \"y\": 1}}}}'\n",
	})
	inv := load(t, "hosts.yml", "script")
	for host, want := range map[string]any{"a": int64(1), "b": "{{ y }}"} {
		scope := map[string]jinja.Value{}
		for _, layer := range inv.Layers(host) {
			for name, v := range layer {
				scope[name] = v
			}
		}
		v, err := jinja.Resolve(scope["x"], lookup(scope))
		require.NoError(t, err)
		assert.Equal(t, want, jinja.ToGo(v), host)
	}
}

type lookup map[string]jinja.Value

func (l lookup) Lookup(name string) (jinja.Value, bool) { v, ok := l[name]; return v, ok }

func TestScript(t *testing.T) {
	project(t, map[string]string{
		"meta!": `#!/bin/sh
test "$1" = --list || exit 9
echo '{"web": {"hosts": ["w1"], "vars": {"a": 1}, "children": ["inner"]}, "inner": ["w2"], "_meta": {"hostvars": {"w1": {"n": 12345678901}}}}'
`,
		"ask!": `#!/bin/sh
if [ "$1" = --host ]; then echo "{\"who\": \"$2\"}"; else echo '{"db": ["d1", "d2"]}'; fi
`,
	})
	inv := load(t, "meta", "ask")
	assert.Equal(t, []string{"w1", "w2"}, hosts(t, inv, "web"))
	assert.Equal(t, map[string]any{"a": int64(1), "n": int64(12345678901)}, vars(inv, "w1"))
	assert.Equal(t, map[string]any{"who": "d2"}, vars(inv, "d2"))
}

func TestListOfNames(t *testing.T) {
	inv := load(t, "a, b[1:2],")
	assert.Equal(t, []string{"a", "b1", "b2"}, hosts(t, inv, "all"))
}

func TestDirectory(t *testing.T) {
	project(t, map[string]string{
		"inv/10-web.ini":             "[web]\nw1\n",
		"inv/20-db.yml":              "db: {hosts: {d1: }}\n",
		"inv/.hidden":                "nonsense here\n",
		"inv/notes.md":               "# nonsense\n",
		"inv/old~":                   "nonsense here\n",
		"inv/group_vars/all.yml":     "a: file\n",
		"inv/group_vars/web/1.yml":   "b: 1\nc: 1\n",
		"inv/group_vars/web/2.yaml":  "c: 2\n",
		"inv/group_vars/web/x.bak":   "c: 3\n",
		"inv/host_vars/w1":           "d: host\n",
		"inv/group_vars/nobody.json": "{",
	})
	inv := load(t, "inv")
	assert.Equal(t, []string{"w1", "d1"}, hosts(t, inv, "all"))
	assert.Equal(t, map[string]any{"a": "file", "b": int64(1), "c": int64(2), "d": "host"}, vars(inv, "w1"))
}

func TestPrecedence(t *testing.T) {
	levels := []string{"file all", "file parent", "file child", "inv all", "play all", "inv child", "play child", "file host", "inv host", "play host"}
	files := map[string]string{
		"inv/hosts.yml":             "all: {vars: LEVEL0, children: {parent: {vars: LEVEL1, children: {child: {vars: LEVEL2, hosts: {h: LEVEL7}}}}}}\n",
		"inv/group_vars/all.yml":    "LEVEL3",
		"play/group_vars/all.yml":   "LEVEL4",
		"inv/group_vars/child.yml":  "LEVEL5",
		"play/group_vars/child.yml": "LEVEL6",
		"inv/host_vars/h.yml":       "LEVEL8",
		"play/host_vars/h.yml":      "LEVEL9",
	}
	for name, text := range files {
		for i := range levels {
			// Level i defines v0 to vi: the highest that has a name wins.
			all := "{"
			for j := range i + 1 {
				all += "v" + string(rune('0'+j)) + ": " + levels[i] + ", "
			}
			text = strings.ReplaceAll(text, "LEVEL"+string(rune('0'+i)), all+"}")
		}
		files[name] = text
	}
	project(t, files)
	inv, errs := load(t, "inv/hosts.yml").Beside("play")
	require.NoError(t, errs.Err())
	got := vars(inv, "h")
	for i := range levels {
		assert.Equal(t, levels[9], got["v"+string(rune('0'+i))])
	}
	for level := range levels {
		assert.Equal(t, levels[level], winner(inv, level), "what level %d defines and no higher one does", level)
	}
}

// winner is the highest layer's value among the layers up to a level.
func winner(inv *inventory.Inventory, level int) string {
	return jinja.Text(inv.Layers("h")[level]["v0"])
}

func TestSiblingsAndPriority(t *testing.T) {
	project(t, map[string]string{"hosts": "[b]\nh\n[a]\nh\n[b:vars]\nx=b\ny=b\n[a:vars]\nx=a\ny=a\n", "first": "[a:vars]\nansible_group_priority=10\n[a]\n"})
	assert.Equal(t, "b", vars(load(t, "hosts"), "h")["x"])
	assert.Equal(t, "a", vars(load(t, "hosts", "first"), "h")["x"])
}

func TestThisMachineIsAlwaysThere(t *testing.T) {
	project(t, map[string]string{"hosts.yml": "all: {vars: {a: 1}, hosts: {h: }}\n"})
	inv := load(t, "hosts.yml")
	found, err := inv.Select("localhost")
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.True(t, found[0].Implicit)
	assert.Equal(t, map[string]any{"a": int64(1), "ansible_connection": "local"}, vars(inv, "localhost"))
	assert.Equal(t, []string{"h"}, hosts(t, inv, "all"), "all does not have it")
	assert.Equal(t, []string{}, inv.GroupNames("localhost"))
}
