package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEtcdMayGoDown is the gate before a node is taken away.
func TestEtcdMayGoDown(t *testing.T) {
	down := func(n int) func([]fakeMember) {
		return func(m []fakeMember) { m[n-1].down = "context deadline exceeded" }
	}
	five := etcdOf(fakeMember{name: "m1", n: 1, follows: 1}, fakeMember{name: "m2", n: 2, follows: 1}, fakeMember{name: "m3", n: 3, follows: 1}, fakeMember{name: "m4", n: 4, follows: 1}, fakeMember{name: "m5", n: 5, follows: 1, down: "gone"})
	learner := etcdOf(fakeMember{name: "m1", n: 1, follows: 1}, fakeMember{name: "m2", n: 2, follows: 1, learner: true})
	for name, c := range map[string]struct {
		said  string
		nodes []string // cordoned
		who   any
		may   bool
		why   string
	}{
		"all are well":                {three(nil), nil, true, true, "without m1 2 of 3 voting members are left, and 2 are needed"},
		"the leader too":              {three(nil), nil, "m2", true, "without m2 2 of 3 voting members are left, and 2 are needed"},
		"one is down":                 {three(down(3)), nil, true, false, "m3 is not healthy; without m1 1 of 3 voting members are left, and 2 are needed"},
		"it is the one that is down":  {three(down(3)), nil, "m3", true, "without m3 2 of 3 voting members are left, and 2 are needed"},
		"another is cordoned":         {three(nil), []string{"m2"}, true, false, "m2 is cordoned, so it counts as down; without m1 1 of 3 voting members are left, and 2 are needed"},
		"it is itself cordoned":       {three(nil), []string{"m1"}, true, true, "without m1 2 of 3 voting members are left, and 2 are needed"},
		"a worker is cordoned":        {three(nil), []string{"worker1"}, true, true, "without m1 2 of 3 voting members are left, and 2 are needed"},
		"cordoned and down, once":     {three(down(3)), []string{"m3"}, true, false, "m3 is not healthy; without m1 1 of 3 voting members are left, and 2 are needed"},
		"a worker":                    {three(down(3)), []string{"m2"}, "worker1", true, "no member of etcd runs on worker1"},
		"by an address of the node":   {three(nil), []string{"m1"}, "10.0.0.2", false, "m1 is cordoned, so it counts as down; without m2 1 of 3 voting members are left, and 2 are needed"},
		"five bear two":               {five, nil, "m2", true, "m5 is not healthy; without m2 3 of 5 voting members are left, and 3 are needed"},
		"five do not bear three":      {five, []string{"m3"}, "m2", false, "m3 is cordoned, so it counts as down; m5 is not healthy; without m2 2 of 5 voting members are left, and 3 are needed"},
		"a learner does not vote":     {learner, nil, "m2", true, "m2 is a learner: the quorum does without it"},
		"nor does it help the others": {learner, nil, "m1", false, "without m1 0 of 1 voting members are left, and 1 are needed"},
		"an alarm": {strings.Replace(three(nil), "@alarms\n{}", "@alarms\n{\"alarms\":[{\"memberID\":9223372036854775811,\"alarm\":1}]}", 1), nil, true, false,
			"without m1 2 of 3 voting members are left, and 2 are needed; m3 has the alarm NOSPACE"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEtcdHealth()
			e.Healthy, e.MayGoDown = false, c.who
			change := check(t, e, etcdAnswers(e, etcdHost+c.said, etcdNodes(c.nodes...)))
			assert.Equal(t, []any{c.may, c.why}, []any{change.Vars["may_go_down"], change.Vars["why"]})
			assert.Equal(t, c.may, len(change.Diffs) == 0)
			if !c.may {
				assert.Equal(t, c.why, change.Diffs[0].Have)
			}
			e.Timeout = 0
			_, err := e.Check(t.Context(), etcdAnswers(e, etcdHost+c.said, etcdNodes(c.nodes...)))
			assert.Equal(t, c.may, err == nil)
		})
	}
}

