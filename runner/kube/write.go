package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"runbook/modules"
)

// Preview asks the server what the step would make of the object; nil for a delete
// and an eviction.
func (c *Client) Preview(ctx context.Context, s modules.APIStep) (modules.Object, error) {
	if s.Verb == modules.Delete {
		return nil, nil
	}
	p, err := c.place(ctx, s.Ref)
	if err != nil {
		return nil, err
	}
	if s.Verb == modules.Evict {
		// Not asked again: that the budget is used up is the answer.
		return nil, c.explain(p.what(string(s.Verb), s.Ref), within(ctx, callLimit, func(ctx context.Context) error {
			_, err := c.evict(ctx, p, s, true)
			return err
		}))
	}
	var object modules.Object
	// A dry run changes nothing, so it may be asked again as any read.
	err = c.reading(ctx, func(ctx context.Context) (err error) {
		object, err = p.change(ctx, s, []string{metav1.DryRunAll})
		return err
	})
	return object, c.explain(p.what(string(s.Verb), s.Ref), err)
}

// Take carries out one step of a change, but a PodRun (Run). What it prints is what kubectl would
// print; warnings of the server go to Stderr.
func (c *Client) Take(ctx context.Context, step modules.Step) (modules.Output, error) {
	switch s := step.(type) {
	case modules.APIStep:
		return c.takeAPI(ctx, s)
	case modules.PodExec:
		return c.exec(ctx, s.PodCommand)
	}
	return modules.Output{}, fmt.Errorf("a cluster takes no step of type %T", step)
}

func (c *Client) takeAPI(ctx context.Context, s modules.APIStep) (modules.Output, error) {
	p, err := c.place(ctx, s.Ref)
	if err != nil {
		return modules.Output{}, err
	}
	ctx, heard := listen(ctx)
	what := p.what(string(s.Verb), s.Ref)
	var done string
	err = within(ctx, callLimit, func(ctx context.Context) (err error) {
		switch s.Verb {
		case modules.Delete:
			done, err = p.remove(ctx, s)
			return err
		case modules.Evict:
			done, err = c.evict(ctx, p, s, false)
			return err
		}
		done = map[modules.Verb]string{modules.Create: "created", modules.Apply: "applied", modules.Patch: "patched"}[s.Verb]
		_, err = p.change(ctx, s, nil)
		return err
	})
	out := modules.Output{Stderr: heard.all()}
	if err != nil {
		return out, c.explain(what, err)
	}
	out.Stdout = p.title(s.Ref.Name) + " " + done + "\n"
	return out, nil
}

// change creates, applies or patches, with strict field validation.
func (p place) change(ctx context.Context, s modules.APIStep, dry []string) (modules.Object, error) {
	var made *unstructured.Unstructured
	var err error
	switch s.Verb {
	case modules.Create:
		made, err = p.objects.Create(ctx, p.body(s), metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: strict, DryRun: dry})
	case modules.Apply:
		made, err = p.apply(ctx, s, dry)
	case modules.Patch:
		made, err = p.patch(ctx, s, dry)
	default:
		return nil, fmt.Errorf("unknown verb %q", s.Verb)
	}
	if err != nil {
		return nil, err
	}
	return made.Object, nil
}

func (p place) apply(ctx context.Context, s modules.APIStep, dry []string) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(p.body(s).Object)
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, FieldValidation: strict, DryRun: dry, Force: &s.Force}
	made, err := p.objects.Patch(ctx, s.Ref.Name, types.ApplyPatchType, data, options)
	if !s.Force && onlyOurs(err) {
		takeOver := true
		options.Force = &takeOver
		return p.objects.Patch(ctx, s.Ref.Name, types.ApplyPatchType, data, options)
	}
	return made, err
}

func (p place) patch(ctx context.Context, s modules.APIStep, dry []string) (*unstructured.Unstructured, error) {
	var content any = s.Body
	var as types.PatchType
	switch s.PatchType {
	case "", "merge":
		as = types.MergePatchType
	case "strategic":
		as = types.StrategicMergePatchType
	case "json":
		as, content = types.JSONPatchType, s.JSONPatch
	default:
		return nil, fmt.Errorf("unknown patch type %q: merge, strategic or json", s.PatchType)
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, FieldValidation: strict, DryRun: dry}
	return p.objects.Patch(ctx, s.Ref.Name, as, data, options)
}

// body is a copy of the step's object with the kind, name and namespace that the
// step's Ref says where the object is silent.
func (p place) body(s modules.APIStep) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(plain(s.Body).(modules.Object))}
	if object.GetKind() == "" {
		object.SetKind(p.Kind)
	}
	if object.GetAPIVersion() == "" {
		object.SetAPIVersion(p.GroupVersion.String())
	}
	if object.GetName() == "" && object.GetGenerateName() == "" {
		object.SetName(s.Ref.Name)
	}
	if object.GetNamespace() == "" && p.namespaced {
		object.SetNamespace(p.namespace)
	}
	return object
}

// remove deletes the object that the step means, and only it: where another has
// taken its name, or nothing is left, there is nothing to do.
func (p place) remove(ctx context.Context, s modules.APIStep) (string, error) {
	if s.UID == "" {
		return "", errors.New("the step does not say the UID of the object that is meant")
	}
	uid, background := types.UID(s.UID), metav1.DeletePropagationBackground
	err := p.objects.Delete(ctx, s.Ref.Name, metav1.DeleteOptions{
		GracePeriodSeconds: s.Grace,
		PropagationPolicy:  &background,
		Preconditions:      &metav1.Preconditions{UID: &uid},
	})
	switch {
	case apierrors.IsNotFound(err):
		return "was gone already", nil
	case apierrors.IsConflict(err) && strings.Contains(err.Error(), "UID"):
		return "was replaced already", nil
	}
	return "deleted", err
}

// plain turns the numbers that YAML decoders give into those that JSON has.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = plain(value)
		}
		return out
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case uint64:
		return int64(v)
	}
	return v
}
