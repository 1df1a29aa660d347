package modules

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var ipsetCases = map[string]struct {
	set     func(*ipset)
	replace []string // old, new, in the recording of a set with one member
	diffs   []Diff
	steps   []string
	stdin   string
}{
	"as asked": {set: func(*ipset) {}},
	"absent": {
		set:     func(*ipset) {},
		replace: []string{"@have\ncreate foreign hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x4b3f7e8a\nadd foreign 10.0.0.1\n", ""},
		diffs: []Diff{{What: "ipset foreign", Have: "absent", Want: "hash:ip family inet, 1 member"},
			{What: "members of ipset foreign", Want: "10.0.0.1\n", Text: true}},
		steps: []string{"ipset restore: create runbook-52d19df3 hash:ip, add 1 member, rename it to foreign"},
		stdin: "create runbook-52d19df3 hash:ip\nadd runbook-52d19df3 10.0.0.1\nrename runbook-52d19df3 foreign\n",
	},
	"other members": {
		set:     func(*ipset) {},
		replace: []string{"0x4b3f7e8a\nadd foreign 10.0.0.1\n", "0x4b3f7e8a\nadd foreign 10.0.0.2\nadd foreign 10.0.0.3\n"},
		diffs:   []Diff{{What: "members of ipset foreign", Have: "10.0.0.2\n10.0.0.3\n", Want: "10.0.0.1\n", Text: true}},
		steps:   []string{"ipset restore: create runbook-52d19df3 hash:ip bucketsize 12 family inet hashsize 1024 maxelem 65536, add 1 member, swap it with foreign, destroy it"},
		stdin:   "create runbook-52d19df3 hash:ip bucketsize 12 family inet hashsize 1024 maxelem 65536\nadd runbook-52d19df3 10.0.0.1\nswap runbook-52d19df3 foreign\ndestroy runbook-52d19df3\n",
	},
	"one is missing, others are left": {
		set:     func(s *ipset) { s.Exact = false },
		replace: []string{"0x4b3f7e8a\nadd foreign 10.0.0.1\n", "0x4b3f7e8a\nadd foreign 10.0.0.2\n"},
		diffs:   []Diff{{What: "members of ipset foreign", Have: "10.0.0.2\n", Want: "10.0.0.1\n10.0.0.2\n", Text: true}},
		steps:   []string{"ipset -exist restore: add 1 member to foreign"},
		stdin:   "add foreign 10.0.0.1\n",
	},
	"time runs and packets come": {
		set: func(*ipset) {},
		replace: []string{"0x4b3f7e8a\nadd foreign 10.0.0.1\n", "0x4b3f7e8a\nadd foreign 10.0.0.1 timeout 17 packets 3 bytes 99\n",
			"0xb8f4dd6e\nadd foreign 10.0.0.1\n", "0xb8f4dd6e\nadd foreign 10.0.0.1 timeout 300 packets 0 bytes 0\n"},
	},
	"a comment is part of a member": {
		set:     func(s *ipset) { s.Exact = false },
		replace: []string{"0xb8f4dd6e\nadd foreign 10.0.0.1\n", "0xb8f4dd6e\nadd foreign 10.0.0.1 comment \"of timeout 5\"\n"},
		diffs:   []Diff{{What: "members of ipset foreign", Have: "10.0.0.1\n", Want: "10.0.0.1\n10.0.0.1 comment \"of timeout 5\"\n", Text: true}},
		steps:   []string{"ipset -exist restore: add 1 member to foreign"},
		stdin:   "add foreign 10.0.0.1 comment \"of timeout 5\"\n",
	},
	"to remove": {
		set:   func(s *ipset) { s.State, s.Members = "absent", nil },
		diffs: []Diff{{What: "ipset foreign", Have: "hash:ip family inet, 1 member", Want: "absent"}},
		steps: []string{"ipset destroy foreign"},
	},
	"removed": {
		set:     func(s *ipset) { s.State, s.Members = "absent", nil },
		replace: []string{"@have\n", "@other\n"},
	},
}

func TestIpset(t *testing.T) {
	for name, c := range ipsetCases {
		t.Run(name, func(t *testing.T) {
			set := newIpset("foreign", "10.0.0.1")
			c.set(set)
			require.NoError(t, set.Validate())
			text := strings.NewReplacer(c.replace...).Replace(recorded(t, "ipset/look"))
			change := check(t, set, &fake{commands: map[string]Output{set.query().String(): {Stdout: text}}})
			assert.Equal(t, c.diffs, change.Diffs)
			assert.ElementsMatch(t, c.steps, stepLines(change))
			if len(change.Steps) > 0 {
				assert.Equal(t, c.stdin, change.Steps[0].(Run).Stdin)
			}
		})
	}
}

