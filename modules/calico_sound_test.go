package modules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCalicoSoundIsACondition(t *testing.T) {
	sick := calicoVerdict{class: "A", evidence: []string{"set \"x\" is new", "7.11 is old"}, remedy: "another image"}
	soon := 5 * time.Second
	m := &calico{Selector: "a=b", Sound: true, Timeout: &soon}
	require.NoError(t, m.Validate())

	c, err := m.awaitSound(sick, "node1")
	require.NoError(t, err)
	require.Equal(t, []Diff{{What: "calico-node on node1", Have: `class A: set "x" is new; 7.11 is old; what would help: another image`, Want: "without fault"}}, c.Diffs)
	require.Empty(t, c.Steps, "nobody here can bring it about")
	require.Equal(t, soon, c.Wait.Timeout)

	c, err = m.awaitSound(calicoVerdict{class: "none"}, "node1")
	require.NoError(t, err)
	require.Empty(t, c.Diffs)

	at := time.Duration(0)
	m.Timeout = &at
	_, err = m.awaitSound(sick, "node1")
	require.ErrorContains(t, err, "class A", "without time to wait it is an error at once")
}

func TestCalicoTimeoutWithoutSound(t *testing.T) {
	soon := time.Second
	require.ErrorContains(t, (&calico{Selector: "a=b", Timeout: &soon}).Validate(), "timeout")
}
