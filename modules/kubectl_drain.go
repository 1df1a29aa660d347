package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	drainDefault = 10 * time.Minute // pods that end slowly, behind budgets that let go of one at a time
	evictEvery   = 5 * time.Second  // how often an eviction that a budget holds back is asked for again, as kubectl does
)

// aDrain is that a plan drains a node: its pods will be on others by then.
const aDrain Thing = "drain"

func (k *kubectl) validDrain() error {
	if k.Timeout != nil && *k.Timeout == 0 {
		return errors.New("timeout is 0, in which no pod ends; give the drain some seconds")
	}
	return k.validNode()
}

// drain has a node without pods, but those of daemonsets and of the node itself:
// cordoned first, then evicted one by one as budgets allow. Pods that come while it
// lasts are evicted too.
func (k *kubectl) drain(ctx context.Context, c outlook) (Change, error) {
	name := nodeName(k.Drain)
	node, err := c.node(ctx, name)
	if err != nil {
		return Change{}, err
	}
	pods, err := c.List(ctx, podsOn(name, k.Selector))
	if err != nil {
		return Change{}, err
	}
	todo, err := k.evictable(name, pods)
	if err != nil {
		return Change{}, err
	}
	change, state := k.cordonChange(c, node)
	for i, s := range change.Steps {
		step := s.(APIStep)
		step.PartOf = k.drainLine(name)
		change.Steps[i] = step
	}
	change.Wait = Wait{Gradual: true, Timeout: k.limit(drainDefault), Interval: evictEvery, On: []Ref{podsOn(name, k.Selector)},
		Message: "node " + name + " is not drained"}
	change.Vars = cordonVars(state)
	change.Vars["pods"], change.Vars["left"] = titles(todo.evict), titles(todo.leave)
	change.Notes = todo.notes
	if lack, err := k.networkLacks(ctx, c, todo); err != nil || lack != nil {
		change.Diffs, change.Steps, change.Effects = lack, nil, nil
		return change, err
	}
	if err := k.evictions(ctx, c, name, todo.evict, &change); err != nil {
		return Change{}, err
	}
	if len(change.Steps) > 0 {
		change.Effects = append(change.Effects, Effect{Thing: aDrain, State: name})
	}
	return change, k.elsewhere(c, name)
}

// elsewhere says, in a plan, that the pods of a node are those of now: others will
// come from nodes that the plan drains before.
func (k *kubectl) elsewhere(c outlook, name string) error {
	e, ok := c.target.Predicted(aDrain, "")
	if !ok || e.State == name {
		return nil
	}
	return Unforeseen{Reason: fmt.Sprintf("which pods are on node %s by then, as %s sends the pods of other nodes there", name, byTask(e.By))}
}

func podsOn(node, selector string) Ref {
	return Ref{Kind: podsKind, APIVersion: "v1", Namespace: "*", Fields: "spec.nodeName=" + node, Selector: selector}
}

func titles(pods []Object) []any {
	all := []any{}
	for _, p := range pods {
		all = append(all, podTitle(p))
	}
	return all
}

func podTitle(pod Object) string {
	return dig[string](pod, "metadata", "namespace") + "/" + nameOf(pod)
}

// evictions are a step for each pod that may go now, and what holds the others.
func (k *kubectl) evictions(ctx context.Context, c outlook, node string, pods []Object, change *Change) error {
	var budgets []Object
	for _, pod := range pods {
		have := "to be evicted"
		step := k.evictStep(node, pod)
		switch held, err := k.heldBack(ctx, c, pod, step); {
		case err != nil:
			return err
		case beingDeleted(pod):
			have = "ending: " + terminating(pod)
		case held != nil:
			if budgets == nil {
				if budgets, err = c.List(ctx, Ref{Kind: "poddisruptionbudgets", APIVersion: "policy/v1", Namespace: "*"}); err != nil {
					return err
				}
				change.Wait.On = append(change.Wait.On, Ref{Kind: "poddisruptionbudgets", APIVersion: "policy/v1", Namespace: "*"})
			}
			have = "held back by " + budgetOf(pod, budgets, held)
		default:
			change.Steps = append(change.Steps, step)
			change.Effects = append(change.Effects, Effect{Thing: AnObject, Name: nameOfObject(pod), Gone: true})
		}
		change.Diffs = append(change.Diffs, Diff{What: "pods on node " + node, Have: podTitle(pod) + " " + have, Want: "none", Passing: true})
	}
	return nil
}

