package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lookEvery is how often a state that must stay is looked at: often enough to
// see a pod come and go, which its restart count or UID betrays anyway.
const lookEvery = 10 * time.Second

func (k *kubectl) validWait() error {
	if err := k.validExpect(); err != nil {
		return err
	}
	if limit := k.limit(waitDefault); k.Stable > 0 && k.Stable >= limit {
		return fmt.Errorf("stable (%s) is not shorter than timeout (%s), so it could never be seen", k.Stable, limit)
	}
	kind, arg, _ := strings.Cut(k.For, "=")
	switch kind {
	case "", "ready", "rollout", "deleted":
		if arg != "" {
			return fmt.Errorf("for is %q; %q takes no value", k.For, kind)
		}
	case "condition":
		if arg == "" {
			return errors.New("for is \"condition\"; say which: condition=Ready")
		}
	case "jsonpath":
		if _, _, err := jsonCondition(arg); err != nil {
			return fmt.Errorf("for is %q: %w", k.For, err)
		}
	default:
		return fmt.Errorf("for is %q; it takes ready, rollout, deleted, condition=NAME or jsonpath=PATH=VALUE", k.For)
	}
	if k.For == "deleted" && k.Expect != nil {
		return errors.New("for: deleted and expect exclude each other")
	}
	return k.validSelection()
}

func (k *kubectl) wait(ctx context.Context, c outlook) (Change, error) {
	ref := k.ref()
	found, err := selectObjects(ctx, c, ref)
	if err != nil {
		return Change{}, err
	}
	change := Change{Vars: foundVars(found), Wait: k.spacing()}
	change.Wait.On = []Ref{ref}
	missing, err := k.empty(ctx, c, found, ref)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = missing
	counted, err := k.miscounted(ctx, c, len(found))
	if err != nil {
		return Change{}, err
	}
	change.Diffs = append(change.Diffs, counted...)
	for _, o := range found {
		diffs, err := k.await(ctx, c, o, &change)
		if err != nil {
			return Change{}, err
		}
		change.Diffs = append(change.Diffs, diffs...)
	}
	change.Diffs = append(change.Diffs, k.restarted(change.Vars["pods"].([]any))...)
	return awaiting(change, k.limit(waitDefault))
}

// spacing spreads the looks over the time that a state must stay.
func (k *kubectl) spacing() Wait {
	if k.Stable == 0 {
		return Wait{}
	}
	interval := max(min(lookEvery, k.Stable/3), time.Second)
	return Wait{Interval: interval, Consecutive: int((k.Stable+interval-1)/interval) + 1}
}

// empty judges a selection without objects. A named object may still come, and
// so may those of a selection that had some before or is said to have some.
// Anything else is more likely a wrong selector than a wait.
func (k *kubectl) empty(ctx context.Context, c outlook, found []Object, ref Ref) ([]Diff, error) {
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	k.seen.any = k.seen.any || len(found) > 0
	switch {
	case len(found) > 0 || k.For == "deleted" || k.Expect != nil:
		return nil, nil
	case ref.Name == "" && !k.seen.any:
		return nil, c.none(ctx, ref)
	}
	return []Diff{{What: refWords(ref), Have: "absent", Want: "present"}}, nil
}

// await is what one object lacks.
func (k *kubectl) await(ctx context.Context, c outlook, o Object, change *Change) ([]Diff, error) {
	kind, arg, _ := strings.Cut(k.For, "=")
	if err := c.settled(o); err != nil && kind != "deleted" && !k.isFixed(c, o) {
		return nil, err
	}
	switch kind {
	case "deleted":
		have := "present"
		if beingDeleted(o) {
			have = terminating(o)
		}
		return []Diff{{What: objectTitle(o), Have: have, Want: "gone"}}, nil
	case "condition":
		return lacksCondition(o, arg), nil
	case "jsonpath":
		path, want, err := jsonCondition(arg)
		if err != nil {
			return nil, err
		}
		if have := path.text(o); have != want {
			return []Diff{{What: objectTitle(o) + " " + string(path), Have: have, Want: want}}, nil
		}
		return nil, nil
	case "", "ready":
		switch {
		case dig[string](o, "kind") == "Pod":
			return unreadyPods(ctx, c, []Object{o}), nil
		case !rollsOut(o):
			return lacksCondition(o, "Ready"), nil
		}
	}
	return k.awaitRollout(ctx, c, o, change)
}

// isFixed says whether what is waited for is a field that the plan itself sets.
func (k *kubectl) isFixed(c outlook, o Object) bool {
	arg, is := strings.CutPrefix(k.For, "jsonpath=")
	path, want, err := jsonCondition(arg)
	return is && err == nil && !strings.HasPrefix(string(path), ".status") && path.text(o) == want && c.staying(o) == nil
}

// awaitRollout is what a workload lacks, with the reason of each of its pods.
func (k *kubectl) awaitRollout(ctx context.Context, c outlook, w Object, change *Change) ([]Diff, error) {
	state, err := rolloutOf(w)
	if err != nil {
		return nil, err
	}
	pods, err := c.List(ctx, podsOf(w))
	if err != nil {
		return nil, err
	}
	facts := change.Vars["pods"].([]any)
	for _, pod := range pods {
		facts = append(facts, podFacts(pod))
	}
	change.Vars["pods"] = facts
	change.Wait.On = append(change.Wait.On, podsOf(w))
	return append(state.lack(w), unreadyPods(ctx, c, pods)...), nil
}

// lacksCondition compares a condition with NAME or NAME=STATUS. What was said of
// an older generation of the object does not count.
func lacksCondition(o Object, arg string) []Diff {
	name, want, _ := strings.Cut(arg, "=")
	if want == "" {
		want = "True"
	}
	have, why := conditionOf(o, name)
	seen, generation := dig[map[string]any](o, "status")["observedGeneration"], dig[int64](o, "metadata", "generation")
	stale := false
	if n, ok := seen.(int64); ok && n < generation {
		stale = true
	}
	if strings.EqualFold(have, want) && !stale {
		return nil
	}
	switch {
	case have == "":
		have = "not told"
	case stale:
		have += " (of an older state: its controller has not seen the last change yet)"
	}
	return []Diff{{What: objectTitle(o) + " condition " + name, Have: strings.TrimSpace(have + " " + why), Want: want}}
}

// restarted finds the pods that started anew, or came, since the last look,
// while the state has to stay. Each look remembers for the next.
func (k *kubectl) restarted(facts []any) []Diff {
	if k.Stable == 0 {
		return nil
	}
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	var diffs []Diff
	now := map[string]int64{}
	for _, f := range facts {
		pod := f.(map[string]any)
		uid, n := pod["uid"].(string), pod["restarts"].(int64)
		now[uid] = n
		before, known := k.seen.restarts[uid]
		if k.seen.restarts != nil && (!known || n > before) {
			diffs = append(diffs, Diff{
				What: fmt.Sprintf("pod %s on %s", pod["name"], pod["node"]),
				Have: fmt.Sprintf("started anew (%d restarts)", n), Want: fmt.Sprintf("no start for %s", k.Stable),
			})
		}
	}
	k.seen.restarts = now
	return diffs
}
