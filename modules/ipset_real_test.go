package modules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newNetwork is a target with a network namespace of its own, so sets of its
// own, that goes away with the process that holds it.
func newNetwork(t *testing.T) within {
	needsRoot(t, "ipset", "unshare", "nsenter")
	pid := hold(t, "unshare", "-n", "sh", "-c", "echo ready; cat")
	return within{here: &here{t: t}, enter: []string{"nsenter", "-t", pid, "-n"}}
}

func newIpset(name string, members ...string) *ipset {
	return &ipset{Name: name, Type: "hash:ip", State: "present", Exact: true, Report: true, Binary: "ipset", Scope: "all", Members: members}
}

var ipsetHistories = map[string]struct {
	before string // what the host has done already
	set    func() *ipset
	want   string // the members afterwards
	first  string // of the first diff
}{
	"new": {
		set:  func() *ipset { return newIpset("web", "10.0.0.1", "10.0.0.8/30", "10.0.0.1") },
		want: "10.0.0.1 10.0.0.10 10.0.0.11 10.0.0.8 10.0.0.9", first: "absent",
	},
	"empty": {set: func() *ipset { return newIpset("web") }, first: "absent"},
	"others are removed": {
		before: "ipset create web hash:ip maxelem 100; ipset add web 10.0.0.9",
		set:    func() *ipset { return newIpset("web", "10.0.0.1") },
		want:   "10.0.0.1", first: "10.0.0.9\n",
	},
	"others are left": {
		before: "ipset create web hash:ip; ipset add web 10.0.0.9",
		set: func() *ipset {
			s := newIpset("web", "10.0.0.1")
			s.Exact = false
			return s
		},
		want: "10.0.0.1 10.0.0.9", first: "10.0.0.9\n",
	},
	"an option differs, others are left": {
		before: "ipset create web hash:ip; ipset add web 10.0.0.9",
		set: func() *ipset {
			s := newIpset("web", "10.0.0.1")
			s.Exact, s.Maxelem, s.Timeout = false, 99, new(300)
			return s
		},
		want: "10.0.0.1 10.0.0.9", first: "65536",
	},
	"written otherwise": {
		set: func() *ipset {
			s := newIpset("web", "2001:DB8:0::/32", "fe80::/10 nomatch")
			s.Type, s.Family, s.Comment, s.Counters = "hash:net", "inet6", true, true
			return s
		},
		want: "2001:db8::/32 fe80::/10 nomatch", first: "absent",
	},
	"sets of sets": {
		before: "ipset create a hash:ip; ipset create b hash:ip; ipset create web list:set; ipset add web a",
		set: func() *ipset {
			s := newIpset("web", "b")
			s.Type = "list:set"
			return s
		},
		want: "b", first: "a\n",
	},
	"what a crash has left": {
		before: "ipset create " + ipsetTemp("web") + " hash:net",
		set:    func() *ipset { return newIpset("web", "10.0.0.1") },
		want:   "10.0.0.1", first: "absent",
	},
}

func TestIpsetConfirmed(t *testing.T) {
	for name, c := range ipsetHistories {
		t.Run(name, func(t *testing.T) {
			host := newNetwork(t)
			host.sh(c.before)
			set := c.set()
			change := check(t, set, host)
			require.NotEmpty(t, change.Diffs)
			assert.Equal(t, c.first, change.Diffs[0].Have)
			host.take(change)
			after := check(t, set, host)
			assert.Empty(t, after.Diffs)
			assert.Empty(t, after.Steps)
			members := host.sh("ipset save web | sed -n 's/ timeout .*//; s/ packets 0 bytes 0//; s/^add web //p' | sort")
			assert.Equal(t, c.want, strings.Join(strings.Split(strings.TrimSpace(members), "\n"), " "))
			assert.NotContains(t, host.sh("ipset list -n"), "runbook-")
		})
	}
}

func TestIpsetKeepsWhatWasNotAsked(t *testing.T) {
	host := newNetwork(t)
	host.sh("ipset create web hash:ip maxelem 100 timeout 60 comment; ipset add web 10.0.0.9")
	host.take(check(t, newIpset("web", "10.0.0.1"), host))
	assert.Regexp(t, `maxelem 100 timeout 60 comment`, host.sh("ipset save web"))
}

