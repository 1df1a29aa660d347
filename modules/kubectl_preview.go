package modules

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// preview is what a step would make of an object that is now as given. The
// server says so where it can. Where the plan has changed the object before, or
// is yet to bring what it needs, it is worked out here, and a note says what the
// server could not check.
func (v outlook) preview(ctx context.Context, step APIStep, n named, now Object) (want Object, note string, err error) {
	e, predicted := v.foreseen(n.Namespace, n.name())
	needs := n.by
	if needs == "" {
		if needs, err = v.newNamespace(ctx, n.Namespace); err != nil {
			return nil, "", err
		}
	}
	if needs == "" && predicted && e.Gone {
		needs = byTask(e.By)
	}
	switch {
	case needs == "" && !predicted:
		want, err = v.Cluster.Preview(ctx, step)
		return want, "", err
	case step.Verb == Patch && (step.PatchType == "json" || step.PatchType == "strategic" && needsItsKeys(step.Body)):
		return nil, "", Unforeseen{Reason: fmt.Sprintf("what this patch makes of %s, which %s changes", refWords(step.Ref), byTask(e.By))}
	case needs != "":
		return v.workOut(step, n, now), fmt.Sprintf("the server can check %s only after %s", refWords(step.Ref), needs), nil
	}
	want, err = v.previewAfter(ctx, step, n, now)
	return want, "", err
}

// previewAfter is what the step makes of an object that the plan has changed
// before. The server is asked what all of it comes to, starting from what it has.
func (v outlook) previewAfter(ctx context.Context, step APIStep, n named, now Object) (Object, error) {
	real, err := v.Cluster.Get(ctx, step.Ref)
	if err != nil {
		return nil, err
	}
	if real != nil && step.Verb == Apply {
		// What was applied before the plan, and is no longer, only the server knows.
		alone, err := v.Cluster.Preview(ctx, step)
		if err != nil {
			return nil, err
		}
		now, _ = carryOver(now, real, alone).(Object)
	}
	want := v.workOut(step, n, now)
	whole := APIStep{Verb: Create, Ref: step.Ref, Body: unborn(want), Command: step.Command}
	if real != nil {
		whole.Verb, whole.PatchType, whole.Body = Patch, "merge", mergeDifference(unborn(real), unborn(want))
	}
	return v.Cluster.Preview(ctx, whole)
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

// mergePatched is RFC 7386: a null removes a field, and a list replaces a list.
func mergePatched(have, patch any) any {
	over, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if before, ok := have.(map[string]any); ok {
		maps.Copy(out, before)
	}
	for key, value := range over {
		if value == nil {
			delete(out, key)
			continue
		}
		out[key] = mergePatched(out[key], value)
	}
	return out
}

// mergeDifference is the merge patch that makes the one of the other.
func mergeDifference(from, into Object) Object {
	patch := Object{}
	for key, value := range into {
		a, ok1 := from[key].(map[string]any)
		b, ok2 := value.(map[string]any)
		switch {
		case reflect.DeepEqual(from[key], value):
		case ok1 && ok2:
			patch[key] = mergeDifference(a, b)
		default:
			patch[key] = value
		}
	}
	for key := range from {
		if _, kept := into[key]; !kept {
			patch[key] = nil
		}
	}
	return patch
}

// laidOver sets the fields of over, with lists merged where each item of both
// has a name.
func laidOver(have, over any) any {
	before, ok1 := have.(map[string]any)
	fields, ok2 := over.(map[string]any)
	if ok1 && ok2 {
		out := map[string]any{}
		maps.Copy(out, before)
		for key, value := range fields {
			out[key] = laidOver(out[key], value)
		}
		return out
	}
	list, ok1 := have.([]any)
	items, ok2 := over.([]any)
	if !ok1 || !ok2 || !allNamed(list) || !allNamed(items) {
		return over
	}
	out := slices.Clone(list)
	for _, item := range items {
		at := slices.IndexFunc(out, func(other any) bool { return nameKey(other) == nameKey(item) })
		if at < 0 {
			out = append(out, item)
			continue
		}
		out[at] = laidOver(out[at], item)
	}
	return out
}

// withoutLost takes away what was applied before and is no longer.
func withoutLost(have, before, after any) any {
	now, ok1 := have.(map[string]any)
	old, ok2 := before.(map[string]any)
	if !ok1 || !ok2 {
		return have
	}
	fields, _ := after.(map[string]any)
	out := maps.Clone(now)
	for key, value := range old {
		if _, kept := fields[key]; !kept {
			delete(out, key)
		} else if _, there := out[key]; there {
			out[key] = withoutLost(out[key], value, fields[key])
		}
	}
	return out
}

// carryOver makes the difference between two states in a third.
func carryOver(to, from, into any) any {
	a, ok1 := from.(map[string]any)
	b, ok2 := into.(map[string]any)
	have, ok3 := to.(map[string]any)
	if !ok1 || !ok2 || !ok3 {
		return into
	}
	out := maps.Clone(have)
	for key, value := range b {
		if !reflect.DeepEqual(a[key], value) {
			out[key] = carryOver(have[key], a[key], value)
		}
	}
	for key := range a {
		if _, kept := b[key]; !kept {
			delete(out, key)
		}
	}
	return out
}

// needsItsKeys says whether only the server knows how to merge a strategic
// patch: by directives, or by another key than name.
func needsItsKeys(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.HasPrefix(key, "$") || value == nil || needsItsKeys(value) {
				return true
			}
		}
	case []any:
		return !allNamed(v) || slices.ContainsFunc(v, needsItsKeys)
	}
	return false
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
