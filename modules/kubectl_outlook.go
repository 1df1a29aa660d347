package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Beside AnObject, a plan keeps of a cluster what only this module asks for.
const (
	aKind    Thing = "kind"    // newKind, by each word that names it, such as thing and things.example.com
	anApply  Thing = "applied" // Object: what was last applied of an object, which the next apply replaces
	crdKind        = "CustomResourceDefinition"
	podsKind       = "pods"
)

// InCluster says whether a thing is one of the cluster's, which is the same
// whatever machine a task is on.
func InCluster(t Thing) bool { return t == AnObject || t == aKind || t == anApply || t == aDrain }

// newKind is a kind that a custom resource definition of the plan would bring.
type newKind struct {
	Kind, Group string
	Namespaced  bool
}

// outlook is a cluster as earlier tasks of a plan would have made it by now. In
// an apply, which predicts nothing, it is the cluster.
type outlook struct {
	Cluster
	target Target
}

// named is a Ref in the server's words, and whether the server has heard of its
// kind at all.
type named struct {
	Ref
	served bool
	by     string // where it is not: the task that would bring it
}

func (n named) name() string { return n.Kind + "/" + n.Namespace + "/" + n.Name }

// nameOfObject is the same name, of an object that was read.
func nameOfObject(o Object) string {
	kind, version := dig[string](o, "kind"), dig[string](o, "apiVersion")
	if group, _, grouped := strings.Cut(version, "/"); grouped {
		kind += "." + group
	}
	return kind + "/" + dig[string](o, "metadata", "namespace") + "/" + nameOf(o)
}

func (v outlook) named(ctx context.Context, ref Ref) (named, error) {
	own, err := v.Cluster.Resolve(ctx, ref)
	var unknown *KindError
	if !errors.As(err, &unknown) {
		return named{Ref: own, served: true}, err
	}
	e, ok := v.target.Predicted(aKind, strings.ToLower(ref.Kind))
	if vague, is := e.State.(Unforeseen); is {
		return named{}, vague
	}
	kind, is := e.State.(newKind)
	group, _, _ := strings.Cut(ref.APIVersion, "/")
	if !ok || !is || ref.APIVersion != "" && group != kind.Group {
		return named{}, err
	}
	n, err := v.namedAs(ctx, ref, kind)
	n.by = byTask(e.By)
	return n, err
}

// namedAs names an object of a kind that the server does not serve yet.
func (v outlook) namedAs(ctx context.Context, ref Ref, kind newKind) (named, error) {
	n := named{Ref: ref}
	n.Kind = kind.Kind + "." + kind.Group
	if !kind.Namespaced {
		n.Namespace = ""
		return n, nil
	}
	// Which namespace is meant where none is said, a kind that is served tells.
	pods, err := v.Cluster.Resolve(ctx, Ref{Kind: podsKind, APIVersion: "v1", Namespace: ref.Namespace, Name: ref.Name})
	n.Namespace = pods.Namespace
	return n, err
}

// foreseen is what is predicted of one object. Where the plan makes its
// namespace, or makes it anew, nothing is in it but what the plan puts there.
func (v outlook) foreseen(namespace, name string) (Effect, bool) {
	home, ok := v.target.Predicted(AnObject, "Namespace//"+namespace)
	if namespace == "" || !ok {
		return v.target.Predicted(AnObject, name)
	}
	if !home.Gone {
		if e, ok := v.target.Predicted(AnObject, name); ok || !isNew(home) {
			return e, ok
		}
	}
	return Effect{Thing: AnObject, Name: name, Gone: true, By: home.By}, true
}

// isNew tells an object that is yet to come by what only the server gives.
func isNew(e Effect) bool {
	o, known := e.State.(Object)
	return known && uidOf(o) == ""
}

// Get reads one object as it would be by now; nil where there is none.
func (v outlook) Get(ctx context.Context, ref Ref) (Object, error) {
	n, err := v.named(ctx, ref)
	if err != nil {
		return nil, err
	}
	e, ok := v.foreseen(n.Namespace, n.name())
	object, known := e.State.(Object)
	switch {
	case ok && e.Gone:
		return nil, nil
	case ok && known:
		return object, nil
	case ok:
		return nil, vagueness(e, refWords(ref))
	case !n.served:
		return nil, nil
	}
	return v.Cluster.Get(ctx, ref)
}