// unreachable is a cluster whose API does not answer.
type unreachable struct{ fakeCluster }

func (unreachable) Resolve(context.Context, Ref) (Ref, error) {
	return Ref{}, errors.New("connection refused")
}

// TestEtcdWithoutCordons is about hosts from which the API cannot be asked: what
// nobody knows does not count as well.
func TestEtcdWithoutCordons(t *testing.T) {
	said := etcdHost + three(nil)
	e := newEtcdHealth()
	change := check(t, e, etcdAnswers(e, said, nil))
	assert.Empty(t, change.Diffs, "etcd itself is well")
	assert.Equal(t, []string{"nobody knows which nodes are cordoned: " + ErrNoCluster.Error()}, change.Notes)
	assert.Equal(t, []any{false, "nobody knows which nodes are cordoned: " + ErrNoCluster.Error()}, []any{change.Vars["may_go_down"], change.Vars["why"]})

	e.MayGoDown = true
	_, err := e.Check(t.Context(), etcdAnswers(e, said, nil))
	require.ErrorIs(t, err, ErrNoCluster)
	assert.ErrorContains(t, err, "cordons: ignore does without")

	for _, who := range []any{true, "m3", "worker1"} {
		e.MayGoDown = who
		change = check(t, e, etcdAnswers(e, said, &unreachable{}))
		require.Len(t, change.Diffs, 1, "it may come back: this waits")
		assert.Equal(t, "nobody knows which nodes are cordoned: connection refused", change.Diffs[0].Have)
		assert.Equal(t, "an answer of the Kubernetes API", change.Diffs[0].Want)
		assert.Empty(t, change.Notes)
	}

	e.Cordons, e.MayGoDown = "ignore", "m3"
	change = check(t, e, etcdAnswers(e, said, nil))
	assert.Empty(t, change.Diffs)
	assert.Empty(t, change.Notes)
	e.MayGoDown = "m9"
	_, err = e.Check(t.Context(), etcdAnswers(e, said, nil))
	assert.EqualError(t, err, `may_go_down: no member of etcd (m1, m2, m3) and no node of Kubernetes, which was not asked, is named "m9" or has that address`)
}

// TestEtcdWhoIsMeant is about names that mean nobody, or perhaps somebody.
func TestEtcdWhoIsMeant(t *testing.T) {
	e := newEtcdHealth()
	e.MayGoDown = "wroker1"
	_, err := e.Check(t.Context(), etcdAnswers(e, etcdHost+three(nil), etcdNodes()))
	assert.EqualError(t, err, `may_go_down: no member of etcd (m1, m2, m3) and no node of Kubernetes (m1, m2, m3, worker1) is named "wroker1" or has that address`)

	strangers := func(m []fakeMember) {
		for i := range m {
			m[i].name, m[i].n, m[i].follows = fmt.Sprint("etcd", i), i+11, 12
		}
	}
	e.MayGoDown = "m2"
	_, err = e.Check(t.Context(), etcdAnswers(e, etcdHost+three(strangers), etcdNodes()))
	assert.EqualError(t, err, "may_go_down: member etcd0 of etcd is on no node that is known, and m2 is a control-plane node, so it may be there; name the member instead")
	e.MayGoDown = "etcd1"
	assert.Empty(t, check(t, e, etcdAnswers(e, etcdHost+three(strangers), etcdNodes())).Diffs)

	e.Endpoints, e.MayGoDown = []string{"https://10.0.0.11:2379"}, true
	_, err = e.Check(t.Context(), etcdAnswers(e, etcdHost+three(strangers), etcdNodes()))
	assert.EqualError(t, err, "etcd runs on this host, and none of its members (etcd0, etcd1, etcd2) has this host's name or an address of it; give may_go_down the name of the member")
	change := check(t, e, etcdAnswers(e, strings.Replace(etcdHost, "@runs\n", "", 1)+three(strangers), etcdNodes()))
	assert.Equal(t, []any{true, "no member of etcd runs on this host"}, []any{change.Vars["may_go_down"], change.Vars["why"]})
	e.MayGoDown = nil
	change = check(t, e, etcdAnswers(e, etcdHost+three(strangers), etcdNodes()))
	assert.Equal(t, false, change.Vars["may_go_down"], "nobody asked, and nobody knows")
}

