//go:build linux

package lab

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// repairOwnSet makes the set anew with the ipset inside calico-node, and swaps.
const repairOwnSet = `
inside() { nsenter -t "$(pgrep -ox calico-node)" -m -- ipset "$@"; }
inside create cali4fix hash:ip family inet maxelem 1048576
inside add cali4fix %[2]s
inside swap %[1]s cali4fix
inside destroy cali4fix
`

// revisions are the revisions of Calico's own set on all hosts.
func revisions(t *testing.T, ctx context.Context, l *Lab) string {
	t.Helper()
	var all []string
	for _, h := range l.Hosts() {
		out, err := l.in(ctx, h, "ipset list -terse "+OwnSet+" | sed -n 's/^Revision: //p'")
		require.NoError(t, err)
		all = append(all, strings.TrimSpace(out))
	}
	return strings.Join(all, " ")
}

const (
	bumped   = "6 6 6 6 6 6 6 6"
	repaired = "5 5 5 5 5 5 5 5"
)

// creatorRewritesSets shows that no repair lasts while the creator is on, and
// that one does when it is off.
func creatorRewritesSets(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.Reset(ctx, ClassB))
	agentsSay(t, ctx, l, `Bad return code from 'ipset list `+OwnSet+`'. error=exit status 1 family="inet" stderr="`+IncidentMessage)
	require.Equal(t, bumped, revisions(t, ctx, l))
	report, err := l.Probes(ctx)
	require.NoError(t, err)
	require.Zero(t, report.CalicoReady)
	for _, h := range l.Hosts() {
		_, err := l.SSH(ctx, h, "ipset list && pgrep -x kube-router")
		require.NoError(t, err, "the host's own ipset reads every set")
	}

	repair := func() {
		for _, h := range l.Hosts() {
			_, err := l.SSH(ctx, h, fmt.Sprintf(repairOwnSet, OwnSet, h.Address))
			require.NoError(t, err)
		}
	}
	repair()
	require.NoError(t, poll(ctx, 10*time.Second, func(ctx context.Context) error {
		if r := revisions(t, ctx, l); r != bumped {
			return fmt.Errorf("the revisions are %s", r)
		}
		return nil
	}), "the creator undoes the repair")

	require.NoError(t, l.SwitchCreator(ctx, false))
	repair()
	requireHealthy(t, ctx, l)
	require.Equal(t, repaired, revisions(t, ctx, l))
	for _, h := range l.Hosts() {
		out, err := l.SSH(ctx, h, "ipset list "+OwnSet)
		require.NoError(t, err)
		require.Contains(t, out, "Members:\n"+h.Address+"\n")
	}

	require.NoError(t, l.SwitchCreator(ctx, true))
	require.NoError(t, poll(ctx, 10*time.Second, func(ctx context.Context) error {
		if r := revisions(t, ctx, l); r != bumped {
			return fmt.Errorf("the revisions are %s", r)
		}
		return nil
	}))
}
