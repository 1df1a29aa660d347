package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// podCluster keeps the pods that steps make, with what they said, until they are
// cleared.
type podCluster struct {
	smallCluster
	mu   sync.Mutex
	ran  []string
	pods map[KeptPod]string
}

func (c *podCluster) Run(ctx context.Context, s modules.PodRun, mark string) (modules.Output, error) {
	if ctx.Err() != nil {
		return modules.Output{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	said := fmt.Sprint(s.Pod["spec"].(map[string]any)["nodeName"])
	c.ran = append(c.ran, said)
	if c.pods == nil {
		c.pods = map[KeptPod]string{}
	}
	c.pods[KeptPod{Namespace: "here", Mark: mark}] = said
	return modules.Output{Stdout: said}, nil
}

func (c *podCluster) Collect(_ context.Context, namespace, mark string) (modules.Output, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	said, ran := c.pods[KeptPod{Namespace: namespace, Mark: mark}]
	return modules.Output{Stdout: said}, ran, nil
}

func (c *podCluster) Clear(_ context.Context, namespace, mark string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pods, KeptPod{Namespace: namespace, Mark: mark})
	return nil
}

const podRun = `
- hosts: web
  gather_facts: false
  tasks:
  - {name: probe, kubectl: {run: probe, namespace: here, image: busybox, node: "{{ inventory_hostname }}", command: [nslookup, x]}, register: probe}
  - {name: use, command: "do {{ probe.stdout }}"}
`

func on(c *podCluster, p *paper, past *Past) func(*Runner, *fleet) {
	return func(r *Runner, _ *fleet) {
		r.Journal, r.Past = p, past
		r.Cluster = func(context.Context, Reach) (Cluster, error) { return c, nil }
	}
}

// TestAPodThatNobodyWaitedForIsAskedAfter: whatever record a run with pods of its
// own dies at, each of them ran once, its output is known, and none is left.
func TestAPodThatNobodyWaitedForIsAskedAfter(t *testing.T) {
	book, inv := books(t, podRun)
	whole := &paper{}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, on(&podCluster{}, whole, nil))
	require.NoError(t, got.err)
	require.False(t, got.summary.Failed, got.lines())
	for dies := 1; dies <= len(whole.records); dies++ {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d written %t", dies, written), func(t *testing.T) {
				cluster := &podCluster{}
				first := &paper{dies: dies, written: written}
				got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, on(cluster, first, nil))
				require.ErrorIs(t, got.err, errDied)
				second := &paper{dies: max(1, (len(whole.records)-len(first.records))/2)}
				got = got.carry(t.Context(), t, book, inv, on(cluster, second, Fold(first.records)))
				records := slices.Concat(first.records, second.records)
				got = got.carry(t.Context(), t, book, inv, on(cluster, &paper{}, Fold(records)))
				require.NoError(t, got.err)
				require.False(t, got.summary.Failed, got.lines())
				require.Equal(t, []string{"h1", "h2", "h3"}, slices.Sorted(slices.Values(cluster.ran)), "each pod runs once")
				require.Equal(t, []string{"h1: do h1", "h2: do h2", "h3: do h3"}, slices.Sorted(slices.Values(got.fleet.did)))
				require.Empty(t, cluster.pods, "nothing is left behind")
			})
		}
	}
}

// TestAPodThatWasTakenAway says nothing of how it ended: a run that was
// interrupted has removed its pod, and nobody runs it again unasked.
func TestAPodThatWasTakenAway(t *testing.T) {
	book, inv := books(t, strings.Replace(podRun, "hosts: web", "hosts: h1", 1))
	ctx, interrupt := context.WithCancelCause(t.Context())
	cluster, first := &stopped{interrupt: func() { interrupt(errors.New("SIGTERM")) }}, &paper{}
	got := ran{fleet: &fleet{}}.carry(ctx, t, book, inv, on(&cluster.podCluster, first, nil), func(r *Runner, _ *fleet) {
		r.Cluster = func(context.Context, Reach) (Cluster, error) { return cluster, nil }
	})
	require.NoError(t, got.err)
	require.True(t, got.summary.Interrupted)
	after := &podCluster{}
	got = got.carry(t.Context(), t, book, inv, on(after, &paper{}, Fold(first.records)))
	require.True(t, got.summary.Failed)
	require.Empty(t, after.ran)
	require.Contains(t, got.result("probe", "h1").Msg, "--unknown=rerun")
}

// stopped is a cluster on which the run is interrupted while the pods are at work.
type stopped struct {
	podCluster
	interrupt func()
}

func (c *stopped) Run(ctx context.Context, _ modules.PodRun, _ string) (modules.Output, error) {
	c.interrupt()
	<-ctx.Done()
	return modules.Output{}, ctx.Err()
}
