package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/inventory"
)

func TestMistakesArePositioned(t *testing.T) {
	tests := map[string]struct{ file, text, want string }{
		"range without end":    {"h", "web[01:", `h:1:1: the range in "web[01:" has no closing bracket`},
		"range backwards":      {"h", "web[5:1]", `h:1:1: the range in "web[5:1]": "5:1" ends before it begins`},
		"range of words":       {"h", "web[a1:b2]", `h:1:1: the range in "web[a1:b2]": want two numbers or two letters, found "a1:b2"`},
		"range digits":         {"h", "web[01:100]", `h:1:1: the range in "web[01:100]": both ends of "01:100" need the same number of digits`},
		"range too big":        {"h", "web[0:999999999]", `h:1:1: the range in "web[0:999999999]": "0:999999999" stands for more than 100000 hosts`},
		"host line":            {"h", "a\n  web1 user", `h:2:8: want name=value behind the host, found "user"`},
		"open quote":           {"h", "web1 a='x", `h:1:1: the quote ' at character 8 is not closed`},
		"host name":            {"h", "we$b", `h:1:1: "we$b" cannot be the name of a host`},
		"option as host name":  {"h", "-oProxyCommand=x", `h:1:1: "-oProxyCommand=x" cannot be the name of a host`},
		"section":              {"h", "[web", `h:1:1: want [group], [group:vars] or [group:children], found "[web"`},
		"kind of section":      {"h", "[web:var]", `h:1:6: unknown kind of section "var"; want vars or children; did you mean "vars"?`},
		"vars of no group":     {"h", "[web]\nw\n[wbe:vars]\na=1", `h:3:2: no group is called "wbe"; did you mean "web"?`},
		"child that is none":   {"h", "[web]\nw\n[site:children]\nwbe", `h:4:1: no group is called "wbe"; did you mean "web"?`},
		"vars line":            {"h", "[web]\n[web:vars]\nnonsense", `h:3:1: want name=value, found "nonsense"`},
		"template":             {"h", "web1 a='{{ 1 + }}'", `h:1:`},
		"circle":               {"h", "[a:children]\nb\n[b:children]\na", `contains itself; look at the children of its groups`},
		"yaml key":             {"h.yml", "all:\n  host: {a: }", `h.yml:2:3: unknown key "host" in group "all"; want hosts, vars or children; did you mean "hosts"?`},
		"yaml list of hosts":   {"h.yml", "all:\n  hosts: [a]", `h.yml:2:10: the hosts of group "all" must be a mapping, found a list; write each as "name:"`},
		"yaml group":           {"h.yml", "web: x", `h.yml:1:6: group "web" must be a mapping with hosts, vars or children, found text`},
		"yaml top":             {"h.yml", "- web", `h.yml:1:1: an inventory is a mapping of groups, found a list; start with "all:"`},
		"yaml plugin":          {"h.yml", "plugin: aws_ec2", `h.yml:1:1: inventory plugins are not supported`},
		"yaml vars":            {"h.yml", "all:\n  vars: [a]", `h.yml:2:9: want variables, name: value, found a list`},
		"yaml group name":      {"h.yml", "a/b: {}", `h.yml:1:1: "a/b" cannot be the name of a group`},
		"script fails":         {"h!", "#!/bin/sh\necho no luck >&2; exit 3", `inventory script h: exit status 3: "no luck"`},
		"script prints text":   {"h!", "#!/bin/sh\necho hello", `inventory script h --list: want a JSON object of groups`},
		"script invents names": {"h!", "#!/bin/sh\necho '{\"web\": [\"-oProxyCommand=x\"]}'", `inventory script h --list: group "web": "-oProxyCommand=x" cannot be the name of a host`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			project(t, map[string]string{tt.file: tt.text + "\n"})
			file := tt.file
			if file == "h!" {
				file = "h"
			}
			_, errs := inventory.Load(t.Context(), []string{file})
			require.Len(t, errs, 1, "%s", errs)
			assert.Contains(t, errs.Error(), tt.want)
		})
	}
}

func TestEveryUnknownGroupIsNamed(t *testing.T) {
	project(t, map[string]string{"h": "[b:vars]\nx=1\n[a:children]\nd\nc\n"})
	_, errs := inventory.Load(t.Context(), []string{"h"})
	require.Len(t, errs, 3)
	for i, name := range []string{"b", "d", "c"} { // as they are written
		assert.ErrorContains(t, errs[i], `no group is called "`+name+`"`)
	}
}

func TestAMissingInventory(t *testing.T) {
	_, errs := inventory.Load(t.Context(), []string{"none"})
	assert.EqualError(t, errs.Err(), `inventory: stat none: no such file or directory; for a single host write "none,"`)
}

func TestTwoFilesOfTheSameVariables(t *testing.T) {
	project(t, map[string]string{"h": "a\n", "host_vars/a": "x: 1\n", "host_vars/a.yml": "x: 2\n"})
	_, errs := inventory.Load(t.Context(), []string{"h"})
	require.Error(t, errs.Err())
	assert.Contains(t, errs.Error(), `both host_vars/a and host_vars/a.yml are there; only one can hold the variables of "a"`)
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{cluster, "[a:vars]\nb=1", "web[0:9:3]-[a:c] x=\"y z\" # c", "a ansible_host={'b': [1, 'c']}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		project(t, map[string]string{"h": text})
		inv, errs := inventory.Load(t.Context(), []string{"h"})
		if len(errs) > 0 {
			return
		}
		_, err := inv.Select("all")
		require.NoError(t, err)
	})
}
