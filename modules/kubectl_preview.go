package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// preview is what a step would make of an object that is now as given. The
// server says so where it can. Where the plan has changed the object before, or
// is yet to bring what it needs, it is worked out here, and the server checks
// what comes of it; a note says where it could not.
func (v outlook) preview(ctx context.Context, step APIStep, n named, now Object) (want Object, note string, err error) {
	e, predicted := v.foreseen(n.Namespace, n.name())
	needs := n.by
	if needs == "" {
		if needs, err = v.newNamespace(ctx, n.Namespace); err != nil {
			return nil, "", err
		}
	}
	switch {
	case needs == "" && !predicted:
		want, err = v.Cluster.Preview(ctx, step)
		return want, "", err
	case step.Verb == Patch && (step.PatchType == "json" || step.PatchType == "strategic" && needsItsKeys(step.Body)):
		return nil, "", Unforeseen{Reason: fmt.Sprintf("what this patch makes of %s, which %s changes", refWords(step.Ref), byTask(e.By))}
	case !n.served:
		return v.workOut(step, n, now), uncheckedNote(step.Ref, needs), nil
	case needs != "":
		return v.tryOut(ctx, step, Ref{Namespace: standIn}, v.workOut(step, n, now), needs)
	case e.Gone:
		return v.tryOut(ctx, step, Ref{Namespace: n.Namespace}, v.workOut(step, n, now), byTask(e.By))
	case isNew(e):
		return v.tryOut(ctx, step, Ref{Namespace: n.Namespace, Name: n.Name}, v.workOut(step, n, now), byTask(e.By))
	}
	want, err = v.previewAfter(ctx, step, n, now)
	return want, "", err
}

// standIn is the namespace in which what one to come is to hold is tried out:
// every cluster has it.
const standIn = "default"

func uncheckedNote(ref Ref, by string) string {
	return fmt.Sprintf("the server can check %s only after %s", refWords(ref), by)
}

// tryOut asks the server, by a dry run, what it would say of an object that it
// cannot be given yet: at another place, where the name is not taken. A field
// that it does not know is an error there as here; what else it may object to
// may be due to the place.
func (v outlook) tryOut(ctx context.Context, step APIStep, place Ref, want Object, needs string) (Object, string, error) {
	own := dig[map[string]any](want, "metadata")
	trial := unborn(want)
	meta := dig[map[string]any](trial, "metadata")
	if place.Name == "" {
		delete(meta, "name")
		meta["generateName"] = "runbook-"
	}
	if place.Namespace != "" {
		meta["namespace"] = place.Namespace
	}
	place.Kind, place.APIVersion = step.Ref.Kind, step.Ref.APIVersion
	said, err := v.Cluster.Preview(ctx, APIStep{Verb: Create, Ref: place, Body: trial, Command: step.Command})
	var field *FieldError
	switch {
	case errors.As(err, &field):
		return nil, "", &FieldError{Message: refWords(step.Ref) + ": " + field.Message}
	case err != nil:
		return want, uncheckedNote(step.Ref, needs), nil
	}
	said, _ = renamed(unborn(said), nameOf(said), nameOf(want)).(Object)
	meta = dig[map[string]any](said, "metadata")
	delete(meta, "generateName")
	delete(meta, "namespace")
	if own["namespace"] != nil {
		meta["namespace"] = own["namespace"]
	}
	return said, "", nil
}

// previewAfter is what the step makes of an object that is there, and that the
// plan has changed before. The server is asked what all of it comes to.
func (v outlook) previewAfter(ctx context.Context, step APIStep, n named, now Object) (Object, error) {
	real, err := v.Cluster.Get(ctx, step.Ref)
	switch {
	case err != nil:
		return nil, err
	case real == nil:
		return nil, fmt.Errorf("%s was there and is gone: somebody else changes the cluster too; plan again", refWords(step.Ref))
	}
	if step.Verb == Apply {
		// What was applied before the plan, and is no longer, only the server knows.
		alone, err := v.Cluster.Preview(ctx, step)
		if err != nil {
			return nil, err
		}
		now, _ = carryOver(now, real, alone).(Object)
	}
	whole := mergeDifference(unborn(real), unborn(v.workOut(step, n, now)))
	return v.Cluster.Preview(ctx, APIStep{Verb: Patch, PatchType: "merge", Ref: step.Ref, Body: whole, Command: step.Command})
}

// workOut is what the server would make of a step that needs none of its keys,
// but for its defaults.
func (v outlook) workOut(step APIStep, n named, now Object) Object {
	var want any
	switch {
	case step.Verb == Apply:
		body := maps.Clone(step.Body)
		if n.Namespace != "" {
			meta := maps.Clone(dig[map[string]any](body, "metadata"))
			meta["namespace"] = n.Namespace
			body["metadata"] = meta
		}
		e, _ := v.target.Predicted(anApply, n.name())
		want = laidOver(withoutLost(now, e.State, step.Body), body)
	case step.PatchType == "strategic":
		want = laidOver(now, step.Body)
	default:
		want = mergePatched(now, step.Body)
	}
	object, _ := want.(Object)
	return object
}

// unborn is an object without what only one that is there has.
func unborn(o Object) Object {
	o = withoutBookkeeping(o)
	meta := dig[map[string]any](o, "metadata")
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "selfLink"} {
		delete(meta, field)
	}
	delete(o, "status")
	return o
}

// effects are what a step leaves that makes an object what want says. That of
// an object that is not there yet has nothing that the server would give it.
func effects(step APIStep, n named, now, want Object) []Effect {
	if now == nil || uidOf(now) == "" {
		want = unborn(want)
	}
	effects := []Effect{{Thing: AnObject, Name: n.name(), State: want}}
	if step.Verb == Apply {
		effects = append(effects, Effect{Thing: anApply, Name: n.name(), State: step.Body})
	}
	if dig[string](want, "kind") == crdKind {
		effects = append(effects, kindEffects(want)...)
	}
	return effects
}

// kindOf is the kind that a definition brings.
func kindOf(crd Object) newKind {
	return newKind{
		Kind: dig[string](crd, "spec", "names", "kind"), Group: dig[string](crd, "spec", "group"),
		Namespaced: dig[string](crd, "spec", "scope") == "Namespaced",
	}
}

// kindEffects are the words for the kind that a definition brings.
func kindEffects(crd Object) []Effect {
	names := dig[map[string]any](crd, "spec", "names")
	kind := kindOf(crd)
	words := []string{kind.Kind, dig[string](names, "plural"), dig[string](names, "singular")}
	for _, short := range dig[[]any](names, "shortNames") {
		words = append(words, fmt.Sprint(short))
	}
	var effects []Effect
	for _, word := range words {
		if word = strings.ToLower(word); word != "" {
			effects = append(effects,
				Effect{Thing: aKind, Name: word, State: kind}, Effect{Thing: aKind, Name: word + "." + strings.ToLower(kind.Group), State: kind})
		}
	}
	return effects
}
