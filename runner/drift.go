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
	Planned Outcome // zero where the plan has no such work
	Now     modules.Change
}

func (e *DriftError) Error() string {
	now := sentence(e.Now.Diffs)
	if now == "" {
		now = stepsSentence(e.Now.Steps)
	}
	switch {
	case e.Planned.Name == "":
		return "drifted: this is not in the plan: " + now
	case len(e.Planned.Diffs) == 0 && len(e.Planned.Steps) == 0:
		return fmt.Sprintf("drifted: the plan has %q here, but now: %s", e.Planned.Status, now)
	}
	planned := sentence(e.Planned.Diffs)
	if planned == "" || planned == now {
		planned, now = strings.Join(e.Planned.Steps, "; "), stepsSentence(e.Now.Steps)
	}
	return fmt.Sprintf("drifted from the plan: planned %s; now %s (plan again, or --on-drift=replan)", planned, now)
}

func stepsSentence(steps []modules.Step) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = brief(s.String())
	}
	return strings.Join(words, "; ")
}

// approved says whether the change may be carried out under the signed plan: all
// of it is in the plan, or the plan says that it could not know. With first the
// differences have to be the planned ones too; after steps were taken, what is
// left of them has changed.
func (w *work) approved(c modules.Change, env map[string]string, first bool) error {
	signed := w.x.play.run.Signed
	if signed == nil || signed.Replan || len(c.Steps) == 0 {
		return nil
	}
	planned, ok := signed.Work[w.key]
	switch {
	case ok && planned.Status == Unknown:
		return nil
	case !ok && strings.Contains(w.key.Task, "/rescue/"):
		return nil // a plan does not foresee failures; the rescue is in the signed playbook
	}
	now := w.x.play.run.digest(c, env)
	if ok && subset(now.Steps, planned.Digest.Steps) && (!first || subset(now.Diffs, planned.Digest.Diffs)) {
		return nil
	}
	return &DriftError{Planned: planned, Now: c}
}

func subset(some, all []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}
