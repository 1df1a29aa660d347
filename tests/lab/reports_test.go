//go:build linux

package lab

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAudit(t *testing.T) {
	const (
		late  = `{"verb":"create","requestReceivedTimestamp":"2025-11-24T10:00:02.5Z","stageTimestamp":"2025-11-24T10:00:03Z","objectRef":{"resource":"pods","subresource":"eviction","namespace":"a","name":"p"},"requestURI":"/api/v1/namespaces/a/pods/p/eviction?dryRun=All","responseStatus":{"code":429}}`
		early = `{"verb":"patch","requestReceivedTimestamp":"2025-11-24T10:00:01Z","user":{"username":"u"},"userAgent":"kubectl/1","objectRef":{"resource":"nodes","name":"n"},"requestObject":{"spec":{"unschedulable":true}},"responseStatus":{"code":200}}`
	)
	got, err := parseAudit([]byte(late + "\n" + early + "\n" + `{"verb":"dele`))
	require.NoError(t, err)
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return v
	}
	require.Equal(t, []AuditEvent{
		{Received: at("2025-11-24T10:00:01Z"), Verb: "patch", Resource: "nodes", Name: "n", User: "u", UserAgent: "kubectl/1", Request: json.RawMessage(`{"spec":{"unschedulable":true}}`), Code: 200},
		{Received: at("2025-11-24T10:00:02.5Z"), Answered: at("2025-11-24T10:00:03Z"), Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "a", Name: "p", DryRun: true, Code: 429},
	}, got)
	_, err = parseAudit([]byte(early + "\nnot JSON\n"))
	require.ErrorContains(t, err, "line 2")
}

func TestParseMember(t *testing.T) {
	const metrics = "# TYPE etcd_server_has_leader gauge\netcd_server_has_leader 1\netcd_server_is_leader 0\nother 1\n"
	got, err := parseMember(strings.NewReader(metrics))
	require.NoError(t, err)
	require.Equal(t, member{hasLeader: true}, got)
	_, err = parseMember(strings.NewReader("etcd_server_has_leader 1\n"))
	require.ErrorContains(t, err, "etcd's metrics")
}

func TestEtcdReport(t *testing.T) {
	start := time.Now()
	led, leads, none := member{hasLeader: true}, member{hasLeader: true, leads: true}, member{}
	w := &EtcdWatch{members: map[string]member{"a": led, "b": led, "c": led}}
	for i, saw := range []struct {
		host     string
		is       member
		answered bool
	}{
		{"a", leads, true},
		{"b", led, true},
		{"c", none, false}, // two of three go on
		{"a", leads, true},
		{"b", none, true}, // second 4: and now one
		{"a", none, true},
		{"c", leads, true}, // one again
		{"b", led, true},   // second 7: and two
		{"a", none, false},
		{"b", none, true}, // second 9
		{"b", led, true},
	} {
		w.saw(saw.host, saw.is, saw.answered, start.Add(time.Duration(i)*time.Second))
	}
	r := w.report
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	require.Equal(t, []Moment{{at(4), at(7)}, {at(9), at(10)}}, r.Lost)
	require.Equal(t, 3*time.Second, r.LongestLoss())
	require.Equal(t, []string{"a", "c"}, r.Leaders)
	require.Equal(t, 1, r.LeaderChanges())
	require.Equal(t, 9, r.Answers)
	require.Zero(t, EtcdReport{}.LongestLoss())
	require.Zero(t, EtcdReport{}.LeaderChanges())
}

func TestRenewPatch(t *testing.T) {
	got, err := renewPatch(`{"metadata":{"annotations":{"node.alpha.kubernetes.io/ttl":"0","lab/mine":"x","other":"y"}},"spec":{"unschedulable":true}}`)
	require.NoError(t, err)
	require.JSONEq(t, `{"metadata":{"annotations":{"lab/mine":null,"other":null}},"spec":{"unschedulable":null}}`, got)
}

func TestPodHasStartedWhenItsLastContainerHas(t *testing.T) {
	const list = `{"items":[
		{"metadata":{"name":"both"},"status":{"containerStatuses":[{"state":{"running":{"startedAt":"2025-11-24T10:00:01Z"}}},{"state":{"running":{"startedAt":"2025-11-24T10:00:02Z"}}}]}},
		{"metadata":{"name":"first"},"status":{"containerStatuses":[{"state":{"running":{"startedAt":"2025-11-24T10:00:01Z"}}},{"state":{"waiting":{}}}]}},
		{"metadata":{"name":"second"},"status":{"containerStatuses":[{"state":{"waiting":{}}},{"state":{"running":{"startedAt":"2025-11-24T10:00:02Z"}}}]}}]}`
	pods, err := parsePods(list)
	require.NoError(t, err)
	require.Equal(t, 2, pods[0].Started.Second())
	require.True(t, pods[1].Started.IsZero())
	require.True(t, pods[2].Started.IsZero())
}
