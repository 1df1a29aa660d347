package modules

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKubectlLogs(t *testing.T) {
	two := pod("a", "n1", true, "") + pod("b", "n2", true, "")
	going := "---\napiVersion: v1\nkind: Pod\nmetadata: {name: old, namespace: ns, deletionTimestamp: T}\n"
	clean := "starting\nCompleted first update\nok\n"
	for _, c := range []struct {
		name string
		k    *kubectl
		logs map[string]string
		want []string
	}{
		{"only counted", &kubectl{Match: []any{"o.*k|Com", "never"}}, map[string]string{"a/main": clean, "b/main": ""}, nil},
		{"required and there", &kubectl{Require: "Completed.*update"}, map[string]string{"a/main": clean, "b/main": clean}, nil},
		{"required of every pod", &kubectl{Require: []any{"Completed"}}, map[string]string{"a/main": clean, "b/main": "starting\n"},
			[]string{`log of pod b on n2: none of 1 lines matches "Completed" -> a line that matches`}},
		{"an empty log is not clean", &kubectl{Require: "Completed", Absent: "error"}, map[string]string{"a/main": clean, "b/main": ""},
			[]string{`log of pod b on n2: none of 0 lines matches "Completed" -> a line that matches`}},
		{"an error", &kubectl{Absent: "Bad return, code"}, map[string]string{"a/main": clean, "b/main": "x\nBad return, code 1\nBad return, code 2\n"},
			[]string{`log of pod b on n2: 2 of 3 lines match "Bad return, code", the last: Bad return, code 2 -> no line that matches`}},
		{"an error of the run before", &kubectl{Absent: "Bad", Previous: true, Require: "Completed"},
			map[string]string{"a/main": clean, "b/main": clean, "a/main previous": "fine\n", "b/main previous": "Bad\n"},
			[]string{`log of pod b on n2: 1 of 4 lines match "Bad", the last: Bad -> no line that matches`}},
		{"an error of the program's life before", &kubectl{Absent: "Bad", Require: "ok", After: "^starting"},
			map[string]string{"a/main": "starting\nBad\n" + clean, "b/main": clean}, nil},
		{"required of its last life", &kubectl{Require: "Completed", After: "^starting"},
			map[string]string{"a/main": clean + "starting\n", "b/main": clean},
			[]string{`log of pod a on n1: none of 1 lines matches "Completed" -> a line that matches`}},
		{"since", &kubectl{Absent: "Bad", Since: "2026-01-01T00:00:00Z"},
			map[string]string{"a/main since 2026-01-01T00:00:00Z": clean, "b/main since 2026-01-01T00:00:00Z": clean}, nil},
		{"one cannot be read", &kubectl{Absent: "Bad"}, map[string]string{"a/main": clean},
			[]string{`log of pod b on n2: not readable: unexpected question "b/main" -> readable`}},
		{"another container", &kubectl{Container: "side", Absent: "Bad"}, map[string]string{"a/side": "", "b/side": ""}, nil},
		{"as many as expected", &kubectl{Expect: 3}, map[string]string{"a/main": "", "b/main": ""},
			[]string{"number of pods with app=x in namespace ns: 2 -> 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := time.Minute
			k := c.k
			k.Logs, k.Selector, k.Namespace, k.Timeout = "pods", "app=x", "ns", &limit
			change := check(t, k, &fake{cluster: &fakeCluster{lists: map[string]string{podsRef: two + going}, logs: c.logs}})
			assert.Equal(t, c.want, diffLines(change))
			assert.Equal(t, limit, change.Wait.Timeout)
			assert.Equal(t, 2, change.Vars["count"])
		})
	}
}

func TestKubectlLogsAtOnce(t *testing.T) {
	cluster := &fakeCluster{
		objects: map[string]string{"pod/a in namespace ns": pod("a", "n1", true, "")},
		lists:   map[string]string{podsRef: ""}, logs: map[string]string{"a/main": "one\ntwo\n"},
	}
	k := &kubectl{Logs: "pod/a", Namespace: "ns", Absent: "tw", Match: "o"}
	c, err := k.Check(context.Background(), &fake{cluster: cluster})
	require.EqualError(t, err, `log of pod a on n1: is 1 of 2 lines match "tw", the last: two, want no line that matches`)
	assert.Equal(t, map[string]any{
		"pod": "a", "namespace": "ns", "node": "n1", "container": "main", "started": "2026-01-01T00:00:05Z", "restarts": int64(2),
		"lines": 2, "first": "one", "last": "two", "last_match": "two", "error": "",
		"matched": map[string]any{"o": 2}, "required": map[string]any{}, "absent": map[string]any{"tw": 1},
	}, c.Vars["pods"].([]any)[0], "what was read is registered all the same")

	assert.Contains(t, fails(t, &kubectl{Logs: "pods", Selector: "app=x", Namespace: "ns"}, cluster), "there are no pods with app=x")
}

