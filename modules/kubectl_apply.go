package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"
)

// apply compares each object with what the server would make of it. Where the
// server cannot tell yet, because an object before makes the kind or the
// namespace, the rest waits for the look after the steps.
func (k *kubectl) apply(ctx context.Context, c Cluster) (Change, error) {
	objects, err := k.manifest()
	if err != nil {
		return Change{}, err
	}
	var change Change
	live := []any{}
	for i, o := range objects {
		if maker := makerOf(objects[:i], o); maker != nil && stillToApply(change.Steps, maker) {
			change.Diffs = append(change.Diffs, Diff{What: objectTitle(o), Have: "unknown", Want: "known after " + objectTitle(maker) + " is there"})
			continue
		}
		now, err := k.applyOne(ctx, c, o, &change)
		if err != nil {
			return Change{}, err
		}
		if now != nil {
			live = append(live, withoutBookkeeping(now))
		}
	}
	change.Vars = map[string]any{"items": live, "count": len(live)}
	return change, nil
}

func (k *kubectl) applyOne(ctx context.Context, c Cluster, o Object, change *Change) (now Object, err error) {
	ref := itself(o)
	if ref.Namespace == "" {
		ref.Namespace = k.Namespace
	}
	step := APIStep{Verb: Apply, Ref: ref, Body: o, Force: k.Force, Command: k.applyLine(ref)}
	if now, err = c.Get(ctx, ref); err != nil {
		return nil, err
	}
	want, err := c.Preview(ctx, step)
	if err != nil {
		return nil, err
	}
	var diffs []Diff
	switch {
	case now != nil:
		diffs = objectDiffs(now, want)
	case dig[string](o, "kind") == "Secret":
		diffs = []Diff{{What: objectTitle(want), Have: "absent", Want: "(hidden)"}}
	default:
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		diffs = []Diff{{What: objectTitle(want), Want: string(text), Text: true}}
	}
	if len(diffs) > 0 {
		change.Diffs, change.Steps = append(change.Diffs, diffs...), append(change.Steps, step)
	}
	return now, nil
}

func (k *kubectl) applyLine(ref Ref) string {
	words := []string{"apply", "--server-side", "--field-manager=runbook"}
	if k.Force {
		words = append(words, "--force-conflicts")
	}
	file := k.Src.Path
	if file == "" {
		file = "-"
	}
	return kubectlLine(ref.Namespace, append(words, "-f", file)...) + " # " + ref.Kind + "/" + ref.Name
}

// makerOf is the object among those before that brings the kind or the namespace
// of o; nil where none does.
func makerOf(before []Object, o Object) Object {
	for _, b := range before {
		switch dig[string](b, "kind") {
		case "CustomResourceDefinition":
			if dig[string](b, "spec", "names", "kind") == dig[string](o, "kind") {
				return b
			}
		case "Namespace":
			if nameOf(b) == dig[string](o, "metadata", "namespace") {
				return b
			}
		}
	}
	return nil
}

// stillToApply tells whether the steps still have to apply the object.
func stillToApply(steps []Step, o Object) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		step, ok := s.(APIStep)
		return ok && step.Ref.Kind == itself(o).Kind && step.Ref.Name == nameOf(o)
	})
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

func (k *kubectl) patch(ctx context.Context, c Cluster) (Change, error) {
	ref := k.ref()
	now, err := c.Get(ctx, ref)
	if err != nil {
		return Change{}, err
	}
	if now == nil {
		return Change{}, nothingSelected(ref)
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
	want, err := c.Preview(ctx, step)
	if err != nil {
		return Change{}, err
	}
	change := Change{Diffs: objectDiffs(now, want), Vars: map[string]any{"item": withoutBookkeeping(now)}}
	if len(change.Diffs) > 0 {
		change.Steps = []Step{step}
	}
	return change, nil
}
