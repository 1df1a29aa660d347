package modules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const etcdHost = "@host\nm1\n@addresses\n10.0.0.1\n@runs\n@files\n/ca\n/crt\n/key\n"

func newEtcdHealth() *etcdHealth {
	return &etcdHealth{Endpoints: []string{"https://127.0.0.1:2379"}, Healthy: true, MaxRaftSpread: 1000, Cordons: "ask", Timeout: time.Minute}
}

func etcdAnswers(e *etcdHealth, text string, cluster Cluster) *fake {
	return &fake{commands: map[string]Output{e.query().String(): {Stdout: text}}, cluster: cluster}
}

// etcdNodes are the nodes of the members; those named are cordoned.
func etcdNodes(cordoned ...string) *fakeCluster {
	var b strings.Builder
	for n := 1; n <= 3; n++ {
		name := fmt.Sprintf("m%d", n)
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {node-role.kubernetes.io/control-plane: \"\"}}\nspec: {unschedulable: %t}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.%d}]}\n",
			name, strings.Contains(strings.Join(cordoned, " "), name), n)
	}
	b.WriteString("---\napiVersion: v1\nkind: Node\nmetadata: {name: worker1}\nspec: {}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.9}]}\n")
	return &fakeCluster{lists: map[string]string{"nodes": b.String()}}
}

const leftOfThree = "without m1 %d of 3 voting members are left, and 2 are needed"

// etcdRecordings are what a real etcd of m1 to m3 was like when its answers were
// kept.
var etcdRecordings = map[string]struct {
	diffs, older []string // older: of 3.4, where it says something else
	leader       string
	healthy      int
	may          bool
}{
	"healthy":   {leader: "m1", healthy: 3, may: true},
	"unstarted": {diffs: []string{"etcd member %s: a learner -> a member that votes"}, leader: "m1", healthy: 3, may: true},
	"learner":   {diffs: []string{"etcd member m4: a learner -> a member that votes"}, leader: "m1", healthy: 3, may: true},
	"stopped": {leader: "m1", healthy: 2, diffs: []string{
		"etcd member m3: context deadline exceeded -> healthy", "stopping etcd member m1: m3 is not healthy; " + fmt.Sprintf(leftOfThree, 1) + " -> 2 of 3 left"}},
	"leaderless": {
		diffs: []string{
			"etcd at https://127.0.0.1:2379: context deadline exceeded (etcdserver: no leader) -> an answer",
			"stopping this host: etcd does not say which members it has: context deadline exceeded (etcdserver: no leader) -> a quorum without it"},
		older: []string{
			"etcd member m1: context deadline exceeded -> healthy", "etcd member m2: context deadline exceeded -> healthy", "etcd member m3: context deadline exceeded -> healthy",
			"leader of etcd: none -> one", "alarms of etcd: context deadline exceeded -> a list of them",
			"stopping etcd member m1: m2 is not healthy; m3 is not healthy; " + fmt.Sprintf(leftOfThree, 0) + "; the alarms cannot be listed: context deadline exceeded -> 2 of 3 left, and no alarm"},
	},
	"alarm": {
		diffs: []string{"etcd member m1: Active Alarm(s): NOSPACE -> healthy", "alarm of etcd member m1: NOSPACE -> none", "stopping etcd member m1: without m1 0 of 1 voting members are left, and 1 are needed; m1 has the alarm NOSPACE -> 1 of 1 left, and no alarm"},
		older: []string{"alarm of etcd member m1: NOSPACE -> none", "stopping etcd member m1: without m1 0 of 1 voting members are left, and 1 are needed; m1 has the alarm NOSPACE -> 1 of 1 left, and no alarm"}, leader: "m1", healthy: -1,
	},
	"dead": {diffs: []string{
		"etcd at https://127.0.0.1:2379: context deadline exceeded -> an answer",
		"stopping this host: etcd does not say which members it has: context deadline exceeded -> a quorum without it"}},
}

