package crash

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestARunThatNobodyKills says that the oracle is right about a run that goes
// well, that nothing is left to do after it, and what one takes.
func TestARunThatNobodyKills(t *testing.T) {
	for name, c := range map[string]struct {
		playbook string
		hosts    int
		want     []string
	}{"small": {small, smallHosts, smallEffects()}, "big": {big(), bigHosts, bigEffects()}} {
		p := newProject(t, c.playbook, c.hosts)
		began := time.Now()
		l := p.start(program, nil, apply...)
		require.Zero(t, l.end(), l.printed())
		took := time.Since(began)
		p.settled(c.want, name)
		used := l.cmd.ProcessState.SystemTime() + l.cmd.ProcessState.UserTime()
		t.Logf("%s: %d effects in %v; the program and its shells used %v", name, len(c.want), took.Round(time.Millisecond), used.Round(time.Millisecond))
	}
}
