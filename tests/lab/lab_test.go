//go:build linux

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/snapshot"
)

const (
	// testSubnet and testState keep the test apart from a lab that is in use.
	testSubnet = "10.78.0.0/16"
	testState  = "/var/lib/runbook-lab-test"
	// testWithin bounds one test: eight minutes of building when the cache is empty.
	testWithin = 18 * time.Minute
	// upOnly tells this program, started once more, to bring a lab up.
	upOnly = "RUNBOOK_LAB_TEST_UP"
)

func testConfig(log io.Writer) Config {
	return Config{Subnet: testSubnet, State: testState, Log: log}
}

func TestMain(m *testing.M) {
	if os.Getenv(upOnly) != "" {
		if _, err := Up(context.Background(), testConfig(os.Stdout)); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// needLab ends a test where no lab can be: under CI as a failure, elsewhere with
// a line that says so.
func needLab(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a lab is not brought up with -short")
	}
	ctx, cancel := context.WithTimeout(context.Background(), testWithin)
	t.Cleanup(cancel)
	cfg, err := testConfig(nil).withDefaults()
	require.NoError(t, err)
	n, err := plan(cfg.Subnet)
	require.NoError(t, err)
	err = preflight(ctx, cfg, n)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no lab here: ", err)
	}
	require.NoError(t, err)
	return ctx
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

func TestLab(t *testing.T) {
	ctx := needLab(t)
	require.NoError(t, Down(ctx, testConfig(nil)))
	before := thisMachine(t)
	l, err := Up(ctx, testConfig(testLog{t}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Down(context.Background())) })
	require.NotEmpty(t, leftovers(t, l.net), "the search for leftovers finds a lab that is up")
	spaces := namespaces(t, l)
	l.Timings = nil

	for _, part := range []struct {
		name string
		test func(*testing.T, context.Context, *Lab)
	}{
		{"the fault is the incident's", theFault},
		{"a host turns no switch of this machine's", ownSwitches},
		{"everything is down", everythingIsDown},
		{"looking changes nothing", lookingChangesNothing},
		{"a cable can be pulled", cable},
		{"a lock can be held", lock},
		{"a host key can change", otherHostKey},
		{"the page's procedure mends class C", pageMends},
		{"only another image mends class A", imageMends},
		{"a creator of sets undoes every repair of class B", creatorRewritesSets},
		{"class D is no fault of IP sets", apiIsOutOfReach},
		{"an operator owns what it has installed", operatorOwns},
		{"Calico is whole, and is put back", calicoIsWhole},
		{"a broken release never gets ready", brokenNeverReady},
		{"class C can be had again", resetToC},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, ctx, l) }) {
			break // the next part begins where this one ended
		}
	}

	require.NoError(t, os.Remove(l.Path("lab.json")), "down must not need what only a lab that came up writes")
	require.NoError(t, l.Down(ctx))
	require.Empty(t, leftovers(t, l.net))
	require.Empty(t, inUse(t, spaces))
	require.Empty(t, snapshot.Diff(before, thisMachine(t)))
	require.NoError(t, l.Down(ctx), "a second down has nothing to do")
}

func ownSwitches(t *testing.T, ctx context.Context, l *Lab) {
	before := thisMachine(t)
	for _, name := range switches {
		out, err := l.SSH(ctx, l.Hosts()[0], "echo 12345 >/proc/sys/"+name+" && sysctl -n "+strings.ReplaceAll(name, "/", "."))
		require.NoError(t, err)
		require.Equal(t, "12345\n", out)
	}
	require.Empty(t, snapshot.Diff(before, thisMachine(t)))
}

func theFault(t *testing.T, ctx context.Context, l *Lab) {
	for _, h := range l.Hosts() {
		out, err := l.SSH(ctx, h, "ipset list")
		require.Error(t, err)
		require.Contains(t, out, IncidentMessage)
		_, err = l.SSH(ctx, h, "command -v python3")
		require.Error(t, err, "a host of the incident has no Python")
	}
	agentsGiveUp(t, ctx, l)
}

// agentsGiveUp waits until the agent of every host has said what ails it, in
// Felix's words, and has panicked.
func agentsGiveUp(t *testing.T, ctx context.Context, l *Lab) {
	t.Helper()
	agentsSay(t, ctx, l, `Bad return code from 'ipset list'. error=exit status 1 family="inet" stderr="`+IncidentMessage)
}

func agentsSay(t *testing.T, ctx context.Context, l *Lab, complaint string) {
	t.Helper()
	require.NoError(t, poll(ctx, time.Minute, func(ctx context.Context) error {
		return l.agentLogs(ctx, func(node, log string) error {
			if !strings.Contains(log, complaint) || !strings.Contains(log, "[PANIC]") {
				return fmt.Errorf("the agent on %s has not given up for the incident's reason: %s", node, log)
			}
			return nil
		})
	}))
}