// TestEtcdAsRecorded is what etcdctl of two versions has said, asked by the module
// of a real etcd whose members are m1 to m3.
func TestEtcdAsRecorded(t *testing.T) {
	for name, c := range etcdRecordings {
		for _, version := range []string{"3.4.23", "3.6.16"} {
			t.Run(name+" "+version, func(t *testing.T) {
				said, err := os.ReadFile(filepath.Join("testdata", "etcd", version, name+".txt"))
				require.NoError(t, err)
				e := newEtcdHealth()
				e.MayGoDown = true
				change := check(t, e, etcdAnswers(e, etcdHost+string(said), etcdNodes()))
				want := c.diffs
				if version == "3.4.23" && c.older != nil {
					want = c.older
				}
				if name == "unstarted" { // a member without a name is called by its id
					id := change.Vars["members"].([]any)[0].(map[string]any)["id"]
					want = []string{fmt.Sprintf(want[0], id)}
				}
				assert.Equal(t, want, diffLines(change))
				assert.Equal(t, []any{c.leader, c.may}, []any{change.Vars["leader"], change.Vars["may_go_down"]})
				if c.healthy >= 0 {
					assert.Equal(t, c.healthy, change.Vars["healthy"])
				}
				assert.Equal(t, time.Minute, change.Wait.Timeout)
			})
		}
	}
}

// fakeMember is a member of an etcd that is made up.
type fakeMember struct {
	name           string
	n              int // its id is 2^63 + n, its address 10.0.0.n
	learner        bool
	down           string // why it does not answer
	follows        int
	index, applied int
	peerOnly       bool // its client URL is of the loopback
}

func (m fakeMember) id(n int) uint64 {
	if n == 0 {
		return 0
	}
	return 1<<63 + uint64(n)
}

// etcdOf is what etcdctl says of these members, of which the first has answered.
func etcdOf(members ...fakeMember) string {
	var list, status, health []string
	for _, m := range members {
		url := fmt.Sprintf("https://10.0.0.%d:2379", m.n)
		if m.peerOnly {
			url = "https://127.0.0.1:2379"
		}
		list = append(list, fmt.Sprintf(`{"ID":%d,"name":%q,"peerURLs":["https://10.0.0.%d:2380"],"clientURLs":[%q],"isLearner":%t}`, m.id(m.n), m.name, m.n, url, m.learner))
		health = append(health, fmt.Sprintf(`{"endpoint":%q,"health":%t,"error":%q}`, url, m.down == "", m.down))
		if m.down == "" {
			status = append(status, fmt.Sprintf(`{"Endpoint":%q,"Status":{"header":{"member_id":%d},"version":"3.5.1","dbSize":4096,"leader":%d,"raftIndex":%d,"raftAppliedIndex":%d}}`,
				url, m.id(m.n), m.id(m.follows), m.index, m.applied))
		}
	}
	return fmt.Sprintf("@members\n{\"header\":{\"member_id\":%d},\"members\":[%s]}\n@status\n[%s]\n@health\n[%s]\n@alarms\n{}\n",
		members[0].id(members[0].n), strings.Join(list, ","), strings.Join(status, ","), strings.Join(health, ","))
}

// three are members that follow the second one, changed.
func three(change func(m []fakeMember)) string {
	m := []fakeMember{{name: "m1", n: 1, follows: 2, index: 900, applied: 900}, {name: "m2", n: 2, follows: 2, index: 901, applied: 901}, {name: "m3", n: 3, follows: 2, index: 900, applied: 899}}
	if change != nil {
		change(m)
	}
	return etcdOf(m...)
}

func TestEtcdRegisters(t *testing.T) {
	e := newEtcdHealth()
	change := check(t, e, etcdAnswers(e, etcdHost+three(nil), etcdNodes("m3")))
	members := change.Vars["members"]
	delete(change.Vars, "members")
	assert.Equal(t, map[string]any{
		"leader": "m2", "leader_node": "m2", "this": "m1", "this_leads": false, "quorum": 2, "healthy": 3, "alarms": []any{}, "raft_spread": int64(2),
		"may_go_down": false, "why": "m3 is cordoned, so it counts as down; without m1 1 of 3 voting members are left, and 2 are needed",
	}, change.Vars)
	assert.Empty(t, change.Diffs, "it was not asked whether anything may be stopped")
	assert.Equal(t, map[string]any{
		"name": "m3", "id": "8000000000000003", "healthy": true, "trouble": "", "leader": false, "learner": false, "endpoint": "https://10.0.0.3:2379",
		"raft_index": int64(900), "raft_applied": int64(899), "db_size": int64(4096), "version": "3.5.1", "errors": []any{}, "node": "m3", "cordoned": true,
	}, members.([]any)[2])
}

