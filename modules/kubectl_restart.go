package modules

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The annotations of a pod template that tell a restart: kubectl's, and the mark
// that says which restart it was.
const (
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	restartMark = "runbook/restart"
)

// restart makes an event into a state: a workload whose template has the mark
// has been restarted, and what is left is to wait for its pods.
func (k *kubectl) restart(ctx context.Context, c outlook) (Change, error) {
	ref := k.ref()
	workloads, err := selectObjects(ctx, c, ref)
	if err != nil {
		return Change{}, err
	}
	if len(workloads) == 0 {
		return Change{}, c.none(ctx, ref)
	}
	mark := k.restartMark(workloads)
	var change Change
	pods := []any{}
	for _, w := range workloads {
		found, err := k.restartOne(ctx, c, w, mark, &change)
		if err != nil {
			return Change{}, err
		}
		for _, pod := range found {
			pods = append(pods, podFacts(pod))
		}
	}
	change.Vars = map[string]any{"pods": pods, "count": len(workloads), "mark": mark}
	return awaiting(change, k.limit(restartDefault))
}

func (k *kubectl) restartOne(ctx context.Context, c outlook, w Object, mark string, change *Change) ([]Object, error) {
	state, err := rolloutOf(w)
	if err != nil {
		return nil, err
	}
	if dig[bool](w, "spec", "paused") {
		return nil, fmt.Errorf("%s is paused; resume it first (kubectl rollout resume)", objectTitle(w))
	}
	pods, err := c.List(ctx, podsOf(w))
	if err != nil {
		return nil, err
	}
	lack := append(state.lack(w), unreadyPods(ctx, c, pods)...)
	marked := markOf(w) == mark
	if err := c.settled(w); err != nil && (marked || k.Only == "unready") {
		return nil, err
	}
	switch {
	case marked && len(lack) > 0:
		change.Diffs = append(change.Diffs, lack...)
		change.Wait.On = append(change.Wait.On, itself(w), podsOf(w))
	case marked, k.Only == "unready" && len(lack) == 0:
	default:
		change.Diffs = append(change.Diffs, Diff{What: objectTitle(w), Have: "not restarted", Want: "restarted"})
		step := k.restartStep(w, mark)
		change.Steps = append(change.Steps, step)
		change.Effects = append(change.Effects, Effect{Thing: AnObject, Name: nameOfObject(w), State: mergePatched(w, step.Body)})
	}
	return pods, nil
}

// markOf is the mark of a workload's last restart.
func markOf(w Object) string {
	return dig[string](w, "spec", "template", "metadata", "annotations", restartMark)
}

func (k *kubectl) restartStep(w Object, mark string) APIStep {
	ref := itself(w)
	annotations := map[string]any{restartMark: mark, restartedAt: k.now().UTC().Format(time.RFC3339)}
	return APIStep{
		Verb: Patch, Ref: ref, PatchType: "merge",
		Body:  Object{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotations}}}},
		Event: true,
		// The time is not shown: a plan and its apply are the same command.
		Command: kubectlLine(ref.Namespace, "rollout", "restart", ref.Kind+"/"+ref.Name),
	}
}

// restartMark is the mark that is given, or else one that names the states that
// were found first: it holds for this attempt, and a plan comes to the same.
func (k *kubectl) restartMark(workloads []Object) string {
	if k.Mark != "" {
		return k.Mark
	}
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	if k.seen.mark == "" {
		k.seen.mark = "after"
		for _, w := range workloads {
			k.seen.mark += fmt.Sprintf("-%.8s.%d", uidOf(w), dig[int64](w, "metadata", "generation"))
		}
		// A plan does not count generations: what it restarts twice would have
		// the same mark.
		for slices.ContainsFunc(workloads, func(w Object) bool { return markOf(w) == k.seen.mark }) {
			k.seen.mark += "+"
		}
	}
	return k.seen.mark
}
