package plan_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks/jinja"
	"runbook/runner/plan"
)

// scope has the one variable that the project's playbook uses.
type scope struct{}

func (scope) Lookup(name string) (jinja.Value, bool) {
	return jinja.FromGo("issue"), name == "which"
}

func TestGather(t *testing.T) {
	p := newProject(t)
	l := p.load(t)
	before := p.gather(t, l, ours)
	in := p.gather(t, l.ran(t), ours)

	names := slices.Sorted(maps.Keys(in.Digests()))
	want := []string{
		"file books/files/issue", "file books/files/motd", "file books/group_vars/web.yml", "file books/setup.sh", "file books/site.yaml",
		"file books/vars.yml", "file host_vars/node1.yml", "file hosts.yml",
		"host localhost", "host node1", "host node2", "inventory", "variable mode", "variable release",
	}
	assert.Equal(t, want, names)
	assert.Equal(t, want[1:], slices.Sorted(maps.Keys(before.Digests())), "a file that a template names is not known before it is read")
	assert.Empty(t, before.Since(in.Digests()), "it is looked at all the same")
	assert.Equal(t, "books/site.yaml", in.Playbook)
	assert.Equal(t, "Debian\n", string(in.Files[0].Data))
	assert.JSONEq(t, `{"groups": ["web"], "vars": {"rack": "a", "port": 80, "spare": true}}`, string(in.Hosts[1].Data))
	assert.JSONEq(t, `{"release": 8}`, string(in.Extra[1].Data))

	assert.Equal(t, in, p.gather(t, l, ours), "gathered twice")
	other := p.gather(t, l, theirs).Digests()
	for name, digest := range in.Digests() {
		assert.NotEqual(t, digest, other[name], "without the key nobody can say what has the digest of %s", name)
	}
}

func TestGatherElsewhere(t *testing.T) {
	p := newProject(t)
	in := p.gather(t, p.load(t), ours)
	elsewhere, err := plan.Gather(t.TempDir(), p.load(t).book, p.load(t).inv, nil, nil, ours)
	require.NoError(t, err)
	assert.Equal(t, p.book, elsewhere.Playbook, "outside of the project's directory a path stays whole")

	moved := newProject(t)
	assert.Empty(t, moved.gather(t, moved.load(t), ours).Since(in.Digests()), "another checkout of the same project")
}

func TestGatherAFileThatChangesMeanwhile(t *testing.T) {
	p := newProject(t)
	l := p.load(t).ran(t)
	p.write(t, "books/files/motd", "bye\n")
	_, err := plan.Gather(p.dir, l.ran(t).book, l.inv, l.extra, nil, ours)
	assert.EqualError(t, err, "books/files/motd changed while it was being read: begin again")
}

