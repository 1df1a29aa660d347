package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/dynamic"

	"runbook/modules"
	"runbook/runner/source"
)

// resolve finds the kind that a user's word means. A word that is unknown is
// asked for anew, because a task before may have installed it.
func (c *Client) resolve(ctx context.Context, ref modules.Ref) (kind, error) {
	c.mu.Lock()
	kinds := c.kinds
	c.mu.Unlock()
	if k, ok := lookup(kinds, ref); ok {
		return k, nil
	}
	kinds, err := c.discover(ctx)
	if err != nil {
		return kind{}, err
	}
	if k, ok := lookup(kinds, ref); ok {
		return k, nil
	}
	return kind{}, unknownKind(kinds, ref)
}

// lookup takes kubectl's forms: po, pod, pods, Pod, deployments.apps,
// deployments.v1.apps. A full name goes before a short one, and the first group
// and version of the server before the others.
func lookup(kinds []kind, ref modules.Ref) (kind, bool) {
	word, group, dotted := strings.Cut(strings.ToLower(ref.Kind), ".")
	within := func(k kind) bool {
		if ref.APIVersion != "" && k.GroupVersion.String() != ref.APIVersion {
			return false
		}
		return !dotted || group == k.Group || group == k.Version+"."+k.Group
	}
	for _, same := range []func(kind) bool{
		func(k kind) bool { return word == k.plural || word == k.singular || word == strings.ToLower(k.Kind) },
		func(k kind) bool { return slices.Contains(k.short, word) },
	} {
		for _, k := range kinds {
			if within(k) && same(k) {
				return k, true
			}
		}
	}
	return kind{}, false
}

func unknownKind(kinds []kind, ref modules.Ref) error {
	wrong := func(format string, args ...any) error {
		return &modules.KindError{Message: fmt.Sprintf(format, args...)}
	}
	var words []string
	for _, k := range kinds {
		words = append(words, k.plural, strings.ToLower(k.Kind))
	}
	slices.Sort(words)
	word, group, dotted := strings.Cut(strings.ToLower(ref.Kind), ".")
	said := fmt.Sprintf("the cluster serves no kind %q", ref.Kind)
	if ref.APIVersion != "" {
		said += fmt.Sprintf(" of %q", ref.APIVersion)
	}
	if in := versions(kinds, word); len(in) > 0 && (dotted || ref.APIVersion != "") {
		return wrong("%s; it serves %q of %s", said, word, strings.Join(in, ", "))
	}
	if meant := source.Closest(word, slices.Compact(words)); meant != "" {
		return wrong("%s; did you mean %q?", said, meant)
	}
	if dotted {
		said += fmt.Sprintf(" (group %q)", group)
	}
	return wrong("%s; is its custom resource definition installed?", said)
}

// versions lists the groups and versions that have a kind of this name.
func versions(kinds []kind, word string) []string {
	var in []string
	for _, k := range kinds {
		if word == k.plural || word == k.singular || word == strings.ToLower(k.Kind) {
			in = append(in, k.GroupVersion.String())
		}
	}
	return in
}

// place is where the objects of a Ref are.
type place struct {
	kind
	namespace string // empty: all of them, or a kind without namespaces
	objects   dynamic.ResourceInterface
}

func (c *Client) place(ctx context.Context, ref modules.Ref) (place, error) {
	k, err := c.resolve(ctx, ref)
	if err != nil {
		return place{}, err
	}
	p := place{kind: k}
	switch {
	case !k.namespaced:
	case ref.Namespace == "*" && ref.Name != "":
		return place{}, fmt.Errorf("%s %q is in one namespace: name it instead of %q", strings.ToLower(k.Kind), ref.Name, "*")
	case ref.Namespace != "*":
		p.namespace = c.namespaceOf(ref.Namespace)
	}
	p.objects = c.api.Resource(p.resource()).Namespace(p.namespace)
	return p, nil
}

// Resolve gives a Ref in the server's own words.
func (c *Client) Resolve(ctx context.Context, ref modules.Ref) (modules.Ref, error) {
	p, err := c.place(ctx, ref)
	if err != nil {
		return modules.Ref{}, err
	}
	ref.Kind, ref.APIVersion = p.Kind, p.GroupVersion.String()
	if p.Group != "" {
		ref.Kind += "." + p.Group
	}
	if !p.namespaced || ref.Namespace != "*" {
		ref.Namespace = p.namespace
	}
	return ref, nil
}

// what names a Ref in errors.
func (p place) what(verb string, ref modules.Ref) string {
	text := verb + " " + p.plural
	if ref.Name != "" {
		text = verb + " " + p.title(ref.Name)
	}
	if p.namespaced && p.namespace == "" {
		return text + " in all namespaces"
	}
	if p.namespace != "" {
		text += " in namespace " + p.namespace
	}
	return text
}