// vagueness is the error of a prediction that does not say what there will be.
func vagueness(e Effect, of string) error {
	if vague, is := e.State.(Unforeseen); is {
		return vague
	}
	return Unforeseen{Reason: fmt.Sprintf("%s, which %s changes", of, byTask(e.By))}
}

// List reads what a Ref selects, each object as it would be by now. Those that
// are yet to come are not among them: who has an empty list asks none.
func (v outlook) List(ctx context.Context, ref Ref) ([]Object, error) {
	n, err := v.named(ctx, ref)
	if err != nil || !n.served {
		return nil, err
	}
	found, err := v.Cluster.List(ctx, ref)
	var left []Object
	for _, o := range found {
		e, ok := v.predicted(o)
		state, known := e.State.(Object)
		switch {
		case ok && e.Gone:
			continue
		case ok && known:
			o = state
		case ok:
			return nil, vagueness(e, objectTitle(o))
		}
		left = append(left, o)
	}
	return left, err
}

// predicted is what is predicted of an object that was read.
func (v outlook) predicted(o Object) (Effect, bool) {
	return v.foreseen(dig[string](o, "metadata", "namespace"), nameOfObject(o))
}

// settled refuses objects whose status nobody can foresee: those that the plan
// changes, and the pods of a workload that it changes.
func (v outlook) settled(objects ...Object) error {
	for _, o := range objects {
		if e, ok := v.predicted(o); ok && !e.Gone {
			return Unforeseen{Reason: fmt.Sprintf("the status of %s, which %s changes", objectTitle(o), byTask(e.By))}
		}
	}
	return v.staying(objects...)
}

// staying refuses pods of a workload that the plan changes: others may take
// their place.
func (v outlook) staying(objects ...Object) error {
	for _, o := range objects {
		owner := workloadOf(o)
		if owner == nil {
			continue
		}
		if e, ok := v.predicted(owner); ok {
			return Unforeseen{Reason: fmt.Sprintf("the pods of %s, which %s changes", objectTitle(owner), byTask(e.By))}
		}
	}
	return nil
}

// workloadOf is the name of the workload that a pod belongs to, as an object;
// nil where it belongs to none.
func workloadOf(pod Object) Object {
	for _, owner := range objectsAt(pod, "metadata", "ownerReferences") {
		if !dig[bool](owner, "controller") {
			continue
		}
		kind, name := dig[string](owner, "kind"), dig[string](owner, "name")
		hash := dig[string](pod, "metadata", "labels", "pod-template-hash")
		if short, is := strings.CutSuffix(name, "-"+hash); kind == "ReplicaSet" && is && hash != "" {
			kind, name = "Deployment", short
		}
		return Object{
			"apiVersion": dig[string](owner, "apiVersion"), "kind": kind,
			"metadata": map[string]any{"name": name, "namespace": dig[string](pod, "metadata", "namespace")},
		}
	}
	return nil
}

// none is the error of a selection that must not be empty and is: a mistake, or
// what the plan is yet to bring.
func (v outlook) none(ctx context.Context, ref Ref) error {
	n, err := v.named(ctx, ref)
	if err != nil {
		return err
	}
	by := n.by
	if maker, err := v.newNamespace(ctx, n.Namespace); err != nil {
		return err
	} else if maker != "" {
		by = maker
	}
	if by != "" {
		return Unforeseen{Reason: fmt.Sprintf("what %s there will be, after %s", refWords(ref), by)}
	}
	return nothingSelected(ref)
}

// newNamespace is the task that makes a namespace in which the server can check
// nothing yet; empty where it is there, or nobody makes it.
func (v outlook) newNamespace(ctx context.Context, namespace string) (by string, err error) {
	e, ok := v.target.Predicted(AnObject, "Namespace//"+namespace)
	switch {
	case namespace == "" || !ok || e.Gone:
		return "", nil
	case isNew(e):
		return byTask(e.By), nil
	}
	if vague, is := e.State.(Unforeseen); is {
		now, err := v.Cluster.Get(ctx, Ref{Kind: "namespace", APIVersion: "v1", Name: namespace})
		if now == nil && err == nil {
			return "", vague
		}
		return "", err
	}
	return "", nil
}
