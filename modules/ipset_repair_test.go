package modules

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The set foreign as the host's ipset writes it, and how an older one makes it.
const (
	foreignSaved = "@set foreign\ncreate foreign hash:ip family inet hashsize 1024 maxelem 65536 timeout 60 bucketsize 12 initval 0x4b3f7e8a\nadd foreign 10.0.0.2 timeout 7\nadd foreign 10.0.0.1 timeout 60\n"
	foreignPlain = "hash:ip family inet hashsize 1024 maxelem 65536 timeout 60"
	foreignMade  = "@set foreign\nName: runbook\nType: hash:ip\nRevision: 5\nHeader: family inet hashsize 1024 maxelem 65536 timeout 60\n"
)

// broken is a host on which the ipset of calico-node cannot read the set foreign.
func broken(t *testing.T, m *ipset) *fake {
	return &fake{commands: map[string]Output{
		m.reportQuery().String():                         {Stdout: recorded(t, "ipset/report")},
		savedQuery([]string{"foreign"}).String():         {Stdout: foreignSaved},
		m.trialQuery("foreign " + foreignPlain).String(): {Stdout: foreignMade},
	}}
}

func repairAll() *ipset {
	m := newRepair("calico-node")
	m.Scope = "all"
	return m
}

func TestIpsetRepair(t *testing.T) {
	m := repairAll()
	target := broken(t, m)
	change := check(t, m, target)
	assert.Equal(t, []Diff{{What: "ipset foreign (hash:ip)", Have: "revision 6", Want: "revision 5"}}, change.Diffs)
	assert.Equal(t, []string{"with the ipset of calico-node: create runbook-52d19df3 " + foreignPlain +
		", copy the members of foreign, swap the two, destroy runbook-52d19df3",
		"with the ipset of calico-node, after a second: list foreign"}, stepLines(change))
	assert.Equal(t, []Effect{{Thing: ASet, Name: "foreign", State: IPSet{Type: "hash:ip",
		Options: map[string]string{"family": "inet", "hashsize": "1024", "maxelem": "65536", "timeout": "60"},
		Members: []string{"10.0.0.1 timeout 60", "10.0.0.2 timeout 7"}}}}, change.Effects)
	assert.Equal(t, []any{"foreign"}, change.Vars["unreadable"])
	assert.Equal(t, "foreign "+foreignPlain+"\n", target.runs[2].Stdin)
	script := change.Steps[0].(Run).Shell
	assert.Contains(t, script, "pgrep -o -x calico-node")
	assert.Contains(t, script, "name=foreign temp=runbook-52d19df3 create='"+foreignPlain+"'\n")

	target.commands[m.reportQuery().String()] = Output{Stdout: strings.Replace(recorded(t, "ipset/report"), "ipset v7.10: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.", "Type: hash:ip\nRevision: 5", 1)}
	left := check(t, m, target)
	assert.Empty(t, left.Diffs)
	assert.Equal(t, 3, left.Wait.Consecutive, "who rewrites sets is given the time to do so")
	assert.Zero(t, check(t, repairAll(), target).Wait, "where nothing was wrong there is nothing to watch")
}

// What somebody rewrites meanwhile is not repaired again and again.
func TestIpsetRepairRewritten(t *testing.T) {
	m := repairAll()
	target := broken(t, m)
	assert.NotEmpty(t, check(t, m, target).Steps)
	assert.NotEmpty(t, check(t, m, target).Steps, "looking twice is no evidence")
	target.commands[savedQuery([]string{"foreign"}).String()] = Output{Stdout: strings.Replace(foreignSaved, "0x4b3f7e8a", "0x11111111", 1)}
	again := check(t, m, target)
	assert.Empty(t, again.Steps)
	require.Len(t, again.Diffs, 1)
	assert.Equal(t, "revision 6 again: something on this host rewrites it, and must be stopped first", again.Diffs[0].Have)
	assert.NotZero(t, again.Wait.Timeout)
}

func TestIpsetRepairLeftovers(t *testing.T) {
	m := newRepair("calico-node") // foreign is not in its scope
	target := broken(t, m)
	assert.Empty(t, check(t, m, target).Diffs)
	target.commands[m.reportQuery().String()] = Output{Stdout: strings.ReplaceAll(recorded(t, "ipset/report"), "foreign", "runbook-52d19df3")}
	m.Scope = "all"
	change := check(t, m, target)
	assert.Equal(t, []Diff{{What: "ipset runbook-52d19df3", Have: "left by a change that did not end", Want: "absent"}}, change.Diffs)
	assert.Equal(t, []string{"ipset destroy runbook-52d19df3"}, stepLines(change))
	assert.Equal(t, []Effect{{Thing: ASet, Name: "runbook-52d19df3", Gone: true}}, change.Effects)
}