// TestEtcdInAPlan is a plan in which an earlier task cordons a node.
func TestEtcdInAPlan(t *testing.T) {
	e := newEtcdHealth()
	e.MayGoDown = true
	target := etcdAnswers(e, etcdHost+three(nil), etcdNodes())
	node := Object{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "m2", "uid": "1"}, "spec": map[string]any{"unschedulable": true}}
	target.predicted = []Effect{{Thing: AnObject, Name: "Node//m2", State: node}}
	assert.Contains(t, check(t, e, target).Vars["why"], "m2 is cordoned")
	target.predicted[0].State = Unforeseen{"the node"}
	_, err := e.Check(t.Context(), target)
	assert.EqualError(t, err, "known after apply: the node")
}

// TestEtcdInItsPod is a node without etcdctl: the one in the pod is asked.
func TestEtcdInItsPod(t *testing.T) {
	const (
		head = "@host\nm1\n@addresses\n10.0.0.1\n@files\n/ca\n/crt\n/key\n@missing\n"
		list = "pods with component=etcd with spec.nodeName=m1 in namespace kube-system"
		argv = "etcd-m1/etcd: etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/ca --cert=/crt --key=/key --dial-timeout=2s --command-timeout=3s --write-out=json "
	)
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd-m1, namespace: kube-system}\nspec: {nodeName: m1, containers: [{name: etcd}]}\nstatus: {phase: Running}\n"
	sections := parseEtcdAnswers(three(nil))
	cluster := etcdNodes()
	cluster.lists[list] = pod
	cluster.outputs = map[string]Output{
		argv + "member list": {Stdout: sections["members"].json}, argv + "endpoint status --cluster": {Stdout: sections["status"].json},
		argv + "endpoint health --cluster": {Stdout: sections["health"].json, Stderr: "Error: unhealthy cluster\n", Code: 1},
		argv + "alarm list":                {Stdout: sections["alarms"].json}, argv + "endpoint status": {Stdout: "[]"},
	}
	e := newEtcdHealth()
	e.MayGoDown = true
	change := check(t, e, etcdAnswers(e, head, cluster))
	assert.Empty(t, change.Diffs)
	assert.Equal(t, []any{"m1", "m2", true}, []any{change.Vars["this"], change.Vars["leader"], change.Vars["may_go_down"]})

	cluster.outputs = nil // each command is an error then
	change = check(t, e, etcdAnswers(e, head, cluster))
	require.Len(t, change.Diffs, 2)
	assert.Contains(t, change.Diffs[0].Have, "unexpected question")
	cluster.lists[list] = strings.Replace(pod, "Running", "Pending", 1)
	assert.Equal(t, "pod etcd-m1 on m1 is not running (phase Pending)", check(t, e, etcdAnswers(e, head, cluster)).Diffs[0].Have)

	cluster.lists[list] = ""
	for name, c := range map[string]struct {
		head    string
		cluster Cluster
		err     string
	}{
		"no pod":     {head, cluster, "node m1 has no pod with component=etcd in namespace kube-system: no member of etcd runs here"},
		"no node":    {strings.NewReplacer("m1", "x", "10.0.0.1", "10.9.9.9").Replace(head), cluster, "is no node of the cluster"},
		"no cluster": {head, nil, "this host has no etcdctl, and its etcd pod cannot be asked: " + ErrNoCluster.Error()},
		"no API":     {head, &unreachable{}, "its etcd pod cannot be asked: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Check(t.Context(), etcdAnswers(e, c.head, c.cluster))
			assert.ErrorContains(t, err, c.err)
		})
	}
	cluster.lists[list] = pod
	_, err := e.Check(t.Context(), etcdAnswers(e, strings.Replace(head, "@files", "@no-cert\n@files", 1), cluster))
	assert.Equal(t, errNoEtcdCert, err)
}