func TestEtcdLacks(t *testing.T) {
	for name, c := range map[string]struct {
		said string
		args func(*etcdHealth)
		want []string
	}{
		"another number":   {three(nil), func(e *etcdHealth) { e.Members = 5 }, []string{"members of etcd: 3 -> 5"}},
		"far behind":       {three(func(m []fakeMember) { m[1].index = 2000 }), nil, []string{"raft log of etcd's members: 1101 entries apart -> at most 1000"}},
		"two leaders":      {three(func(m []fakeMember) { m[2].follows = 3 }), nil, []string{"leader of etcd: m2 and m3 -> one"}},
		"another's leader": {three(func(m []fakeMember) { m[2].follows = 1 }), nil, []string{"leader of etcd: m2, and not all members follow it -> one"}},
		"a leader that is dead": {three(func(m []fakeMember) { m[1].down = "context deadline exceeded" }), nil,
			[]string{"etcd member m2: context deadline exceeded -> healthy", "leader of etcd: none -> one"}},
		"health without a status": {strings.Replace(three(func(m []fakeMember) { m[2].down = "x" }), `"https://10.0.0.3:2379","health":false`, `"https://10.0.0.3:2379","health":true`, 1), nil,
			[]string{"etcd member m3: does not tell its status -> healthy"}},
		"no health of one": {strings.Replace(three(nil), `{"endpoint":"https://10.0.0.3:2379"`, `{"endpoint":"https://elsewhere:2379"`, 1), nil, []string{"etcd member m3: does not tell its health -> healthy"}},
		"no health at all": {strings.Split(etcdOf(fakeMember{name: "m1", n: 1, follows: 1}), "@health")[0] + "@health\n\n@-\nError: failed to fetch endpoints\n@alarms\n{}\n",
			nil, []string{"etcd member m1: failed to fetch endpoints -> healthy"}},
		"a corrupt member": {strings.Replace(three(nil), "@alarms\n{}", `@alarms
{"alarms":[{"memberID":9223372036854775811,"alarm":2},{"memberID":7,"alarm":9}]}`, 1), nil, []string{"alarm of etcd member m3: CORRUPT -> none", "alarm of etcd member 7: alarm 9 -> none"}},
		"not asked to be healthy": {three(func(m []fakeMember) { m[2].down = "gone" }), func(e *etcdHealth) { e.Healthy = false }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEtcdHealth()
			if c.args != nil {
				c.args(e)
			}
			assert.Equal(t, c.want, diffLines(check(t, e, etcdAnswers(e, etcdHost+c.said, etcdNodes()))))
		})
	}
	e := newEtcdHealth()
	e.Timeout = 0
	change, err := e.Check(t.Context(), etcdAnswers(e, etcdHost+three(func(m []fakeMember) { m[2].down = "gone" }), etcdNodes()))
	assert.EqualError(t, err, "etcd member m3: is gone, want healthy")
	assert.Equal(t, "m2", change.Vars["leader"], "what was found is registered all the same")

	e = newEtcdHealth()
	e.Healthy = false
	change = check(t, e, etcdAnswers(e, etcdHost+"@members\n\n@-\nError: context deadline exceeded\n@alone\nnull\n", etcdNodes()))
	assert.Empty(t, change.Diffs)
	assert.Equal(t, []string{"etcd does not answer: context deadline exceeded"}, change.Notes)
	assert.Equal(t, []any{}, change.Vars["members"])
}

