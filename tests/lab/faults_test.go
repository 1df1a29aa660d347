//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	whileHeld(t, ctx, l, l.Hosts()[7], repair)
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

// whileHeld does something while a rule refers to the set, and shows that no
// packet from it was missed.
func whileHeld(t *testing.T, ctx context.Context, l *Lab, h Host, do func()) {
	t.Helper()
	const packets = 300
	release, err := l.HoldSet(ctx, h.Name, OwnSet)
	require.NoError(t, err)
	_, err = l.SSH(ctx, h, "ipset destroy "+OwnSet)
	require.ErrorContains(t, err, "in use by a kernel component")
	sent := make(chan error, 1)
	go func() { sent <- l.Ping(ctx, h.Name, packets, 10*time.Millisecond) }()
	do()
	require.NoError(t, <-sent)
	counted, err := l.Counted(ctx, h.Name)
	require.NoError(t, err)
	require.Equal(t, packets, counted)
	require.NoError(t, release())
	_, err = l.Counted(ctx, h.Name)
	require.Error(t, err, "the rule is gone")
}

// operatorOwns shows the other install: another namespace, an owner, and the
// same fault; and that nothing of it is left when the lab goes back.
func operatorOwns(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.ResetInstall(ctx, None, Operator))
	requireHealthy(t, ctx, l)
	uid, err := l.Kube(ctx, "get", "installation", "default", "--output=jsonpath={.metadata.uid}")
	require.NoError(t, err)
	for _, workload := range []string{"daemonset/calico-node", "deployment/calico-kube-controllers"} {
		owner, err := l.Kube(ctx, "get", "-n", "calico-system", workload, "--output=jsonpath={.metadata.ownerReferences[*].uid}")
		require.NoError(t, err)
		require.Equal(t, uid, owner)
	}
	pods, err := l.Kube(ctx, "get", "pods", "-n", "kube-system", "-l", "k8s-app in (calico-node, calico-kube-controllers)", "--output=name")
	require.NoError(t, err)
	require.Empty(t, pods)

	require.NoError(t, l.Reset(ctx, None))
	_, err = l.Kube(ctx, "get", "namespace", "calico-system")
	require.ErrorContains(t, err, "not found")
	requireHealthy(t, ctx, l)
}

// calicoIsWhole shows what else of Calico the cluster has, that a mistake in it
// is refused, and that Reset puts it back.
func calicoIsWhole(t *testing.T, ctx context.Context, l *Lab) {
	patch := func(spec string) error {
		_, err := l.Kube(ctx, "patch", "felixconfiguration", "default", "--type=merge", "--patch", `{"spec":`+spec+`}`)
		return err
	}
	require.NoError(t, patch(`{"ipsetsRefreshInterval":"0s"}`))
	require.ErrorContains(t, patch(`{"ipsetsRefreshInterval":"soon"}`), "should match")
	_, err := l.Kube(ctx, "create", "namespace", "calico-system")
	require.NoError(t, err)
	_, err = l.HoldSet(ctx, l.Hosts()[0].Name, OwnSet)
	require.NoError(t, err)

	require.NoError(t, l.Reset(ctx, None))
	interval, err := l.Kube(ctx, "get", "felixconfiguration", "default", "--output=jsonpath={.spec.ipsetsRefreshInterval}")
	require.NoError(t, err)
	require.Empty(t, interval)
	names, err := l.Kube(ctx, "get", "ippools,globalnetworkpolicies", "--output=name")
	require.NoError(t, err)
	require.Equal(t, "ippool.crd.projectcalico.org/default-ipv4-ippool\nglobalnetworkpolicy.crd.projectcalico.org/allow-all-egress\n", names)
	_, err = l.Kube(ctx, "get", "namespace", "calico-system")
	require.ErrorContains(t, err, "not found")
	_, err = l.Counted(ctx, l.Hosts()[0].Name)
	require.Error(t, err, "no rule is left")
	images, err := l.Kube(ctx, "get", "-n", "kube-system", "daemonset/calico-node", "deployment/calico-kube-controllers",
		"--output=jsonpath={.items[*].spec.template.spec['initContainers','containers'][*].image}")
	require.NoError(t, err)
	require.Equal(t, "docker.io/calico/cni:v3.27.0 docker.io/calico/node:v3.27.0 docker.io/calico/node:v3.27.0 docker.io/calico/kube-controllers:v3.27.0", images)
}

// brokenNeverReady applies a version of which no pod gets ready: the first one
// stops the rollout, and the others go on.
func brokenNeverReady(t *testing.T, ctx context.Context, l *Lab) {
	manifest, err := l.CalicoManifest("v3.27.4")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "calico.yaml")
	require.NoError(t, os.WriteFile(path, manifest, 0o644))
	_, err = l.Kube(ctx, "apply", "--server-side", "--force-conflicts", "--filename="+path)
	require.NoError(t, err)
	require.NoError(t, poll(ctx, time.Minute, func(ctx context.Context) error {
		log, err := l.Kube(ctx, "logs", "-n", "kube-system", "-l", "k8s-app=calico-node", "--tail=-1")
		if err == nil && strings.Count(log, "never applies its first update") < 2 {
			err = errors.New("the new pod has not looked twice")
		}
		return err
	}))
	counts, err := l.Kube(ctx, "get", "-n", "kube-system", "daemonset/calico-node", "--output=jsonpath={.status.updatedNumberScheduled} new, {.status.numberReady} ready")
	require.NoError(t, err)
	require.Equal(t, "1 new, 7 ready", counts)
	_, err = l.CalicoManifest("v3.28.0")
	require.ErrorContains(t, err, "v3.26.5, v3.27.0, v3.27.4, v3.27.5")
}

// apiIsOutOfReach shows that Felix waits for its datastore and says nothing of
// IP sets, and that it goes on by itself when the API is there again.
func apiIsOutOfReach(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.Reset(ctx, ClassD))
	agents := func(ctx context.Context, want string) error {
		return l.agentLogs(ctx, func(node, log string) error {
			require.NotContains(t, log, "ipset")
			if !strings.Contains(log, want) {
				return fmt.Errorf("the agent on %s does not say %q: %s", node, want, log)
			}
			return nil
		})
	}
	require.NoError(t, poll(ctx, time.Minute, func(ctx context.Context) error {
		return agents(ctx, `Failed to reach the datastore, retrying... address="10.96.0.1:443"`)
	}))
	require.NoError(t, agents(ctx, "Sending status update Status=wait-for-ready"))
	report, err := l.Probes(ctx)
	require.NoError(t, err)
	require.Zero(t, report.CalicoReady)
	for _, h := range l.Hosts() {
		out, err := l.SSH(ctx, h, "ipset list -name | grep ^cali; curl -s -o /dev/null -w '%{http_code}' localhost:9099/readiness")
		require.NoError(t, err)
		require.Equal(t, "503", out, "Felix has touched no set")
		require.NoError(t, l.cutAPI(ctx, h, false))
	}
	requireHealthy(t, ctx, l)
	require.NoError(t, agents(ctx, "Completed first update to dataplane."))
}
