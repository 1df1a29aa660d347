package runner

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// witness is a journal that counts what machines keep when the run's end is
// written down.
type witness struct {
	*paper
	fleet *fleet
	kept  int // -1: it has not ended
}

func (w *witness) Put(ctx context.Context, r Record, durable bool) error {
	if _, ended := r.(Ended); ended {
		w.fleet.mu.Lock()
		w.kept = len(w.fleet.kept)
		w.fleet.mu.Unlock()
	}
	return w.paper.Put(ctx, r, durable)
}

// TestARunThatHasEndedLeavesNothing: whoever dies before the end is written down is
// resumed, and whoever dies after it has nothing left to tidy up.
func TestARunThatHasEndedLeavesNothing(t *testing.T) {
	w := &witness{paper: &paper{}, kept: -1}
	l := newLives(t, "- hosts: web\n  gather_facts: false\n  tasks: [{name: a, command: do a}]\n")
	l.live(0, func(r *Runner, f *fleet) { w.fleet, r.Journal = f, w })
	require.Equal(t, []string{"h1: do a", "h2: do a", "h3: do a"}, l.did())
	require.Zero(t, w.kept)
}