func TestIpsetInUseConfirmed(t *testing.T) {
	host := newNetwork(t)
	host.sh("ipset create web hash:ip; ipset create all list:set; ipset add all web")
	set := newIpset("web", "10.0.0.1")
	host.take(check(t, set, host))
	assert.Contains(t, host.sh("ipset save all"), "add all web", "a swap does not take the set from its user")

	gone := newIpset("web")
	gone.State = "absent"
	_, err := gone.Check(t.Context(), host)
	require.ErrorContains(t, err, "1 firewall rules or sets use it")
	host.sh("ipset flush all")
	host.take(check(t, gone, host))
	assert.Empty(t, check(t, gone, host).Diffs)
}

func TestIpsetRefusedConfirmed(t *testing.T) {
	host := newNetwork(t)
	host.sh("ipset create web hash:net")
	_, err := newIpset("web", "10.0.0.1").Check(t.Context(), host)
	assert.ErrorContains(t, err, `"web" is of type hash:net family inet, and hash:ip family inet is wanted`)
	_, err = newIpset("new", "10.0.0.1", "10.0.0.300").Check(t.Context(), host)
	assert.ErrorContains(t, err, `members: ipset refuses "10.0.0.300"`)
	set := newIpset("new")
	set.Type = "hash:foo"
	_, err = set.Check(t.Context(), host)
	assert.ErrorContains(t, err, "hash:foo")
}

func TestIpsetReportConfirmed(t *testing.T) {
	host := newNetwork(t)
	host.sh("ipset create foreign hash:ip; ipset create plain hash:net")
	report := newIpset("")
	vars := check(t, report, host).Vars
	assert.NotContains(t, vars["ipset"], "unknown")
	assert.Contains(t, vars["reads"], "hash:ip")
	assert.Contains(t, vars["creates"], "hash:net,port")
	assert.Empty(t, vars["unreadable"])
	require.Len(t, vars["sets"], 2)
	assert.Equal(t, "foreign", vars["sets"].([]any)[0].(map[string]any)["name"])
}

// oldIpset is a program that runs the ipset of RUNBOOK_OLD_IPSET, a folder that
// the packages ipset and libipset13 of a version before 7.16 are unpacked into.
func oldIpset(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RUNBOOK_OLD_IPSET")
	if dir == "" {
		cannot(t, "RUNBOOK_OLD_IPSET names no old ipset; make unit has one")
	}
	libraries, err := filepath.Glob(filepath.Join(dir, "usr/lib/*/libipset.so.*"))
	require.NoError(t, err)
	require.NotEmpty(t, libraries, "RUNBOOK_OLD_IPSET is %q, which has no libipset below usr/lib", dir)
	program := filepath.Join(t.TempDir(), "ipset")
	text := fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s \"$@\"\n", Quote(filepath.Dir(libraries[0])), Quote(filepath.Join(dir, "usr/sbin/ipset")))
	require.NoError(t, os.WriteFile(program, []byte(text), 0o755))
	return program
}

// TestIpsetIncompatibleConfirmed is the fault itself.
func TestIpsetIncompatibleConfirmed(t *testing.T) {
	old := oldIpset(t)
	host := newNetwork(t)
	host.sh(old + " create cali40this-host hash:ip; ipset create foreign hash:ip; ipset create plain hash:net")
	compatible := newIpset("")
	compatible.Compatible, compatible.Binary = true, old
	_, err := compatible.Check(t.Context(), host)
	require.ErrorContains(t, err, `set "foreign" is of type hash:ip revision 6, and it reads at most revision 5`)
	assert.NotContains(t, err.Error(), "cali40this-host")
	compatible.Scope = "calico"
	assert.Empty(t, check(t, compatible, host).Diffs)
	compatible.Compatible, compatible.Scope = false, "all"
	vars := check(t, compatible, host).Vars
	assert.Equal(t, []any{"foreign"}, vars["unreadable"])
	assert.Len(t, vars["sets"], 3)
}