// heldBack asks the server whether a budget allows the eviction now.
func (k *kubectl) heldBack(ctx context.Context, c outlook, pod Object, step APIStep) (*BudgetError, error) {
	if beingDeleted(pod) || step.Verb != Evict {
		return nil, nil
	}
	_, err := c.Preview(ctx, step)
	var budget *BudgetError
	if errors.As(err, &budget) {
		return budget, nil
	}
	return nil, err
}

func (k *kubectl) evictStep(node string, pod Object) APIStep {
	s := APIStep{Verb: Evict, Ref: itself(pod), UID: uidOf(pod), Grace: k.Grace, PartOf: k.drainLine(node)}
	s.Command = k.drainLine(node) + " # evicts " + podTitle(pod)
	if k.DisableEviction {
		s.Verb = Delete
		s.Command = k.drainLine(node) + " # deletes " + podTitle(pod)
	}
	return s
}

// drainLine is kubectl's command for the whole.
func (k *kubectl) drainLine(node string) string {
	words := []string{"drain", node}
	for flag, on := range map[string]bool{
		"--ignore-daemonsets": k.IgnoreDaemonsets, "--delete-emptydir-data": k.DeleteEmptydirData,
		"--disable-eviction": k.DisableEviction, "--force": k.Force,
	} {
		if on {
			words = append(words, flag)
		}
	}
	slices.Sort(words[2:])
	if k.Selector != "" {
		words = append(words, "--pod-selector="+k.Selector)
	}
	if k.Grace != nil {
		words = append(words, "--grace-period="+strconv.FormatInt(*k.Grace, 10))
	}
	return kubectlLine("", words...)
}

// budgetOf names the budgets that a pod is under, with their numbers; the server's
// own words where none is found.
func budgetOf(pod Object, budgets []Object, said *BudgetError) string {
	var words []string
	for _, b := range budgets {
		if dig[string](b, "metadata", "namespace") != dig[string](pod, "metadata", "namespace") || !selects(dig[map[string]any](b, "spec", "selector"), pod) {
			continue
		}
		n := func(field string) int64 { return dig[int64](b, "status", field) }
		text := fmt.Sprintf("the budget %s (%d disruptions allowed: %d of %d pods are healthy, %d must be)",
			podTitle(b), n("disruptionsAllowed"), n("currentHealthy"), n("expectedPods"), n("desiredHealthy"))
		if n("currentHealthy") < n("desiredHealthy") && !podReady(pod) && dig[string](b, "spec", "unhealthyPodEvictionPolicy") != "AlwaysAllow" {
			text += "; the pod itself is not Ready: with unhealthyPodEvictionPolicy: AlwaysAllow it could go"
		}
		words = append(words, text)
	}
	if words == nil {
		return "a budget: " + said.Message
	}
	return strings.Join(words, " and ")
}

// selects says whether a label selector means a pod. The empty selector means
// every one, a missing one none.
func selects(selector map[string]any, pod Object) bool {
	if selector == nil {
		return false
	}
	labels := dig[map[string]any](pod, "metadata", "labels")
	for key, want := range dig[map[string]any](selector, "matchLabels") {
		if labels[key] != want {
			return false
		}
	}
	for _, e := range objectsAt(selector, "matchExpressions") {
		value, has := labels[dig[string](e, "key")]
		among := slices.Contains(dig[[]any](e, "values"), value)
		holds := map[string]bool{"In": has && among, "NotIn": !has || !among, "Exists": has, "DoesNotExist": !has}[dig[string](e, "operator")]
		if !holds {
			return false
		}
	}
	return true
}
