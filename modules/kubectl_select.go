package modules

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// subject is the word after the verb: a kind, or KIND/NAME.
func (k *kubectl) subject() string {
	for _, word := range []string{k.Get, k.Patch, k.SetImage, k.Delete, k.Restart, k.Wait, k.Logs, k.Exec} {
		if word != "" {
			return word
		}
	}
	return ""
}

// ref is what the arguments select.
func (k *kubectl) ref() Ref {
	kind, name, _ := strings.Cut(k.subject(), "/")
	if name == "" {
		name = k.Name
	}
	return Ref{Kind: kind, APIVersion: k.APIVersion, Namespace: k.Namespace, Name: name, Selector: k.Selector, Fields: k.Fields}
}

func (k *kubectl) validSelection() error {
	kind, name, slash := strings.Cut(k.subject(), "/")
	switch {
	case kind == "" || slash && (name == "" || strings.Contains(name, "/")):
		return fmt.Errorf("%q is neither a kind nor KIND/NAME", k.subject())
	case slash && k.Name != "":
		return fmt.Errorf("%q has a name, and name says %q; keep one of them", k.subject(), k.Name)
	case (slash || k.Name != "") && (k.Selector != "" || k.Fields != ""):
		return errors.New("a name and selector or fields exclude each other; keep one of them")
	case (slash || k.Name != "") && k.Namespace == "*":
		return errors.New("an object with a name is in one namespace; say which instead of \"*\"")
	}
	return nil
}

// validChoice is validSelection for verbs that must not take everything there is.
func (k *kubectl) validChoice() error {
	if r := k.ref(); r.Name == "" && r.Selector == "" && r.Fields == "" {
		return fmt.Errorf("%q does not say which; add a name, or selector or fields", k.subject())
	}
	return k.validSelection()
}

// selectObjects reads what a Ref selects; an object that is named and missing is none.
func selectObjects(ctx context.Context, c outlook, ref Ref) ([]Object, error) {
	if ref.Name == "" {
		return c.List(ctx, ref)
	}
	object, err := c.Get(ctx, ref)
	if object == nil || err != nil {
		return nil, err
	}
	return []Object{object}, nil
}

// refWords is a Ref for people: "pods with k8s-app=x in namespace kube-system".
func refWords(ref Ref) string {
	words := ref.Kind
	if ref.Name != "" {
		words += "/" + ref.Name
	}
	if ref.Selector != "" {
		words += " with " + ref.Selector
	}
	if ref.Fields != "" {
		words += " with " + ref.Fields
	}
	switch ref.Namespace {
	case "":
		return words
	case "*":
		return words + " in all namespaces"
	}
	return words + " in namespace " + ref.Namespace
}

// nothingSelected is the error for a selection that must not be empty.
func nothingSelected(ref Ref) error {
	if ref.Name != "" {
		return fmt.Errorf("there is no %s", refWords(ref))
	}
	return fmt.Errorf("there are no %s; check the namespace and the selector", refWords(ref))
}

const desiredOf = "desired of "

func (k *kubectl) validExpect() error {
	_, _, err := k.expectation()
	return err
}

// expectation is the expected number, or the workload that knows it.
func (k *kubectl) expectation() (number int64, of string, err error) {
	text := strings.TrimSpace(fmt.Sprint(k.Expect))
	if k.Expect == nil {
		return 0, "", nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return n, "", nil
	}
	of, ok := strings.CutPrefix(text, desiredOf)
	if kind, name, slash := strings.Cut(of, "/"); ok && slash && kind != "" && name != "" {
		return 0, of, nil
	}
	return 0, "", fmt.Errorf("expect is %q; give a number above 0, or %sKIND/NAME", text, desiredOf)
}

// miscounted compares how many there are with how many are expected.
func (k *kubectl) miscounted(ctx context.Context, c outlook, found int) ([]Diff, error) {
	want, of, err := k.expectation()
	if err != nil || k.Expect == nil {
		return nil, err
	}
	if of != "" {
		kind, name, _ := strings.Cut(of, "/")
		ref := Ref{Kind: kind, Name: name, Namespace: k.Namespace}
		object, err := c.Get(ctx, ref)
		if err != nil {
			return nil, err
		}
		if object == nil {
			return nil, c.none(ctx, ref)
		}
		if err := c.settled(object); err != nil {
			return nil, err
		}
		state, err := rolloutOf(object)
		if err != nil {
			return nil, err
		}
		want = state.desired
	}
	if int64(found) == want && want > 0 {
		return nil, nil
	}
	return []Diff{{What: "number of " + refWords(k.ref()), Have: strconv.Itoa(found), Want: strconv.FormatInt(want, 10)}}, nil
}

// dig reads a field below nested objects; the zero T where it is missing or of
// another type.
func dig[T any](o Object, path ...string) T {
	var none T
	var at any = o
	for _, key := range path {
		inner, ok := at.(map[string]any)
		if !ok {
			return none
		}
		at = inner[key]
	}
	v, ok := at.(T)
	if !ok {
		return none
	}
	return v
}

// objectsAt is a list of objects at a path.
func objectsAt(o Object, path ...string) []Object {
	var list []Object
	for _, item := range dig[[]any](o, path...) {
		if object, ok := item.(map[string]any); ok {
			list = append(list, object)
		}
	}
	return list
}

func nameOf(o Object) string { return dig[string](o, "metadata", "name") }
func uidOf(o Object) string  { return dig[string](o, "metadata", "uid") }

func beingDeleted(o Object) bool { return dig[string](o, "metadata", "deletionTimestamp") != "" }

// objectTitle names an object for people: "daemonset kube-system/calico-node".
func objectTitle(o Object) string {
	name := nameOf(o)
	if namespace := dig[string](o, "metadata", "namespace"); namespace != "" {
		name = namespace + "/" + name
	}
	return strings.ToLower(dig[string](o, "kind")) + " " + name
}

// itself is the Ref of an object that was read.
func itself(o Object) Ref {
	return Ref{
		Kind: strings.ToLower(dig[string](o, "kind")), APIVersion: dig[string](o, "apiVersion"),
		Namespace: dig[string](o, "metadata", "namespace"), Name: nameOf(o),
	}
}
