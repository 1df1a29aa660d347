package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (k *kubectl) validSetImage() error {
	if r := k.ref(); r.Name == "" {
		return fmt.Errorf("set_image %q does not say which workload; write KIND/NAME, such as daemonset/calico-node", k.SetImage)
	}
	if len(k.Images) == 0 {
		return errors.New("set_image takes images: the new image by the name of its container, such as {main: nginx:1.29}")
	}
	for _, container := range slices.Sorted(maps.Keys(k.Images)) {
		if image := k.Images[container]; strings.TrimSpace(image) != image || image == "" {
			return fmt.Errorf("images: container %q has the image %q; give a name such as nginx:1.29", container, image)
		}
	}
	return k.validSelection()
}

// setImage gives containers of a pod template other images, as kubectl set image
// does: those of init containers too, and no other field. It does not wait for
// the pods; wait with for: rollout does.
func (k *kubectl) setImage(ctx context.Context, c outlook) (Change, error) {
	ref := k.ref()
	now, err := c.Get(ctx, ref)
	switch {
	case err != nil:
		return Change{}, err
	case now == nil:
		return Change{}, c.none(ctx, ref)
	case !rollsOut(now):
		return Change{}, fmt.Errorf("%s has no pod template that can be rolled out; set_image takes a daemonset, deployment or statefulset", objectTitle(now))
	}
	body, words, err := k.otherImages(now)
	if err != nil {
		return Change{}, err
	}
	change := Change{Vars: map[string]any{"item": withoutBookkeeping(now), "images": imagesOf(now)}}
	if body == nil {
		return change, nil
	}
	step := APIStep{Verb: Patch, Ref: ref, PatchType: "strategic", Body: body}
	step.Command = kubectlLine(ref.Namespace, append([]string{"set", "image", ref.Kind + "/" + ref.Name}, words...)...)
	if owner := controllerOf(now); owner != "" {
		change.Notes = append(change.Notes, fmt.Sprintf("%s belongs to %s, which may put the old image back; set the version there", objectTitle(now), owner))
	}
	return c.patched(ctx, step, now, change)
}

// templateLists are the lists of a pod template that have images.
var templateLists = []string{"containers", "initContainers"}

// otherImages is the patch for the containers whose image is not as asked, and
// each as a word of kubectl; nil where all are. A container that is not there is
// an error: the patch would add one.
func (k *kubectl) otherImages(workload Object) (body Object, words []string, err error) {
	spec, there := Object{}, []string{}
	for _, list := range templateLists {
		var items []any
		for _, container := range objectsAt(workload, "spec", "template", "spec", list) {
			name := dig[string](container, "name")
			there = append(there, name)
			if image, asked := k.Images[name]; asked && image != dig[string](container, "image") {
				items = append(items, map[string]any{"name": name, "image": image})
				words = append(words, name+"="+image)
			}
		}
		if items != nil {
			spec[list] = items
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.Images)) {
		if !slices.Contains(there, name) {
			return nil, nil, fmt.Errorf("images: %s has no container %q; it has %s", objectTitle(workload), name, strings.Join(there, ", "))
		}
	}
	if len(spec) == 0 {
		return nil, nil, nil
	}
	return Object{"spec": map[string]any{"template": map[string]any{"spec": spec}}}, words, nil
}

// imagesOf is the image of each container of a workload, init containers too.
func imagesOf(workload Object) map[string]any {
	images := map[string]any{}
	for _, list := range templateLists {
		for _, container := range objectsAt(workload, "spec", "template", "spec", list) {
			images[dig[string](container, "name")] = dig[string](container, "image")
		}
	}
	return images
}

// controllerOf names the object that keeps this one as it is; empty where none does.
func controllerOf(o Object) string {
	for _, owner := range objectsAt(o, "metadata", "ownerReferences") {
		if dig[bool](owner, "controller") {
			return strings.ToLower(dig[string](owner, "kind")) + " " + dig[string](owner, "name")
		}
	}
	return ""
}