func TestIpsetRepairCannotTell(t *testing.T) {
	m := repairAll()
	report, saved, trial := m.reportQuery().String(), savedQuery([]string{"foreign"}).String(), m.trialQuery("").String()
	older := Output{Stdout: "@set foreign\nipset v7.10: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\n"}
	for want, set := range map[string]func(*fake){
		"no route":                               func(f *fake) { f.errs = map[string]error{report: errors.New("no route")} },
		"no way":                                 func(f *fake) { f.errs = map[string]error{saved: errors.New("no way")} },
		"no trial":                               func(f *fake) { f.errs = map[string]error{trial: errors.New("no trial")} },
		"this host has no ipset, so the members": func(f *fake) { f.commands[saved] = Output{Stdout: "@missing\n"} },
		`set "foreign" is of type hash:ip revision 6, and this host's ipset cannot read it either: ipset v7.10: Kernel`: func(f *fake) { f.commands[saved] = older },
		`known after apply: what ipset says when the task "install" has installed package "ipset"`: func(f *fake) {
			f.commands[saved], f.predicted = older, []Effect{plannedPackage("ipset", "7.17")}
		},
		"more than can be read at once: foreign": func(f *fake) { f.commands[saved] = Output{Stdout: foreignSaved, Truncated: true} },
		`"foreign" cannot be made again: ipset 7.10 of calico-node refuses "` + foreignPlain + `": ipset v7.10: Unknown argument: `: func(f *fake) {
			f.commands[trial] = Output{Stdout: "@set foreign\nipset v7.10: Unknown argument: `timeout'\n"}
		},
		"unshare failed": func(f *fake) {
			f.commands[trial] = Output{Stdout: "unshare: unshare failed: Operation not permitted\n"}
		},
		"cannot be run: ns": func(f *fake) { f.commands[report] = Output{Stdout: "@missing\nns\n"} },
		`"a b" has a name`: func(f *fake) {
			f.commands[report] = Output{Stdout: strings.ReplaceAll(recorded(t, "ipset/report"), "foreign", "a b")}
		},
	} {
		target := broken(t, m)
		set(target)
		_, err := repairAll().Check(t.Context(), target)
		assert.ErrorContains(t, err, want)
	}
}

func TestIpsetRepairWaitsForTheContainer(t *testing.T) {
	m := repairAll()
	target := &fake{commands: map[string]Output{m.reportQuery().String(): {Stdout: "@nobody\n"}}}
	change := check(t, m, target)
	assert.NotEmpty(t, change.Diffs)
	assert.Empty(t, change.Steps)
	m.Repair = false
	assert.Equal(t, "absent", check(t, m, target).Vars["ipset"])
	m.Compatible = true
	_, err := m.Check(t.Context(), target)
	assert.EqualError(t, err, `no process of this host is named "calico-node", so nothing can be said about what its ipset reads`)
}

// A set that went between two looks needs no repair.
func TestIpsetRepairVanished(t *testing.T) {
	m := repairAll()
	target := broken(t, m)
	target.commands[savedQuery([]string{"foreign"}).String()] = Output{Stdout: "@set foreign\nipset v7.17: The set with the given name does not exist\n"}
	assert.Empty(t, check(t, m, target).Diffs)
}

func TestIpsetRepairArguments(t *testing.T) {
	for want, change := range map[string]func(*ipset){
		"name excludes compatible, repair and inside": func(s *ipset) { s.Name = "web" },
		"compatible and repair exclude":               func(s *ipset) { s.Compatible = true },
		"repair needs inside, or ipset":               func(s *ipset) { s.Inside = "" },
		`inside: "a b" cannot be`:                     func(s *ipset) { s.Inside = "a b" },
		`inside: "a-name-too-long-" cannot`:           func(s *ipset) { s.Inside = "a-name-too-long-" },
	} {
		m := newRepair("calico-node")
		require.NoError(t, m.Validate())
		change(m)
		assert.ErrorContains(t, m.Validate(), want)
	}
}

func TestPrefixOf(t *testing.T) {
	for mask, want := range map[string]int{"255.255.255.0": 24, "255.255.255.255": 32, "ffff:ffff::": 32, "255.0.255.0": -1, "": -1, "0xff": -1} {
		bits, ok := prefixOf(mask)
		assert.Equal(t, want >= 0, ok, mask)
		if ok {
			assert.Equal(t, want, bits, mask)
		}
	}
}
