package kube

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

func probe(set modules.Object) modules.PodRun {
	pod := modules.Object{
		"metadata": map[string]any{"name": "probe"},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "run", "image": "busybox"}}},
	}
	for key, value := range set {
		pod[key] = value
	}
	return modules.PodRun{Pod: pod, Limit: time.Minute}
}

// kubelet gives every new pod a status, as a node would after a while.
func kubelet(f *fakeAPI, status modules.Object) {
	f.onCreate = func(pod map[string]any) {
		if pod["kind"] != "Pod" || status == nil {
			return
		}
		later := modules.Object{"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"], "spec": pod["spec"], "status": map[string]any(status)}
		go f.put(later)
	}
}

func terminated(code int) modules.Object {
	return modules.Object{"phase": "Failed", "containerStatuses": []any{
		map[string]any{"name": "run", "state": map[string]any{"terminated": map[string]any{"exitCode": code}}},
	}}
}

func TestRun(t *testing.T) {
	for _, r := range []struct {
		name   string
		step   modules.PodRun
		status modules.Object
		limit  time.Duration
		want   modules.Output
		err    string
	}{
		{"ends well", probe(nil), terminated(0), 0, modules.Output{Stdout: "said\n"}, ""},
		{"ends with a code", probe(nil), terminated(3), 0, modules.Output{Stdout: "said\n", Code: 3}, ""},
		{"is evicted", probe(nil), modules.Object{"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, 0,
			modules.Output{}, "run pod probe in namespace default: it ended without an exit code: Evicted low on memory"},
		{"never starts", probe(nil), modules.Object{"phase": "Pending", "containerStatuses": []any{
			map[string]any{"name": "run", "state": map[string]any{"waiting": map[string]any{"reason": "ErrImagePull", "message": "no such image"}}},
		}}, 300 * time.Millisecond, modules.Output{}, "it has not ended after 300ms: phase Pending, ErrImagePull no such image"},
		{"would start again", probe(modules.Object{"spec": map[string]any{"restartPolicy": "Always"}}), nil, 0,
			modules.Output{}, `restartPolicy "Always" would keep it from ending`},
		{"no spec", modules.PodRun{Pod: modules.Object{}}, nil, 0, modules.Output{}, "has no spec"},
		{"unknown field", probe(modules.Object{"spek": "x"}), nil, 0, modules.Output{}, "unknown field"},
	} {
		t.Run(r.name, func(t *testing.T) {
			f, c := newFake(t, func(f *fakeAPI) {
				kubelet(f, r.status)
				f.hook = func(w http.ResponseWriter, req *http.Request) bool {
					if !strings.HasSuffix(req.URL.Path, "/log") {
						return false
					}
					fmt.Fprint(w, "said\n")
					return true
				}
			})
			r.step.Limit = r.limit
			out, err := c.Run(t.Context(), r.step, "m4rk")
			if r.err != "" {
				require.ErrorContains(t, err, r.err)
			} else {
				require.NoError(t, err)
				assert.Equal(t, r.want, out)
				again, ran, err := c.Collect(t.Context(), "", "m4rk")
				require.NoError(t, err)
				assert.True(t, ran)
				assert.Equal(t, r.want, again, "who comes later hears the same")
				require.NoError(t, c.Clear(t.Context(), "", "m4rk"))
			}
			assert.Empty(t, f.pods(), "nothing is left behind")
			_, ran, err := c.Collect(t.Context(), "", "m4rk")
			require.NoError(t, err)
			assert.False(t, ran)
		})
	}
}

func (f *fakeAPI) pods() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var paths []string
	for path := range f.objects {
		if strings.Contains(path, "/pods/") {
			paths = append(paths, path)
		}
	}
	return paths
}

// The pod says itself how long it may live and whose it is, for the case that
// nobody is left to remove it.
func TestRunMakesAMortalPod(t *testing.T) {
	pod, err := mortal(probe(nil).Pod, "m4rk", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "probe-", pod.GetGenerateName())
	assert.Empty(t, pod.GetName())
	assert.Equal(t, map[string]string{"runbook/run": "m4rk"}, pod.GetLabels())
	spec := pod.Object["spec"].(map[string]any)
	assert.Equal(t, "Never", spec["restartPolicy"])
	assert.Equal(t, int64(90), spec["activeDeadlineSeconds"])
}

// confirmRun: a pod that is given up is gone, whether its time is over or the
// run is being stopped.
func confirmRun(t *testing.T, ctx context.Context, c *Client) {
	step := probe(nil)
	step.Limit = 100 * time.Millisecond
	_, err := c.Run(ctx, step, "first")
	require.ErrorContains(t, err, "it has not ended after 100ms")

	stopped, stop := context.WithCancel(ctx)
	ticks, err := c.Watch(stopped, []modules.Ref{{Kind: "pods", Selector: runLabel}})
	require.NoError(t, err)
	wait(t, ctx, ticks)
	go func() {
		<-ticks // the pod is there
		stop()
	}()
	step.Limit = time.Minute
	_, err = c.Run(stopped, step, "second")
	require.ErrorIs(t, err, context.Canceled)

	left, err := c.List(ctx, modules.Ref{Kind: "pods", Selector: runLabel})
	require.NoError(t, err)
	assert.Empty(t, left)
}