// agentLogs judges the log of every calico-node pod, to the first error.
func (l *Lab) agentLogs(ctx context.Context, judge func(node, log string) error) error {
	pods, err := l.pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if !p.calico() {
			continue
		}
		log, err := l.Kube(ctx, "logs", "-n", p.Namespace, p.Name)
		if err == nil {
			err = judge(p.Node, log)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func everythingIsDown(t *testing.T, ctx context.Context, l *Lab) {
	report, err := l.Probes(ctx)
	require.NoError(t, err)
	require.Zero(t, report.CalicoReady)
	works := map[string]bool{}
	for _, p := range report.Probes {
		works[p.Name] = p.Err == nil
	}
	for _, url := range l.URLs() {
		require.False(t, works["GET "+url], url)
	}
	for _, h := range l.net.withRole(Ingress) {
		require.False(t, works["ClusterIP from the ingress controller on "+h.Name])
	}
	for _, h := range l.Hosts() {
		// A control plane host may have a DNS server of its own.
		require.False(t, h.Role != ControlPlane && works["DNS from a pod on "+h.Name], h.Name)
	}
}

func lookingChangesNothing(t *testing.T, ctx context.Context, l *Lab) {
	before, err := l.Snapshot(ctx)
	require.NoError(t, err)
	_, err = l.SSH(ctx, l.Hosts()[0], "dpkg-query --show ipset; apt-cache policy ipset; ipset list -name")
	require.NoError(t, err)
	after, err := l.Snapshot(ctx)
	require.NoError(t, err)
	require.Empty(t, Diff(before, after))

	_, err = l.SSH(ctx, l.Hosts()[3], "ipset create mine hash:net; echo x >/etc/mine")
	require.NoError(t, err)
	changed, err := l.Snapshot(ctx)
	require.NoError(t, err)
	diff := strings.Join(Diff(after, changed), "\n")
	require.Contains(t, diff, "+ node004/etc/mine")
	require.Contains(t, diff, "~ node004 ipset save")
}

func cable(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[7]
	require.NoError(t, l.Unplug(ctx, h.Name))
	_, err := l.SSH(ctx, h, "true")
	require.ErrorContains(t, err, "timed out")
	require.NoError(t, l.Plug(ctx, h.Name))
	_, err = l.SSH(ctx, h, "true")
	require.NoError(t, err)
}

func lock(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[7]
	const install = "apt-get -o DPkg::Lock::Timeout=0 install --only-upgrade ipset"
	release, err := l.HoldDpkgLock(ctx, h.Name)
	require.NoError(t, err)
	out, err := l.SSH(ctx, h, install)
	require.Error(t, err)
	require.Contains(t, out, "/var/lib/dpkg/lock-frontend")
	require.NoError(t, release())
	_, err = l.SSH(ctx, h, install)
	require.NoError(t, err)
}

func otherHostKey(t *testing.T, ctx context.Context, l *Lab) {
	h := l.Hosts()[7]
	restore, err := l.ChangeHostKey(ctx, h.Name)
	require.NoError(t, err)
	_, err = l.SSH(ctx, h, "true")
	require.ErrorContains(t, err, "REMOTE HOST IDENTIFICATION HAS CHANGED")
	require.NoError(t, restore())
	_, err = l.SSH(ctx, h, "true")
	require.NoError(t, err)
}

func pageMends(t *testing.T, ctx context.Context, l *Lab) {
	var addresses []string
	for _, h := range l.Hosts() {
		addresses = append(addresses, h.Address)
	}
	cmd := exec.CommandContext(ctx, "./page.sh")
	cmd.Env = append(os.Environ(), "RUNBOOK_LAB_STATE="+testState, "KUBECTL="+l.Kubectl(),
		"HOSTS="+strings.Join(addresses, " "), "URLS="+strings.Join(l.URLs(), " "))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	requireHealthy(t, ctx, l)
}

func imageMends(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.Reset(ctx, ClassA))
	agentsGiveUp(t, ctx, l)
	report, err := l.Probes(ctx)
	require.NoError(t, err)
	require.Zero(t, report.CalicoReady)
	for _, h := range l.Hosts() {
		_, err := l.SSH(ctx, h, "ipset list && apt-get update && apt-get install -y --only-upgrade ipset libipset13")
		require.NoError(t, err, "the hosts are in order, and upgrading them mends nothing")
	}
	_, err = l.Kube(ctx, "set", "image", "-n", "kube-system", "daemonset/calico-node", "calico-node=docker.io/calico/node:v3.27.5")
	require.NoError(t, err)
	_, err = l.Kube(ctx, "rollout", "status", "-n", "kube-system", "daemonset/calico-node", "--timeout=120s")
	require.NoError(t, err)
	requireHealthy(t, ctx, l)
}

func resetToC(t *testing.T, ctx context.Context, l *Lab) {
	require.NoError(t, l.Reset(ctx, ClassC))
	theFault(t, ctx, l)
	everythingIsDown(t, ctx, l)
}

// requireHealthy gives what follows from a ready calico-node, such as a kept
// negative answer of DNS, a little time.
func requireHealthy(t *testing.T, ctx context.Context, l *Lab) {
	t.Helper()
	require.NoError(t, poll(ctx, time.Minute, func(ctx context.Context) error {
		report, err := l.Probes(ctx)
		if err == nil && !report.Healthy() {
			err = errors.New(report.String())
		}
		return err
	}))
}

// TestDownAfterTheStarterWasKilled brings a lab up in another program and kills
// that with half of the lab standing.
func TestDownAfterTheStarterWasKilled(t *testing.T) {
	ctx := needLab(t)
	require.NoError(t, Down(ctx, testConfig(nil)))
	n, err := plan(testSubnet)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, Down(context.Background(), testConfig(nil))) })
	before := thisMachine(t)

	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), upOnly+"=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasSuffix(lines.Text(), "  hosts") {
		continue
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NotEmpty(t, leftovers(t, n))

	require.NoError(t, Down(ctx, testConfig(nil)))
	require.Empty(t, leftovers(t, n))
	require.Empty(t, snapshot.Diff(before, thisMachine(t)))
}
