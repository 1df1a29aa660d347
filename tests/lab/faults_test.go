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

// apiIsOutOfReach shows that Felix waits for its datastore and says nothing of
// IP sets, and that it goes on by itself when the API is there again.
func apiIsOutOfReach(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.Reset(ctx, ClassD))
	agents := func(ctx context.Context, want string) error {
		pods, err := l.pods(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if !p.calico() {
				continue
			}
			log, err := l.Kube(ctx, "logs", "-n", p.Namespace, p.Name)
			if err != nil {
				return err
			}
			require.NotContains(t, log, "ipset")
			if !strings.Contains(log, want) {
				return fmt.Errorf("the agent on %s does not say %q: %s", p.Node, want, log)
			}
		}
		return nil
	}
	require.NoError(t, poll(ctx, time.Minute, func(ctx context.Context) error {
		return agents(ctx, `Failed to reach the datastore, retrying... address="10.96.0.1:443"`)
	}))
	require.NoError(t, agents(ctx, "Sending status update Status=wait-for-ready"))
	report, err := l.Probes(ctx)
	require.NoError(t, err)
	require.Zero(t, report.CalicoReady)
	for _, h := range l.Hosts() {
		out, err := l.SSH(ctx, h, "ipset list -name; curl -s -o /dev/null -w '%{http_code}' localhost:9099/readiness")
		require.NoError(t, err)
		require.Equal(t, "503", out, "Felix has touched no set")
		require.NoError(t, l.cutAPI(ctx, h, false))
	}
	requireHealthy(t, ctx, l)
	require.NoError(t, agents(ctx, "Completed first update to dataplane."))
}
