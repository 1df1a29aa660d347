package runner

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/playbooks"
)

// TestAListThatHasBecomeAnother: what was done for an item was done for no other,
// also where the items have moved in their list since.
func TestAListThatHasBecomeAnother(t *testing.T) {
	text := func(list string) string {
		return "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: t, command: \"do {{ item }}\", loop: " + list + "}\n"
	}
	before, inv := books(t, text("[b, c, b, d]"))
	after, _ := books(t, text("[a, b, c, b, d]"))
	for dies := 1; dies <= 12; dies++ {
		for _, written := range []bool{false, true} {
			first := &paper{dies: dies, written: written}
			got := ran{fleet: &fleet{}}.carry(t.Context(), t, before, inv, func(r *Runner, _ *fleet) { r.Journal = first })
			got = got.carry(t.Context(), t, after, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = &paper{}, Fold(first.records) })
			require.NoError(t, got.err)
			require.ElementsMatch(t, []string{"h1: do a", "h1: do b", "h1: do b", "h1: do c", "h1: do d"}, got.fleet.did, "died at %d, written %t", dies, written)
		}
	}
}

// TestWhatIsAlwaysDoneMayUndo: a block that failed is looked at again from its
// beginning, but its commands are not repeated.
func TestWhatIsAlwaysDoneMayUndo(t *testing.T) {
	book, inv := books(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: before, ping: }
  - block:
    - {name: looks, ping: }
    - {name: acts, command: do act}
    - {name: breaks, command: only h9}
    always:
    - {name: always, command: do always}
`)
	first := &paper{}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal = first })
	require.True(t, got.summary.Failed)
	got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = &paper{}, Fold(first.records) })
	recalled := map[string]bool{}
	for _, e := range got.events {
		if d, ok := e.(TaskDone); ok {
			recalled[d.Task] = d.Recalled
		}
	}
	require.Equal(t, map[string]bool{"before": true, "looks": false, "acts": true, "breaks": false, "always": false}, recalled)
	require.Equal(t, []string{"h1: :", "h1: :", "h1: do act", "h1: only h9", "h1: do always", "h1: :", "h1: only h9", "h1: do always"}, got.fleet.did)
}

// TestTargetsKeepNothing: whatever steps and attempts a run began in however many
// lives, at its end the targets have forgotten them all.
func TestTargetsKeepNothing(t *testing.T) {
	book, inv := books(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: once, command: do once}
  - {name: tries, command: third, register: r, until: "r.stdout == '3'", retries: 5, delay: 0}
  - {name: elsewhere, command: do there, delegate_to: h2}
  - {name: and there, command: do it, delegate_to: h3}
  - {name: looks at no target, debug: {msg: done}}
`)
	whole := &paper{}
	got := ran{fleet: &fleet{tries: map[string]int{}}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal = whole })
	require.NoError(t, got.err)
	require.Empty(t, got.fleet.kept)
	for dies := 1; dies <= len(whole.records); dies++ {
		first := &paper{dies: dies, written: true}
		got := ran{fleet: &fleet{tries: map[string]int{}}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal = first })
		require.ErrorIs(t, got.err, errDied)
		got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = &paper{}, Fold(first.records) })
		require.NoError(t, got.err)
		require.Empty(t, got.fleet.kept, "died at %d", dies)
	}
}

// threePods is a cluster of three running pods that writes down what was done in
// each, and dies at the given one with the command done.
type threePods struct {
	*smallCluster
	did []string
}

func (c *threePods) List(context.Context, modules.Ref) ([]modules.Object, error) {
	var pods []modules.Object
	for _, name := range []string{"a", "b", "c"} {
		pods = append(pods, modules.Object{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "namespace": "default", "uid": name},
			"spec":   map[string]any{"containers": []any{map[string]any{"name": "main"}}},
			"status": map[string]any{"phase": "Running"},
		})
	}
	return pods, nil
}

func (c *threePods) Take(_ context.Context, s modules.Step) (modules.Output, error) {
	c.did = append(c.did, s.(modules.PodExec).Pod)
	return modules.Output{}, nil
}

// TestACommandInSeveralPods: of a command that was under way in one of several
// pods the operator decides for that pod; it is not repeated in those before it,
// and not forgotten in those after it.
func TestACommandInSeveralPods(t *testing.T) {
	book, inv := books(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: t, kubectl: {exec: pods, selector: app=x, command: [act]}}\n")
	for decision, want := range map[Doubt][]string{Rerun: {"a", "b", "b", "c"}, Skip: {"a", "b", "c"}, Fail: {"a", "b"}} {
		for _, silent := range []bool{false, true} {
			cluster := &threePods{smallCluster: &smallCluster{}}
			with := func(j Journal, past *Past) func(*Runner, *fleet) {
				return func(r *Runner, _ *fleet) {
					r.Journal, r.Past = j, past
					r.Cluster = func(context.Context, Reach) (Cluster, error) { return cluster, nil }
					r.Doubt = func(context.Context, Intent) (Doubt, error) { return decision, nil }
				}
			}
			task := book.Plays[0].Tasks[0].(*playbooks.Task)
			task.NoLog = nil
			if silent {
				on, _ := books(t, "- hosts: h1\n  tasks:\n  - {ping: , no_log: true}\n")
				task.NoLog = on.Plays[0].Tasks[0].(*playbooks.Task).NoLog
			}
			first := &paper{dies: 4} // the batch, two intents; the third is not written
			got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, with(first, nil))
			require.ErrorIs(t, got.err, errDied)
			require.Equal(t, []string{"a", "b"}, cluster.did)
			got = got.carry(t.Context(), t, book, inv, with(&paper{}, Fold(first.records)))
			require.NoError(t, got.err)
			require.Equal(t, want, cluster.did, "%s, no_log %t", decision, silent)
			require.Equal(t, decision == Fail, got.summary.Failed)
		}
	}
}
