package modules

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// cordonedBy is the annotation of a node that says who has cordoned it: the owner,
// and the run.
const cordonedBy = "runbook/cordoned-by"

// fieldOwner is the name under which the API knows what runbook has written.
const fieldOwner = "runbook"

// cordonState is what a node says of its cordon.
type cordonState struct {
	on    bool   // nothing new is scheduled there
	mark  string // OWNER/RUN, as a cordon of runbook's has left it
	owner string // of the mark
	kept  bool   // the cordon is as runbook has set it
	ours  bool   // likewise, in the name of the owner who asks
	by    string // for people
}

// cordonOf reads a node. The annotation alone does not tell whose a cordon is:
// kubectl uncordon leaves it behind, and a person may cordon the node again after
// that. Who wrote spec.unschedulable the server knows; where it does not say, the
// cordon is somebody else's.
func cordonOf(node Object, owner string) cordonState {
	s := cordonState{on: dig[bool](node, "spec", "unschedulable"), mark: dig[string](node, "metadata", "annotations", cordonedBy)}
	s.owner, _, _ = strings.Cut(s.mark, "/")
	if !s.on {
		return s
	}
	writer, at := "", ""
	for _, f := range objectsAt(node, "metadata", "managedFields") {
		if _, wrote := dig[map[string]any](f, "fieldsV1", "f:spec")["f:unschedulable"]; wrote {
			writer, at = dig[string](f, "manager"), dig[string](f, "time")
		}
	}
	s.kept = writer == fieldOwner && s.mark != ""
	s.ours = s.kept && s.owner == owner
	switch {
	case s.kept:
		s.by = "runbook for " + strings.TrimSuffix(strings.Replace(s.mark, "/", ", run ", 1), ", run ")
	case writer != "":
		s.by = "somebody (" + writer + " at " + at + ")"
	default:
		s.by = "somebody"
	}
	return s
}

// holder is in whose name runbook has cordoned; empty where somebody else has.
func (s cordonState) holder() string {
	if !s.kept {
		return ""
	}
	return s.owner
}

// writtenByUs is a node as the server would have it after a patch of ours to its
// cordon.
func writtenByUs(node any, on bool) any {
	o, _ := node.(Object)
	meta := dig[map[string]any](o, "metadata")
	var fields []any
	for _, f := range dig[[]any](o, "metadata", "managedFields") {
		entry, _ := f.(map[string]any)
		if _, wrote := dig[map[string]any](entry, "fieldsV1", "f:spec")["f:unschedulable"]; !wrote {
			fields = append(fields, f)
		}
	}
	if on {
		fields = append(fields, map[string]any{"manager": fieldOwner, "fieldsV1": map[string]any{"f:spec": map[string]any{"f:unschedulable": map[string]any{}}}})
	}
	meta["managedFields"] = fields
	return o
}

func (k *kubectl) validNode() error {
	word := k.Cordon + k.Uncordon + k.Drain
	if name := nodeName(word); name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q is not the name of a node", word)
	}
	if strings.ContainsAny(k.Owner, "/ \t\n") {
		return fmt.Errorf("owner is %q; it is one word, without a slash", k.Owner)
	}
	return nil
}

// owner is in whose name a node is cordoned.
func (k *kubectl) owner() string { return cmp.Or(k.Owner, fieldOwner) }

// nodeName takes NAME and node/NAME.
func nodeName(word string) string { return strings.TrimPrefix(word, "node/") }

// node reads a node that must be there.
func (v outlook) node(ctx context.Context, name string) (Object, error) {
	node, err := v.Get(ctx, nodeRef(name))
	if err == nil && node == nil {
		err = fmt.Errorf("there is no node %q", name)
	}
	return node, err
}

// cordon keeps new pods off a node, and notes who does so. A cordon that is there
// already stays whose it is.
func (k *kubectl) cordon(ctx context.Context, c outlook) (Change, error) {
	node, err := c.node(ctx, nodeName(k.Cordon))
	if err != nil {
		return Change{}, err
	}
	change, state := k.cordonChange(c, node)
	change.Vars = cordonVars(state)
	change.Vars["ours"] = state.ours || len(change.Steps) > 0
	if state.on && !state.ours {
		change.Notes = []string{fmt.Sprintf("node %s is cordoned by %s, and will stay so", nameOf(node), state.by)}
	}
	return change, nil
}

func cordonVars(s cordonState) map[string]any {
	return map[string]any{"cordoned": s.on, "ours": s.ours, "by": s.by}
}

// cordonChange is what cordons a node that is not.
func (k *kubectl) cordonChange(c outlook, node Object) (Change, cordonState) {
	state := cordonOf(node, k.owner())
	if state.on {
		return Change{}, state
	}
	body := Object{"spec": map[string]any{"unschedulable": true},
		"metadata": map[string]any{"annotations": map[string]any{cordonedBy: k.owner() + "/" + c.target.Run().ID}}}
	return c.nodeChange(node, body, true, "cordon", Diff{What: "node " + nameOf(node), Have: "schedulable", Want: "cordoned for " + k.owner()}), state
}

// uncordon lifts a cordon of the owner's, and no other.
func (k *kubectl) uncordon(ctx context.Context, c outlook) (Change, error) {
	node, err := c.node(ctx, nodeName(k.Uncordon))
	if err != nil {
		return Change{}, err
	}
	state := cordonOf(node, k.owner())
	change := Change{}
	off := Object{"metadata": map[string]any{"annotations": map[string]any{cordonedBy: nil}}}
	title := "node " + nameOf(node)
	switch {
	case state.ours:
		off["spec"] = map[string]any{"unschedulable": nil}
		change = c.nodeChange(node, off, false, "uncordon", Diff{What: title, Have: "cordoned by " + state.by, Want: "schedulable", Passing: true})
	case state.on:
		change.Notes = []string{fmt.Sprintf("%s is cordoned by %s: that is not lifted", title, state.by)}
	case state.mark != "" && state.owner == k.owner():
		// Somebody has lifted the cordon; the note of it is left over.
		change = c.nodeChange(node, off, false, "uncordon", Diff{What: title, Have: "marked as cordoned for " + state.mark, Want: "no mark", Passing: true})
	}
	change.Vars = cordonVars(state)
	return change, nil
}

// nodeChange patches a node as it was read: what somebody has changed meanwhile is
// looked at again first.
func (v outlook) nodeChange(node, body Object, on bool, word string, diff Diff) Change {
	after, _ := writtenByUs(mergePatched(node, body), on).(Object)
	guarded, _ := mergePatched(body, Object{"metadata": map[string]any{"resourceVersion": dig[string](node, "metadata", "resourceVersion")}}).(Object)
	if notes := dig[map[string]any](body, "metadata", "annotations"); notes != nil {
		guarded["metadata"].(map[string]any)["annotations"] = notes // with the nulls, which merging drops
	}
	if spec := dig[map[string]any](body, "spec"); spec != nil {
		guarded["spec"] = spec
	}
	return Change{
		Diffs:   []Diff{diff},
		Steps:   []Step{APIStep{Verb: Patch, Ref: nodeRef(nameOf(node)), Body: guarded, Event: true, Command: kubectlLine("", word, nameOf(node))}},
		Effects: []Effect{{Thing: AnObject, Name: nameOfObject(node), State: after}},
	}
}