func TestKubectlExec(t *testing.T) {
	cluster := &fakeCluster{
		lists:   map[string]string{podsRef: pod("a", "n1", true, "") + pod("b", "n2", true, ""), "pods with app=none in namespace ns": ""},
		outputs: map[string]Output{"a/main: cat /x": {Stdout: "A\n"}, "b/main: cat /x": {Code: 1, Stderr: "cat: /x\nno such file\n"}},
	}
	words := []any{"cat", "/x"}
	c := check(t, &kubectl{Exec: "pods", Selector: "app=x", Namespace: "ns", Command: []any{"sh", "-c", "echo 'a'"}, Stdin: "in"}, &fake{cluster: cluster})
	assert.Equal(t, []string{`kubectl -n ns exec a -c main -i -- sh -c 'echo '\''a'\'''`, `kubectl -n ns exec b -c main -i -- sh -c 'echo '\''a'\'''`}, stepLines(c))
	assert.Equal(t, PodCommand{Namespace: "ns", Pod: "b", Container: "main", Argv: []string{"sh", "-c", "echo 'a'"}, Stdin: "in"}, c.Steps[1].(PodExec).PodCommand)

	k := &kubectl{Exec: "pods", Selector: "app=x", Namespace: "ns", Command: words, ReadOnly: true}
	c, err := k.Check(context.Background(), &fake{cluster: cluster})
	require.EqualError(t, err, "cat /x in pod b on n2: is exit code 1 no such file, want exit code 0")
	assert.Equal(t, []any{
		map[string]any{"pod": "a", "node": "n1", "container": "main", "rc": 0, "stdout": "A", "stderr": ""},
		map[string]any{"pod": "b", "node": "n2", "container": "main", "rc": 1, "stdout": "", "stderr": "cat: /x\nno such file"},
	}, c.Vars["pods"])

	cluster.outputs["b/main: cat /x"] = Output{}
	assert.Empty(t, check(t, k, &fake{cluster: cluster}).Diffs)

	assert.Contains(t, fails(t, &kubectl{Exec: "pods", Selector: "app=none", Namespace: "ns", Command: words}, cluster), "there are no pods")
	cluster.lists[podsRef] = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus: {phase: Pending}"
	assert.Contains(t, fails(t, &kubectl{Exec: "pods", Selector: "app=x", Namespace: "ns", Command: words}, cluster), "is not running (phase Pending)")
}

func TestKubectlRun(t *testing.T) {
	limit := time.Minute
	k := &kubectl{
		Run: "probe", Image: "busybox:1.36", Command: []any{"nslookup", "x."}, Node: "n1", Namespace: "ns", Timeout: &limit,
		Env: map[string]string{"B": "2", "A": "1"}, HostNetwork: true,
	}
	c := check(t, k, &fake{cluster: &fakeCluster{}})
	require.Len(t, c.Steps, 1)
	step := c.Steps[0].(PodRun)
	assert.Equal(t, limit, step.Limit)
	assert.Equal(t, `kubectl -n ns run probe --image=busybox:1.36 --restart=Never --attach --rm --env=A=1 --env=B=2 `+
		`'--overrides={"spec":{"hostNetwork":true,"nodeName":"n1","tolerations":[{"operator":"Exists"}]}}' --command -- nslookup x.`, step.Command)
	assert.Equal(t, "n1", dig[string](step.Pod, "spec", "nodeName"))
	container := objectsAt(step.Pod, "spec", "containers")[0]
	assert.Equal(t, []any{"nslookup", "x."}, container["command"])
	assert.Equal(t, []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "B", "value": "2"}}, container["env"])
}

func TestObjectDiffs(t *testing.T) {
	containers := func(items ...any) Object {
		return Object{"kind": "Pod", "metadata": map[string]any{"name": "p"}, "spec": map[string]any{"c": items}}
	}
	one, two := map[string]any{"name": "one", "image": "1"}, map[string]any{"name": "two", "image": "2"}
	newer := map[string]any{"name": "one", "image": "9"}
	for name, c := range map[string]struct {
		have, want Object
		diffs      []string
	}{
		"same":          {containers(one, two), containers(one, two), nil},
		"by name":       {containers(one, two), containers(newer, two), []string{"pod p .spec.c[one].image: 1 -> 9"}},
		"one more":      {containers(one), containers(one, two), []string{`pod p .spec.c[two]: absent -> {"image":"2","name":"two"}`}},
		"another order": {containers(one, two), containers(two, one), []string{`pod p .spec.c: [{"image":"1","name":"one"},{"image":"2","name":"two"}] -> [{"image":"2","name":"two"},{"image":"1","name":"one"}]`}},
		"no names":      {containers("x"), containers("y"), []string{`pod p .spec.c: ["x"] -> ["y"]`}},
		"a dotted key": {
			Object{"kind": "Pod", "metadata": map[string]any{"name": "p", "labels": map[string]any{"a.b/c": "1"}}},
			Object{"kind": "Pod", "metadata": map[string]any{"name": "p", "labels": map[string]any{"a.b/c": "2"}}},
			[]string{"pod p .metadata.labels[a.b/c]: 1 -> 2"},
		},
	} {
		assert.Equal(t, c.diffs, diffLines(Change{Diffs: objectDiffs(c.have, c.want)}), name)
	}
}