func TestEtcdCannotTell(t *testing.T) {
	for name, c := range map[string]struct{ said, err string }{
		"no name":           {"", "this host did not say its name (exit code 0: )"},
		"no certificate":    {"@host\nm1\n@no-cert\n@files\n/ca\n\n\n", "looked for healthcheck-client.crt and server.crt in /etc/kubernetes/pki/etcd"},
		"not root":          {etcdHost + "@unreadable\n/key\n", "/key cannot be read on this host: it is not there, or only root may read it; add become: true"},
		"no answer":         {etcdHost, "etcdctl was not asked"},
		"no JSON":           {etcdHost + strings.Replace(three(nil), "@status\n[", "@status\n<", 1), "etcdctl, asked for status: wanted JSON, found "},
		"half an answer":    {etcdHost + "@members\n{\"members\":[{\"ID\":1}]}\n", "wanted JSON, found \"\""},
		"an id in quotes":   {etcdHost + strings.Replace(three(nil), `"ID":9223372036854775809`, `"ID":"1"`, 1), "asked for members: wanted JSON"},
		"a list of nothing": {etcdHost + "@members\n{}\n@status\n[]\n@health\n[]\n@alarms\n{}\n", `etcdctl member list: found no member in "{}"`},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEtcdHealth()
			_, err := e.Check(t.Context(), etcdAnswers(e, c.said, etcdNodes()))
			assert.ErrorContains(t, err, c.err)
		})
	}
	e := newEtcdHealth()
	_, err := e.Check(t.Context(), &fake{errs: map[string]error{e.query().String(): errors.New("lost")}})
	assert.EqualError(t, err, "lost")
}

// TestEtcdThis is about which member is on the host.
func TestEtcdThis(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint, head, this string
	}{
		"who answers at the loopback":    {"https://localhost:2379", "@host\nx\n@addresses\n", "m1"},
		"by its address":                 {"https://etcd.example:2379", "@host\nm3\n@addresses\n1: eth0 inet 10.0.0.2/24\n", "m2"},
		"by its name":                    {"https://10.0.0.1:2379", "@host\nM3\n@addresses\n10.9.9.9\n", "m3"},
		"none":                           {"https://10.0.0.1:2379", "@host\nx\n@addresses\n10.9.9.9\n", ""},
		"a loopback is no one's address": {"https://10.0.0.1:2379", "@host\nx\n@addresses\n127.0.0.1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEtcdHealth()
			e.Endpoints = []string{c.endpoint}
			vars := check(t, e, etcdAnswers(e, c.head+three(func(m []fakeMember) { m[2].peerOnly = true }), etcdNodes())).Vars
			assert.Equal(t, c.this, vars["this"])
			assert.Equal(t, c.this == "m2", vars["this_leads"])
		})
	}
}

func TestEtcdArguments(t *testing.T) {
	for text, change := range map[string]func(*etcdHealth){
		"endpoints: at least one":          func(e *etcdHealth) { e.Endpoints = nil },
		`endpoints: "127.0.0.1:2379"`:      func(e *etcdHealth) { e.Endpoints = []string{"127.0.0.1:2379"} },
		`endpoints: "https://a:1,b" is`:    func(e *etcdHealth) { e.Endpoints = []string{"https://a:1,b"} },
		`endpoints: "https://a/health"`:    func(e *etcdHealth) { e.Endpoints = []string{"https://a/health"} },
		"may_go_down is empty":             func(e *etcdHealth) { e.MayGoDown = "" },
		"may_go_down: found 3":             func(e *etcdHealth) { e.MayGoDown = 3 },
		"cert and key belong":              func(e *etcdHealth) { e.Cert = "/x" },
		"members, max_raft_spread and tim": func(e *etcdHealth) { e.Members = -1 },
	} {
		e := newEtcdHealth()
		change(e)
		assert.ErrorContains(t, e.Validate(), text)
	}
	e := newEtcdHealth()
	e.Endpoints, e.MayGoDown = []string{"http://[::1]:2379", "https://etcd.example:2379"}, "node1"
	require.NoError(t, e.Validate())
	e.CACert = "/a b'c"
	assert.Contains(t, e.query().Shell, `ca=`+Quote("/a b'c")+"\n")
	assert.NotContains(t, e.query().String(), "/a b", "what people see is short")
}