func TestIpsetCannotTell(t *testing.T) {
	set := func() *ipset { return newIpset("foreign", "10.0.0.1") }
	query := set().query().String()
	for want, target := range map[string]*fake{
		"no route":                {errs: map[string]error{query: errors.New("no route")}},
		"has no ipset":            {commands: map[string]Output{query: {Stdout: "@missing\n"}}},
		"Operation not permitted": {commands: map[string]Output{query: {Stdout: "@failed\nipset v7.17: Kernel error received: Operation not permitted\n"}}},
		"hash:ip with revision 6 not supported by userspace.; upgrade ipset and libipset13": {commands: map[string]Output{query: {Stdout: recorded(t, "ipset/unreadable")}}},
		`members: ipset refuses "10.0.0.1": Syntax error: x`: {commands: map[string]Output{query: {
			Stdout: "@refused\nipset v7.17: Error in line 2: Syntax error: x\n"}}},
		`ipset refuses "hash:ip": Syntax error: y`: {commands: map[string]Output{query: {
			Stdout: "@refused\nipset v7.17: Error in line 1: Syntax error: y\n"}}},
		"cannot try the wanted set out: unshare: unshare failed": {commands: map[string]Output{query: {
			Stdout: "@refused\nunshare: unshare failed: Operation not permitted\n"}}},
		`"foreign" is of type hash:net family inet, and hash:ip family inet is wanted`: {commands: map[string]Output{query: {
			Stdout: strings.Replace(recorded(t, "ipset/look"), "create foreign hash:ip", "create foreign hash:net", 1)}}},
	} {
		_, err := set().Check(t.Context(), target)
		assert.ErrorContains(t, err, want)
	}
}

func TestIpsetUnreadableCanBeRemoved(t *testing.T) {
	set := newIpset("foreign")
	set.State = "absent"
	change := check(t, set, &fake{commands: map[string]Output{set.query().String(): {Stdout: recorded(t, "ipset/unreadable")}}})
	assert.Equal(t, []Diff{{What: "ipset foreign", Have: "not readable", Want: "absent"}}, change.Diffs)
}

func TestIpsetArguments(t *testing.T) {
	for want, change := range map[string]func(*ipset){
		`name: "-x" cannot be`:               func(s *ipset) { s.Name = "-x" },
		`name: "a b" cannot be`:              func(s *ipset) { s.Name = "a b" },
		"cannot be the name of a set":        func(s *ipset) { s.Name = strings.Repeat("a", 32) },
		`type: "hash" is not a type`:         func(s *ipset) { s.Type = "hash" },
		"name excludes compatible":           func(s *ipset) { s.Compatible = true },
		"members have no meaning":            func(s *ipset) { s.State = "absent" },
		"range is needed with type":          func(s *ipset) { s.Type = "bitmap:port" },
		`range: "1 2" is not`:                func(s *ipset) { s.Range = "1 2" },
		`markmask: "a b" is not`:             func(s *ipset) { s.Markmask = "a b" },
		`members: "10.0.0.1\ndestroy" is`:    func(s *ipset) { s.Members = []string{"10.0.0.1\ndestroy"} },
		`members: "-exist" is`:               func(s *ipset) { s.Members = []string{"-exist"} },
		"name is needed to change a set":     func(s *ipset) { s.Name = "" },
		"one of name, report, compatible or": func(s *ipset) { s.Name, s.Members, s.Report = "", nil, false },
		`ipset: "-x" is not a program`:       func(s *ipset) { s.Name, s.Members, s.Binary = "", nil, "-x" },
	} {
		set := newIpset("web", "10.0.0.1")
		change(set)
		assert.ErrorContains(t, set.Validate(), want)
	}
}

func TestIpsetReport(t *testing.T) {
	report := newIpset("")
	target := &fake{commands: map[string]Output{report.reportQuery().String(): {Stdout: recorded(t, "ipset/report")}}}
	change := check(t, report, target)
	assert.Empty(t, change.Diffs)
	assert.Empty(t, change.Steps)
	vars := change.Vars
	assert.Equal(t, "7.10", vars["ipset"])
	assert.Equal(t, 5, vars["reads"].(map[string]any)["hash:ip"])
	assert.Equal(t, 7, vars["reads"].(map[string]any)["hash:net"])
	assert.Equal(t, map[string]any{"hash:ip": 5, "hash:net": 7, "hash:ip,port": 6, "hash:ip,port,ip": 6, "hash:ip,port,net": 8, "hash:net,port": 8}, vars["creates"])
	assert.Equal(t, []any{"foreign"}, vars["unreadable"])
	assert.Equal(t, []any{
		map[string]any{"name": "cali40this-host", "type": "hash:ip", "revision": 5, "readable": true},
		map[string]any{"name": "foreign", "type": "hash:ip", "revision": 6, "readable": false},
		map[string]any{"name": "plain", "type": "hash:net", "revision": 7, "readable": true},
	}, vars["sets"])

	report.Compatible = true
	_, err := report.Check(t.Context(), target)
	assert.EqualError(t, err, `ipset 7.10 cannot read every set: set "foreign" is of type hash:ip revision 6, and it reads at most revision 5; `+
		"it needs an ipset (with libipset13) that knows these revisions, or the sets made again by one that does not")
	report.Scope = "calico"
	assert.Empty(t, check(t, report, target).Vars["unreadable"])
}

func TestIpsetReportWithoutIpset(t *testing.T) {
	report := newIpset("")
	query := report.reportQuery().String()
	target := &fake{commands: map[string]Output{query: {Stdout: "@missing\n"}}}
	assert.Equal(t, "absent", check(t, report, target).Vars["ipset"])
	report.Compatible = true
	_, err := report.Check(t.Context(), target)
	assert.EqualError(t, err, `this host has no "ipset", so nothing can be said about what it reads`)
	_, err = report.Check(t.Context(), &fake{commands: map[string]Output{query: {Stdout: "@sets\n@failed\nipset v7.17: Kernel error received: Operation not permitted\n"}}})
	assert.ErrorContains(t, err, "Operation not permitted")
	_, err = report.Check(t.Context(), &fake{errs: map[string]error{query: errors.New("no route")}})
	assert.EqualError(t, err, "no route")
}