func TestSince(t *testing.T) {
	tests := map[string]struct {
		change func(*testing.T, *project)
		want   []string
	}{
		"nothing": {func(*testing.T, *project) {}, nil},
		"touched": {func(t *testing.T, p *project) { p.write(t, "books/files/motd", "hello\n") }, nil},
		"playbook": {func(t *testing.T, p *project) {
			text, err := os.ReadFile(p.book)
			require.NoError(t, err)
			p.write(t, "books/site.yaml", string(text)+"# more\n")
		}, []string{"books/site.yaml changed"}},
		"vars file":                     {func(t *testing.T, p *project) { p.write(t, "books/vars.yml", "which: motd\n") }, []string{"books/vars.yml changed"}},
		"file of a task":                {func(t *testing.T, p *project) { p.write(t, "books/files/motd", "bye\n") }, []string{"books/files/motd changed"}},
		"file that a template names":    {func(t *testing.T, p *project) { p.write(t, "books/files/issue", "x") }, []string{"books/files/issue changed"}},
		"such a file is gone":           {func(t *testing.T, p *project) { require.NoError(t, os.Remove(p.path("books/files/issue"))) }, []string{"books/files/issue is gone"}},
		"such a file became a pipe":     {func(t *testing.T, p *project) { p.pipe(t, "books/files/issue") }, []string{"books/files/issue changed"}},
		"a file that comes first":       {func(t *testing.T, p *project) { p.write(t, "books/files/setup.sh", "#!/bin/sh\n") }, []string{"books/files/setup.sh is new"}},
		"script":                        {func(t *testing.T, p *project) { p.write(t, "books/setup.sh", "rm") }, []string{"books/setup.sh changed"}},
		"variable of -e":                {func(t *testing.T, p *project) { p.extra[0], p.extra[1] = "mode=fast release=9", "" }, []string{"-e release changed"}},
		"file of -e":                    {func(t *testing.T, p *project) { p.write(t, "more.yml", "release: 8\nnew: 1\n") }, []string{"-e mode is gone", "-e new is new"}},
		"variables of a host":           {func(t *testing.T, p *project) { p.write(t, "host_vars/node1.yml", "spare: false\n") }, []string{"host_vars/node1.yml changed", "inventory: host node1 changed"}},
		"variables of a group":          {func(t *testing.T, p *project) { p.write(t, "books/group_vars/web.yml", "port: 81\n") }, []string{"books/group_vars/web.yml changed", "inventory: hosts node1, node2 changed"}},
		"a host more":                   {func(t *testing.T, p *project) { p.write(t, "hosts.yml", hostsAnd("node9: {}")) }, []string{"hosts.yml changed", "inventory: host node9 is new"}},
		"a new file of group variables": {func(t *testing.T, p *project) { p.write(t, "group_vars/all.yml", "{}\n") }, []string{"group_vars/all.yml is new"}},
		"another order": {func(t *testing.T, p *project) {
			p.write(t, "hosts.yml", "web:\n  hosts:\n    node2: {rack: b}\n    node1: {rack: a}\n")
		}, []string{"hosts.yml changed", "inventory: its groups or the order of its hosts changed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProject(t)
			before := p.gather(t, p.load(t).ran(t), ours).Digests()
			tt.change(t, p)
			assert.Equal(t, tt.want, p.gather(t, p.load(t), ours).Since(before))
		})
	}
}

// A script's answer counts, not the script.
func TestSinceOfAScript(t *testing.T) {
	p := newProject(t)
	p.inventory = p.path("hosts.sh")
	p.write(t, "hosts.sh", "#!/bin/sh\ncat answer.json\n")
	answer := func(vars string) string {
		return `{"web": {"hosts": ["node1", "node2"]}, "_meta": {"hostvars": {"node2": {` + vars + `}}}}`
	}
	p.write(t, "answer.json", answer(`"a": 1, "b": 2`))
	before := p.gather(t, p.load(t), ours).Digests()
	p.write(t, "hosts.sh", "#!/bin/sh\n# the same\ncat answer.json\n")
	p.write(t, "answer.json", answer(`"b": 2, "a": 1`))
	assert.Empty(t, p.gather(t, p.load(t), ours).Since(before))
	p.write(t, "answer.json", answer(`"a": 1.0, "b": 2`))
	assert.Equal(t, []string{"inventory: host node2 changed"}, p.gather(t, p.load(t), ours).Since(before))
}

func TestSinceOfALimit(t *testing.T) {
	p := newProject(t)
	p.write(t, "limit", "node1\n")
	l := p.load(t)
	_, err := l.inv.Limit("@" + filepath.Join(p.dir, "limit"))
	require.NoError(t, err)
	before := p.gather(t, l, ours).Digests()
	assert.Empty(t, p.gather(t, p.load(t), ours).Since(before))
	p.write(t, "limit", "node2\n")
	assert.Equal(t, []string{"limit changed"}, p.gather(t, p.load(t), ours).Since(before))
}

func TestDifferencesOfManyHosts(t *testing.T) {
	before, now := map[string]string{"inventory": "1"}, map[string]string{"inventory": "2"}
	for _, host := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		now["host "+host] = "x"
	}
	assert.Equal(t, []string{"inventory: 7 hosts are new: a, b, c, d, e and 2 more"}, plan.Differences(before, now))
	assert.Equal(t, []string{"inventory: 7 hosts are gone: a, b, c, d, e and 2 more"}, plan.Differences(now, before))
	assert.Empty(t, plan.Differences(now, maps.Clone(now)))
}

func hostsAnd(more string) string {
	return "web:\n  hosts:\n    node1: {rack: a}\n    node2: {rack: b}\n    " + more + "\n"
}
