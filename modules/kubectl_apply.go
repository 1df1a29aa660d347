package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// apply compares each object with what the server would make of it. Where the
// server cannot tell yet, because an object before makes the kind, the rest
// waits for the look after the steps.
func (k *kubectl) apply(ctx context.Context, c outlook) (Change, error) {
	objects, err := k.source(ctx, c.target)
	if err != nil {
		return Change{}, err
	}
	var change Change
	live := []any{}
	var missing []Object // so far
	for _, o := range objects {
		now, ready, err := k.applyOne(ctx, c, o, missing, &change)
		if err != nil {
			return Change{}, err
		}
		if !ready {
			missing = append(missing, o)
		}
		if now != nil {
			live = append(live, withoutBookkeeping(now))
		}
	}
	change.Vars = map[string]any{"items": live, "count": len(live)}
	return change, nil
}

// applyOne adds what one object lacks. Ready says that others can rely on it.
func (k *kubectl) applyOne(ctx context.Context, c outlook, o Object, missing []Object, change *Change) (now Object, ready bool, err error) {
	ref := itself(o)
	if ref.Namespace == "" {
		ref.Namespace = k.Namespace
	}
	step := APIStep{Verb: Apply, Ref: ref, Body: o, Force: k.Force, Command: k.applyLine(ref)}
	if maker := makerOf(missing, o, ref.Namespace); maker != nil {
		return nil, false, k.applyAfter(ctx, c, maker, step, change)
	}
	n, err := c.named(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	if now, err = c.Get(ctx, ref); err != nil {
		return nil, false, err
	}
	want, note, err := c.preview(ctx, step, n, now)
	if err != nil {
		return nil, false, err
	}
	if note != "" {
		change.Notes = append(change.Notes, note)
	}
	var diffs []Diff
	if now == nil {
		diffs, err = newObject(o, want)
	} else {
		diffs = objectDiffs(now, want)
	}
	if err != nil {
		return nil, false, err
	}
	if len(diffs) == 0 {
		ready, err = c.served(ctx, now, change)
		return now, ready, err
	}
	change.Diffs, change.Steps = append(change.Diffs, diffs...), append(change.Steps, step)
	change.Effects = append(change.Effects, effects(step, n, now, want)...)
	return now, now != nil, nil
}

// applyAfter adds an object that needs one before it, which is missing. What a
// new namespace is to hold goes the same way; a new kind is served only some
// time after.
func (k *kubectl) applyAfter(ctx context.Context, c outlook, maker Object, step APIStep, change *Change) error {
	n, after := named{}, objectTitle(maker)+" is there"
	var want Object
	var note string
	var err error
	if dig[string](maker, "kind") == crdKind {
		if n, err = c.namedAs(ctx, step.Ref, kindOf(maker)); err != nil {
			return err
		}
		want, note = c.workOut(step, n, nil), uncheckedNote(step.Ref, after)
	} else {
		if n, err = c.named(ctx, step.Ref); err != nil {
			return err
		}
		if want, note, err = c.tryOut(ctx, step, Ref{Namespace: standIn}, c.workOut(step, n, nil), after); err != nil {
			return err
		}
		change.Steps = append(change.Steps, step)
	}
	if note != "" {
		change.Notes = append(change.Notes, note)
	}
	diffs, err := newObject(step.Body, want)
	change.Diffs = append(change.Diffs, diffs...)
	change.Effects = append(change.Effects, effects(step, n, nil, want)...)
	return err
}

// newObject is the difference to nothing: all that was asked for.
func newObject(o, want Object) ([]Diff, error) {
	if dig[string](o, "kind") == "Secret" {
		return []Diff{{What: objectTitle(want), Have: "absent", Want: "(hidden)"}}, nil
	}
	text, err := yaml.Marshal(o)
	return []Diff{{What: objectTitle(want), Want: string(text), Text: true}}, err
}

// served says whether others can rely on an object that is there. A definition
// whose kind is not served yet is waited for: whoever comes next would not find it.
func (v outlook) served(ctx context.Context, o Object, change *Change) (bool, error) {
	if dig[string](o, "kind") != crdKind {
		return true, nil
	}
	kind := dig[string](o, "spec", "names", "plural") + "." + dig[string](o, "spec", "group")
	_, err := v.named(ctx, Ref{Kind: kind, Name: nameOf(o)})
	var unknown *KindError
	if !errors.As(err, &unknown) {
		return err == nil, err
	}
	change.Diffs = append(change.Diffs, Diff{What: objectTitle(o), Have: "not served yet", Want: "served"})
	return false, nil
}

func (k *kubectl) applyLine(ref Ref) string {
	words := []string{"apply", "--server-side", "--field-manager=runbook"}
	if k.Force {
		words = append(words, "--force-conflicts")
	}
	file := cmp.Or(k.Src.Path, k.URL, "-")
	return kubectlLine(ref.Namespace, append(words, "-f", file)...) + " # " + ref.Kind + "/" + ref.Name
}

// makerOf is the object among those missing that brings the kind or the
// namespace of o; nil where none does.
func makerOf(missing []Object, o Object, namespace string) (maker Object) {
	for _, m := range missing {
		switch dig[string](m, "kind") {
		case crdKind:
			group, _, _ := strings.Cut(dig[string](o, "apiVersion"), "/")
			if kind := kindOf(m); kind.Kind == dig[string](o, "kind") && kind.Group == group {
				return m
			}
		case "Namespace":
			if nameOf(m) == namespace {
				maker = m
			}
		}
	}
	return maker
}

func (k *kubectl) validPatch() error {
	if k.ref().Name == "" {
		return fmt.Errorf("patch %q does not say which object; write KIND/NAME", k.Patch)
	}
	given := 0
	for _, is := range []bool{k.Merge != nil, k.Strategic != nil, k.JSON != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("patch takes one of merge, strategic and json")
	}
	for i, op := range k.JSON {
		if o, ok := op.(map[string]any); !ok || dig[string](o, "op") == "" || dig[string](o, "path") == "" {
			return fmt.Errorf("json: operation %d is %s; it takes op, path and value", i+1, oneLineJSON(op))
		}
	}
	return k.validSelection()
}

func (k *kubectl) patch(ctx context.Context, c outlook) (Change, error) {
	ref := k.ref()
	now, err := c.Get(ctx, ref)
	if err != nil {
		return Change{}, err
	}
	if now == nil {
		return Change{}, c.none(ctx, ref)
	}
	step := APIStep{Verb: Patch, Ref: ref}
	var shown any
	switch {
	case k.Merge != nil:
		step.PatchType, step.Body = "merge", k.Merge
		shown = step.Body
	case k.Strategic != nil:
		step.PatchType, step.Body = "strategic", k.Strategic
		shown = step.Body
	default:
		step.PatchType, step.JSONPatch = "json", k.JSON
		shown = step.JSONPatch
	}
	text := oneLineJSON(shown)
	if dig[string](now, "kind") == "Secret" {
		text = "(hidden)"
	}
	step.Command = kubectlLine(ref.Namespace, "patch", ref.Kind, ref.Name, "--type", step.PatchType, "-p", text)
	return c.patched(ctx, step, now, Change{Vars: map[string]any{"item": withoutBookkeeping(now)}})
}

// patched adds to a change what a patch makes of an object that is now as given.
func (v outlook) patched(ctx context.Context, step APIStep, now Object, change Change) (Change, error) {
	n, err := v.named(ctx, step.Ref)
	if err != nil {
		return Change{}, err
	}
	want, note, err := v.preview(ctx, step, n, now)
	if err != nil {
		return Change{}, err
	}
	if note != "" {
		change.Notes = append(change.Notes, note)
	}
	if change.Diffs = objectDiffs(now, want); len(change.Diffs) == 0 {
		return change, nil
	}
	change.Steps = []Step{step}
	change.Effects = effects(step, n, now, want)
	return change, nil
}
