package runner

import (
	"fmt"
	"slices"
	"strings"

	"runbook/modules"
)

// DriftError says that what would be done now is not in the plan that is
// carried out. Nothing of it was done.
type DriftError struct {
	Listed  bool           // the plan has the task for this host
	Planned Outcome        // what it says of it
	Diffs   []modules.Diff // those of now that it does not list
	Steps   []modules.Step // likewise
}

func (e *DriftError) Error() string {
	const hint = " (plan again, or --on-drift=replan)"
	if !e.Listed {
		return "drifted: this is not in the plan: " + e.steps() + hint
	}
	if len(e.Diffs) == 0 {
		return "drifted from the plan: " + e.steps() + hint
	}
	parts := make([]string, len(e.Diffs))
	for i, d := range e.Diffs {
		parts[i] = sentence([]modules.Diff{d}) + " (" + e.planned(d) + ")"
	}
	return "drifted from the plan: " + strings.Join(parts, "; ") + hint
}

// planned is what the plan says of the same thing.
func (e *DriftError) planned(now modules.Diff) string {
	for _, d := range e.Planned.Diffs {
		switch {
		case d.What != now.What:
		case now.Text && d.Want == now.Want:
			return "what stands there has changed since the plan"
		case now.Text && d.Have == now.Have:
			return "what is wanted there has changed since the plan"
		case now.Text:
			return "what stands there and what is wanted have changed since the plan"
		default:
			return "planned: " + strings.TrimPrefix(sentence([]modules.Diff{d}), d.What+": ")
		}
	}
	if e.Planned.Status == OK || e.Planned.Status == Skipped {
		return "planned: " + string(e.Planned.Status)
	}
	return "not in the plan"
}

func (e *DriftError) steps() string {
	words := make([]string, len(e.Steps))
	for i, s := range e.Steps {
		words[i] = brief(s.String())
		if slices.Contains(e.Planned.Steps, s.String()) {
			words[i] += " [planned with another content or input]"
		}
	}
	said := strings.Join(words, "; ")
	if e.Listed && len(e.Planned.Steps) > 0 {
		said = fmt.Sprintf("planned %s; now %s", strings.Join(e.Planned.Steps, "; "), said)
	}
	return said
}

// approved says whether the change may be carried out under the signed plan: all
// of it is in the plan, or the plan says that it could not know. With first the
// differences have to be the planned ones too. After steps were taken either will
// do: what is left of a difference has changed, or its steps could not be known
// before.
func (w *work) approved(c modules.Change, env map[string]string, first bool) error {
	signed := w.x.play.run.Signed
	if signed == nil || signed.Replan || len(c.Steps) == 0 {
		return nil
	}
	planned, ok := signed.Work[w.key]
	switch {
	case ok && planned.Status == Unknown, !ok && signed.foresaw(w.key):
		return nil
	case !ok && (strings.Contains(w.key.Task, "/rescue/") || w.x.handler && w.x.play.rescued):
		return nil // a plan does not foresee failures; the rescue, and what it notifies, is in the signed playbook
	}
	now := w.x.play.run.digest(c, env)
	drift := &DriftError{Listed: ok, Planned: planned}
	for i, d := range now.Steps {
		if !slices.Contains(planned.Digest.Steps, d) && !slices.Contains(planned.Digest.Steps, w.x.play.run.unborn(c.Steps[i], env)) {
			drift.Steps = append(drift.Steps, c.Steps[i])
		}
	}
	for i, d := range now.Diffs {
		if !slices.Contains(planned.Digest.Diffs, d) {
			drift.Diffs = append(drift.Diffs, c.Diffs[i])
		}
	}
	listed := len(now.Diffs) > 0 && len(drift.Diffs) == 0
	switch {
	case len(drift.Steps) == 0 && (listed || !first || len(now.Diffs) == 0):
		return nil
	case listed && !first:
		return nil // steps that could only be known now, to remove what the plan lists
	}
	return drift
}

// foresaw says whether the plan has the loop to which an item belongs as unknown,
// with no item of it: the list itself was not known.
func (s *Signed) foresaw(item Key) bool {
	whole, first := item, item
	whole.Item, first.Item = 0, 1
	_, listed := s.Work[first]
	return item.Item > 0 && !listed && s.Work[whole].Status == Unknown
}
