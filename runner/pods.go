package runner

import (
	"context"
	"time"

	"runbook/modules"
)

// podKept bounds how long no pod means that none was ever made: what has ended
// may be swept by the cluster with time.
const podKept = time.Hour

// podOf names the pod that a step is about to make: no other was ever marked so.
func podOf(s modules.PodRun) KeptPod {
	meta, _ := s.Pod["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	return KeptPod{Namespace: namespace, Mark: newID()}
}

// podFate asks the cluster what became of the pod of a step. An interrupted run
// takes its pod away, and a pod that never was is then nothing to go by.
func (l *loop) podFate(ctx context.Context, i Intent) (Fate, modules.Output, error) {
	cluster, err := l.target.cluster(ctx)
	if err != nil {
		return Gone, modules.Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	out, ran, err := cluster.Collect(ctx, i.Pod.Namespace, i.Pod.Mark)
	switch {
	case !ran && err != nil, ctx.Err() != nil:
		return Gone, out, err // it could not be asked
	case err != nil:
		return Gone, out, nil // it was asked, and cannot say
	case ran:
		return Finished, out, nil
	case l.work.cut || time.Since(i.At) > podKept:
		return Gone, out, nil
	}
	return Never, out, nil
}

// clearPods removes the pods of work whose outcome is written down. It is only
// tidiness: the pods have an end of their own, and a resumed run sweeps.
func (w *work) clearPods(ctx context.Context) {
	w.x.play.run.clearPods(ctx, w.x.play, w.pods)
	w.pods = nil
}

func (rn *run) clearPods(ctx context.Context, p *play, pods []KeptPod) {
	if len(pods) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetLimit)
	defer cancel()
	cluster, err := rn.cluster(p)(ctx)
	if err != nil {
		return
	}
	for _, pod := range pods {
		_ = cluster.Clear(ctx, pod.Namespace, pod.Mark)
	}
}

// sweepPods removes what earlier lives of the run have left in the cluster, except
// what nobody has asked after yet.
func (rn *run) sweepPods() {
	if rn.Plan || rn.Past == nil || len(rn.Past.Pods) == 0 || len(rn.book.Plays) == 0 {
		return
	}
	open := map[KeptPod]bool{}
	for _, begun := range rn.Past.Begun {
		for _, i := range begun {
			open[i.Pod] = true
		}
	}
	var left []KeptPod
	for _, pod := range rn.Past.Pods {
		if !open[pod] {
			left = append(left, pod)
		}
	}
	rn.clearPods(rn.background, &play{run: rn, play: rn.book.Plays[len(rn.book.Plays)-1]}, left)
}
