package runner

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/playbooks"
)

func TestBatches(t *testing.T) {
	for _, c := range []struct {
		name   string
		hosts  int
		serial []playbooks.Batch
		want   []int
	}{
		{"no serial", 8, nil, []int{8}},
		{"one by one", 3, []playbooks.Batch{{Count: 1}}, []int{1, 1, 1}},
		{"a canary, then a quarter, then all", 8, []playbooks.Batch{{Count: 1}, {Percent: 25}, {Percent: 100}}, []int{1, 2, 5}},
		{"percentages are floored", 8, []playbooks.Batch{{Percent: 30}}, []int{2, 2, 2, 2}},
		{"and never less than one", 8, []playbooks.Batch{{Percent: 1}}, []int{1, 1, 1, 1, 1, 1, 1, 1}},
		{"the last repeats", 7, []playbooks.Batch{{Count: 1}, {Count: 3}}, []int{1, 3, 3}},
		{"more than there are", 2, []playbooks.Batch{{Count: 5}}, []int{2}},
		{"no hosts", 0, []playbooks.Batch{{Count: 5}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			for _, b := range batches(make([]int, c.hosts), c.serial) {
				got = append(got, len(b))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestMaxFailPercentageMustBeExceeded(t *testing.T) {
	require.False(t, exceeds(1, 2, 50))
	require.True(t, exceeds(1, 2, 49))
	require.False(t, exceeds(0, 8, 0))
	require.True(t, exceeds(1, 8, 0))
	require.False(t, exceeds(8, 8, 100))
}

func TestSelectionTakes(t *testing.T) {
	for _, c := range []struct {
		name       string
		want, skip []string
		tags       []string
		takes      bool
	}{
		{name: "nothing asked, nothing tagged", takes: true},
		{name: "asked for", want: []string{"a"}, tags: []string{"a", "b"}, takes: true},
		{name: "not asked for", want: []string{"a"}, tags: []string{"b"}},
		{name: "always runs", want: []string{"a"}, tags: []string{"always"}, takes: true},
		{name: "never does not", tags: []string{"never"}},
		{name: "unless one of its tags is asked for", want: []string{"a"}, tags: []string{"never", "a"}, takes: true},
		{name: "always wins over never", tags: []string{"always", "never"}, takes: true},
		{name: "skipped by a tag", skip: []string{"a"}, tags: []string{"a"}},
		{name: "skip wins over want", want: []string{"a"}, skip: []string{"b"}, tags: []string{"a", "b"}},
		{name: "tagged", want: []string{"tagged"}, tags: []string{"x"}, takes: true},
		{name: "tagged, but never", want: []string{"tagged"}, tags: []string{"never"}},
		{name: "untagged", want: []string{"untagged"}, takes: true},
		{name: "skip all but always", skip: []string{"all"}, tags: []string{"always"}, takes: true},
		{name: "skip all", skip: []string{"all"}, tags: []string{"x"}},
		{name: "skip always by name", skip: []string{"always"}, tags: []string{"always"}},
		{name: "skip tagged", skip: []string{"tagged"}, tags: []string{"x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.takes, Selection{Tags: c.want, Skip: c.skip}.Takes(c.tags))
		})
	}
}

func TestSecretsAreReplacedEverywhere(t *testing.T) {
	var s secrets
	s.add("hunter2")
	s.add("hunter2-long")
	s.add("abc") // too short to look for
	r := s.result(Result{
		Msg: "login with hunter2-long failed",
		Change: modules.Change{
			Diffs: []modules.Diff{{What: "hunter2", Have: "abc", Want: "x hunter2 y"}},
			Steps: []modules.Step{modules.Command("login", "hunter2")},
			Notes: []string{"hunter2"},
		},
		Vars: map[string]any{"stdout": "hunter2", "list": []any{"hunter2"}, "n": 1},
	})
	require.Equal(t, "login with ******** failed", r.Msg)
	require.Equal(t, []modules.Diff{{What: "********", Have: "abc", Want: "x ******** y"}}, r.Change.Diffs)
	require.Equal(t, "login ********", r.Change.Steps[0].String())
	require.Equal(t, []string{"********"}, r.Change.Notes)
	require.Equal(t, map[string]any{"stdout": "********", "list": []any{"********"}, "n": 1}, r.Vars)
}
