package modules

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	waitDefault    = 5 * time.Minute
	restartDefault = 10 * time.Minute // a rollout over many nodes, one by one
)

// kubectlSeen is what one task remembers from look to look. The engine makes a
// module anew for each attempt, so it never outlives one.
type kubectlSeen struct {
	mu       sync.Mutex
	doomed   []Ref            // what delete has selected at its first look
	uids     map[Ref]string   // their UIDs
	mark     string           // of a restart that was given none, or of the state that backup keeps
	body     string           // what the url gave, which has the digest
	any      bool             // whether a wait has ever selected something
	restarts map[string]int64 // of each pod by UID, at the last look
	draining bool             // the network was ready when the drain began
}

func (s *kubectlSeen) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *kubectlSeen) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// remove deletes what it selected at its first look, and only that: a pod that
// comes in the place of a deleted one is what deleting was for.
func (k *kubectl) remove(ctx context.Context, c outlook) (Change, error) {
	doomed, err := k.doomed(ctx, c)
	if err != nil {
		return Change{}, err
	}
	change := Change{Wait: Wait{On: []Ref{k.ref()}}}
	deleted := []any{}
	for _, ref := range doomed {
		now, err := c.Get(ctx, ref)
		if err != nil {
			return Change{}, err
		}
		deleted = append(deleted, map[string]any{"name": ref.Name, "namespace": ref.Namespace, "uid": k.seen.uids[ref]})
		if now == nil || uidOf(now) != k.seen.uids[ref] {
			continue
		}
		if beingDeleted(now) {
			change.Diffs = append(change.Diffs, Diff{What: objectTitle(now), Have: terminating(now), Want: "gone"})
			continue
		}
		change.Diffs = append(change.Diffs, Diff{What: objectTitle(now), Have: "present", Want: "gone"})
		change.Steps = append(change.Steps, k.deleteStep(ref))
		change.Effects = append(change.Effects, Effect{Thing: AnObject, Name: nameOfObject(now), Gone: true})
	}
	change.Vars = map[string]any{"items": deleted, "count": len(deleted)}
	return awaiting(change, k.limit(waitDefault))
}

func (k *kubectl) deleteStep(ref Ref) APIStep {
	words := []string{"delete", ref.Kind, ref.Name}
	if k.Grace != nil {
		words = append(words, "--grace-period="+strconv.FormatInt(*k.Grace, 10))
	}
	return APIStep{Verb: Delete, Ref: ref, UID: k.seen.uids[ref], Grace: k.Grace, Command: kubectlLine(ref.Namespace, words...)}
}

// doomed selects at the first look and remembers. A named object that is absent
// is as asked; a selection that finds nothing is more likely a mistake.
func (k *kubectl) doomed(ctx context.Context, c outlook) ([]Ref, error) {
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	if k.seen.uids != nil {
		return k.seen.doomed, nil
	}
	ref := k.ref()
	found, err := selectObjects(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && ref.Name == "" && !k.AllowEmpty {
		return nil, c.none(ctx, ref)
	}
	if err := c.staying(found...); err != nil {
		return nil, err
	}
	k.seen.uids = map[Ref]string{}
	for _, o := range found {
		one := itself(o)
		k.seen.doomed = append(k.seen.doomed, one)
		k.seen.uids[one] = uidOf(o)
	}
	return slices.Clone(k.seen.doomed), nil
}

func terminating(o Object) string {
	text := "terminating since " + dig[string](o, "metadata", "deletionTimestamp")
	if finalizers := dig[[]any](o, "metadata", "finalizers"); len(finalizers) > 0 {
		text += ", held by the finalizers " + oneLineJSON(finalizers)
	}
	return text
}
