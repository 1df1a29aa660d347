package modules

import (
	"errors"
	"strings"
	"time"
)

// soundDefault is enough for Felix to start anew, which takes it some seconds,
// and for a look at its sets every 90.
const soundDefault = 2 * time.Minute

func (m *calico) validSound() error {
	switch {
	case m.Timeout != nil && !m.Sound:
		return errors.New("timeout has a meaning with sound only: without it, nothing is waited for")
	case m.Timeout != nil && *m.Timeout < 0:
		return errors.New("timeout cannot be negative")
	}
	return nil
}

// awaitSound makes the verdict a condition: nobody here can bring it about, and
// while it does not hold the reason is the class with its evidence. Of the facts
// only the verdict is registered: they would be shown with each failure.
func (m *calico) awaitSound(v calicoVerdict, node string) (Change, error) {
	c := Change{Vars: v.vars()}
	limit := soundDefault
	if m.Timeout != nil {
		limit = *m.Timeout
	}
	if v.class != "none" {
		have := "class " + v.class + ": " + strings.Join(v.evidence, "; ") + "; what would help: " + v.remedy
		c.Diffs = []Diff{{What: strings.TrimSpace("calico-node on " + node), Have: have, Want: "without fault"}}
	}
	return awaiting(c, limit)
}
