package modules

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var _ Rememberer = (*kubectl)(nil)

// recalled is a module of a resumed run: new, but with what the first has seen.
func recalled(t *testing.T, first, next *kubectl) *kubectl {
	t.Helper()
	seen := first.Seen()
	require.NotEmpty(t, seen)
	require.NoError(t, next.Recall(seen))
	assert.JSONEq(t, string(seen), string(next.Seen()))
	return next
}

func TestKubectlDoesNotDeleteTwice(t *testing.T) {
	cluster := &fakeCluster{
		lists:   map[string]string{podsRef: pod("a", "n1", true, "")},
		objects: map[string]string{"pod/a in namespace ns": pod("a", "n1", true, "")},
	}
	fresh := func() *kubectl { return &kubectl{Delete: "pods", Selector: "app=x", Namespace: "ns"} }
	first := fresh()
	assert.Nil(t, first.Seen())
	assert.Len(t, check(t, first, &fake{cluster: cluster}).Steps, 1)

	// The pod is deleted, and another has come under its name.
	cluster.objects["pod/a in namespace ns"] = strings.Replace(pod("a", "n1", true, ""), "uid-a", "uid-b", 1)
	cluster.lists[podsRef] = cluster.objects["pod/a in namespace ns"]
	change := check(t, recalled(t, first, fresh()), &fake{cluster: cluster})
	assert.Empty(t, change.Steps)
	assert.Empty(t, change.Diffs)
	assert.Len(t, check(t, fresh(), &fake{cluster: cluster}).Steps, 1, "without it, the replacement would be deleted")
}

func TestKubectlForgetsNothingThatWasNothing(t *testing.T) {
	cluster := &fakeCluster{lists: map[string]string{podsRef: ""}}
	fresh := func() *kubectl {
		return &kubectl{Delete: "pods", Selector: "app=x", Namespace: "ns", AllowEmpty: true}
	}
	first := fresh()
	assert.Empty(t, check(t, first, &fake{cluster: cluster}).Steps)
	cluster.lists[podsRef] = pod("late", "n1", true, "")
	assert.Empty(t, check(t, recalled(t, first, fresh()), &fake{cluster: cluster}).Steps, "it had come to an end")
}

func TestKubectlDoesNotRestartTwice(t *testing.T) {
	cluster := &fakeCluster{
		objects: map[string]string{dsRef: daemonset(3, 3, "")},
		lists:   map[string]string{dsPods: pod("a", "n1", true, "")},
	}
	fresh := func() *kubectl { return &kubectl{Restart: "daemonset/ds", Namespace: "ns", now: time.Now} }
	first := fresh()
	step := check(t, first, &fake{cluster: cluster}).Steps[0].(APIStep)
	mark := dig[string](step.Body, "spec", "template", "metadata", "annotations", restartMark)

	restarted := strings.Replace(daemonset(3, 3, restartMark+": "+mark), "generation: 4", "generation: 5", 1)
	cluster.objects[dsRef] = strings.Replace(restarted, "observedGeneration: 4", "observedGeneration: 5", 1)
	change := check(t, recalled(t, first, fresh()), &fake{cluster: cluster})
	assert.Empty(t, change.Steps)
	assert.Empty(t, change.Diffs)
	assert.Len(t, check(t, fresh(), &fake{cluster: cluster}).Steps, 1, "without it, there would be one more")
}

func TestKubectlRecallsThatThereWereSome(t *testing.T) {
	cluster := &fakeCluster{lists: map[string]string{podsRef: pod("a", "n1", true, "")}}
	fresh := func() *kubectl { return &kubectl{Wait: "pods", Selector: "app=x", Namespace: "ns"} }
	first := fresh()
	check(t, first, &fake{cluster: cluster})
	cluster.lists[podsRef] = ""
	assert.NotEmpty(t, check(t, recalled(t, first, fresh()), &fake{cluster: cluster}).Diffs, "an empty moment is a wait")
	assert.Error(t, fresh().Recall([]byte("{")))
}
