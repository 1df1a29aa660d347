package inventory_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const cluster = `
[web]
web[1:4]
[db]
db1
db2
[staging]
web1
db1
[new-group]
x.example.org
`

func TestSelect(t *testing.T) {
	project(t, map[string]string{"hosts": cluster})
	inv := load(t, "hosts")
	tests := map[string][]string{
		"all":               {"web1", "web2", "web3", "web4", "db1", "db2", "x.example.org"},
		"*":                 {"web1", "web2", "web3", "web4", "db1", "db2", "x.example.org"},
		"web":               {"web1", "web2", "web3", "web4"},
		"db2,web1":          {"db2", "web1"},
		"db:web1":           {"db1", "db2", "web1"},
		"db:db1":            {"db1", "db2"},
		"web:!staging":      {"web2", "web3", "web4"},
		"!staging:web":      {"web2", "web3", "web4"},
		"web,&staging":      {"web1"},
		"all:&staging:!web": {"db1"},
		"!web":              {"db1", "db2", "x.example.org"},
		"&staging":          {"web1", "db1"},
		"web*":              {"web1", "web2", "web3", "web4"},
		"web[13]*":          {"web1", "web3"},
		"*.example.org":     {"x.example.org"},
		"~(web|db)1":        {"web1", "db1"},
		"~web[2-3]":         {"web2", "web3"},
		"web[0]":            {"web1"},
		"web[-1]":           {"web4"},
		"web[1:2]":          {"web2", "web3"},
		"web[2:]":           {"web3", "web4"},
		"web[1:9]":          {"web2", "web3", "web4"},
		"web[0]:db[1]":      {"web1", "db2"},
		"all:!web[0]":       {"web2", "web3", "web4", "db1", "db2", "x.example.org"},
		" web1 , db1 ":      {"web1", "db1"},
		"nothing*":          {},
		"~nothing":          {},
		"localhost,web1":    {"localhost", "web1"},
	}
	for pattern, want := range tests {
		assert.Equal(t, want, hosts(t, inv, pattern), pattern)
	}
}

func TestSelectFindsMistakes(t *testing.T) {
	project(t, map[string]string{"hosts": cluster})
	inv := load(t, "hosts")
	tests := map[string]string{
		"wbe1":     `no host or group is called "wbe1"; did you mean "web1"?`,
		"web:!stg": `no host or group is called "stg"; the inventory has 7 hosts in 4 groups`,
		"web:&dbx": `no host or group is called "dbx"; did you mean "db"?`,
		"web[4]":   `the host pattern "web[4]" is out of range: there are 4 hosts, counted from 0`,
		"web[-5]":  `the host pattern "web[-5]" is out of range: there are 4 hosts, counted from 0`,
		"~(":       `the host pattern "~(" is not a regular expression`,
		"web[a":    `the host pattern "web[a" has a bracket that is not closed`,
		"":         `the host pattern is empty; want names of hosts or groups, or "all"`,
		" , ":      `the host pattern is empty; want names of hosts or groups, or "all"`,
	}
	for pattern, want := range tests {
		_, err := inv.Select(pattern)
		require.ErrorContains(t, err, want, pattern)
	}
}

func TestLimitReadsAFile(t *testing.T) {
	project(t, map[string]string{"hosts": cluster, "site.retry": "web1\ndb2\n"})
	inv := load(t, "hosts")
	found, err := inv.Limit("@site.retry")
	require.NoError(t, err)
	require.Len(t, found, 2)
	assert.Equal(t, "db2", found[1].Name)
	_, err = inv.Limit("@none")
	assert.ErrorIs(t, err, os.ErrNotExist)
}
