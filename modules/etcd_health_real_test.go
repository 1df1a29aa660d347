package modules

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// realEtcd is a real etcd of several members on loopback, m1 on 127.0.0.1 and so
// on, with the certificates of kubeadm. As a target it is the host of m1, with
// those certificates where kubeadm puts them, over this machine's own /etc.
type realEtcd struct {
	within
	pki, data    string
	client, peer int
	members      map[int]*exec.Cmd
	cluster      Cluster
}

func (r *realEtcd) Cluster(context.Context) (Cluster, error) {
	if r.cluster == nil {
		return nil, ErrNoCluster
	}
	return r.cluster, nil
}

func newRealEtcd(t *testing.T) *realEtcd {
	needsRoot(t, "etcd", "etcdctl", "unshare", "nsenter")
	dir := t.TempDir()
	r := &realEtcd{pki: dir, data: t.TempDir(), client: freePort(t), peer: freePort(t), members: map[int]*exec.Cmd{}}
	certify(t, dir)
	pid := hold(t, "unshare", "-m", "--propagation", "private", "sh", "-ec", `mount -t tmpfs tmpfs /mnt; mkdir /mnt/up /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work overlay /etc; rm -rf /etc/kubernetes; mkdir -p /etc/kubernetes/pki; cp -a "$1" /etc/kubernetes/pki/etcd
echo ready; cat`, "sh", dir)
	r.within = within{here: &here{t: t, env: []string{"ETCDCTL_ENDPOINTS=http://nowhere:1", "ETCDCTL_CACERT=/nowhere"}}, enter: []string{"nsenter", "--mount=/proc/" + pid + "/ns/mnt"}}
	t.Cleanup(func() {
		for n := range r.members {
			r.kill(n)
		}
	})
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// certify makes an authority and what it signs, by the names of kubeadm.
func certify(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte, mode os.FileMode) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode))
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd-ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	require.NoError(t, err)
	write("ca.crt", "CERTIFICATE", der, 0o644)
	for i, name := range []string{"server", "peer", "healthcheck-client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: name}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		}
		for n := byte(1); n < 6; n++ {
			leaf.IPAddresses = append(leaf.IPAddresses, net.IPv4(127, 0, 0, n))
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), caKey)
		require.NoError(t, err)
		private, err := x509.MarshalECPrivateKey(key)
		require.NoError(t, err)
		write(name+".crt", "CERTIFICATE", der, 0o644)
		write(name+".key", "EC PRIVATE KEY", private, 0o600)
	}
}

func (r *realEtcd) url(n, port int) string { return fmt.Sprintf("https://127.0.0.%d:%d", n, port) }

// start starts member n of an etcd whose first members are 1 to of.
func (r *realEtcd) start(n, of int, more ...string) {
	r.t.Helper()
	var cluster []string
	for i := 1; i <= max(n, of); i++ {
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, r.url(i, r.peer)))
	}
	state := "new"
	if n > of {
		state = "existing"
	}
	client, peer := r.url(n, r.client), r.url(n, r.peer)
	args := []string{
		"--name", fmt.Sprintf("m%d", n), "--data-dir", filepath.Join(r.data, fmt.Sprintf("m%d", n)), "--log-level", "error", "--logger", "zap", "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", state, "--client-cert-auth", "--peer-client-cert-auth",
	}
	for _, of := range []string{"", "peer-"} {
		name := map[string]string{"": "server", "peer-": "peer"}[of]
		args = append(args, "--"+of+"trusted-ca-file", filepath.Join(r.pki, "ca.crt"), "--"+of+"cert-file", filepath.Join(r.pki, name+".crt"), "--"+of+"key-file", filepath.Join(r.pki, name+".key"))
	}
	c := exec.Command("etcd", append(args, more...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(r.t, c.Start())
	r.members[n] = c
}

func (r *realEtcd) kill(n int) {
	_ = r.members[n].Process.Kill()
	_ = r.members[n].Wait() // it says that it was killed
	delete(r.members, n)
}

func (r *realEtcd) etcdctl(words ...string) Output {
	r.t.Helper()
	argv := []string{"env", "-u", "ETCDCTL_ENDPOINTS", "-u", "ETCDCTL_CACERT", "etcdctl", "--endpoints=" + r.url(1, r.client), "--cacert=" + etcdFolder + "/ca.crt",
		"--cert=" + etcdFolder + "/healthcheck-client.crt", "--key=" + etcdFolder + "/healthcheck-client.key"}
	out, err := r.Query(r.t.Context(), Run{Argv: append(argv, words...), Env: map[string]string{"PATH": systemPath, "ETCDCTL_API": "3"}})
	require.NoError(r.t, err)
	return out
}

func (r *realEtcd) module() *etcdHealth {
	return &etcdHealth{Endpoints: []string{r.url(1, r.client)}, Healthy: true, MaxRaftSpread: 1000, Cordons: "ask", Timeout: time.Minute}
}

// settled is the first look that finds no difference; it fails after a while.
func (r *realEtcd) settled(e *etcdHealth) Change {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c := check(r.t, e, r)
		if len(c.Diffs) == 0 {
			return c
		}
		require.True(r.t, time.Now().Before(end), "%v", diffLines(c))
	}
}

func TestEtcdConfirmed(t *testing.T) {
	t.Parallel()
	r := newRealEtcd(t)
	for n := 1; n <= 3; n++ {
		r.start(n, 3)
	}
	r.cluster = etcdNodes()
	ask := r.module()
	ask.Members, ask.MayGoDown = 3, true
	vars := r.settled(ask).Vars
	assert.Equal(t, []any{3, 2, "m1", true}, []any{vars["healthy"], vars["quorum"], vars["this"], vars["may_go_down"]})
	assert.Equal(t, "without m1 2 of 3 voting members are left, and 2 are needed", vars["why"])
	assert.Len(t, vars["members"], 3)

	for _, n := range []int{2, 3, 1} {
		name := fmt.Sprintf("m%d", n)
		id := member(t, r.settled(ask).Vars, name)["id"].(string)
		leader := r.settled(ask).Vars["leader"].(string)
		at := r.url(int(leader[1]-'0'), r.client)
		require.Zero(t, r.etcdctl("--endpoints="+at, "move-leader", id).Code)
		vars = r.settled(ask).Vars
		assert.Equal(t, []any{name, name, n == 1}, []any{vars["leader"], vars["leader_node"], vars["this_leads"]})
	}

	r.cluster = etcdNodes("m2")
	assert.Equal(t, []string{"stopping etcd member m1: m2 is cordoned, so it counts as down; without m1 1 of 3 voting members are left, and 2 are needed -> 2 of 3 left"}, diffLines(check(t, ask, r)))
	ask.MayGoDown = "m2"
	assert.Empty(t, check(t, ask, r).Diffs, "its own cordon does not count")
	ask.MayGoDown = "worker1"
	assert.Equal(t, "no member of etcd runs on worker1", check(t, ask, r).Vars["why"])
	r.cluster = etcdNodes()

	r.learner(ask)
	r.lost(ask)
}

// learner adds a member that does not vote.
func (r *realEtcd) learner(ask *etcdHealth) {
	t := r.t
	ask.MayGoDown, ask.Members = true, 0
	// etcd refuses while a member has not been connected for five seconds.
	for end := time.Now().Add(30 * time.Second); r.etcdctl("member", "add", "m4", "--learner", "--peer-urls="+r.url(4, r.peer)).Code != 0; time.Sleep(200 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "etcd takes no learner")
	}
	c := check(t, ask, r)
	id := c.Vars["members"].([]any)[0].(map[string]any)["id"].(string)
	assert.Equal(t, []string{"etcd member " + id + ": a learner -> a member that votes"}, diffLines(c), "it has no name before it starts")
	r.start(4, 3)
	for end := time.Now().Add(30 * time.Second); member(t, check(t, ask, r).Vars, "m4")["version"] == ""; time.Sleep(100 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "the learner does not start")
	}
	c = check(t, ask, r)
	assert.Equal(t, []string{"etcd member m4: a learner -> a member that votes"}, diffLines(c))
	assert.Equal(t, []any{3, 2, true}, []any{c.Vars["healthy"], c.Vars["quorum"], c.Vars["may_go_down"]})
	require.Zero(t, r.etcdctl("member", "remove", id).Code)
	r.kill(4)
	r.settled(ask)
}

// lost stops members one after the other, first without their death.
func (r *realEtcd) lost(ask *etcdHealth) {
	t := r.t
	require.NoError(t, r.members[3].Process.Signal(syscall.SIGSTOP))
	c := check(t, ask, r)
	assert.Equal(t, []string{
		"etcd member m3: context deadline exceeded -> healthy",
		"stopping etcd member m1: m3 is not healthy; without m1 1 of 3 voting members are left, and 2 are needed -> 2 of 3 left",
	}, diffLines(c), "a member that hangs still holds its port")
	assert.Equal(t, 2, c.Vars["healthy"])
	require.NoError(t, r.members[3].Process.Signal(syscall.SIGCONT))
	r.settled(ask)

	r.kill(3)
	ask.Timeout, ask.MayGoDown = 0, "m3"
	c, err := ask.Check(t.Context(), r)
	assert.EqualError(t, err, "etcd member m3: is context deadline exceeded, want healthy")
	assert.Equal(t, []any{"m1", true}, []any{c.Vars["leader"], c.Vars["may_go_down"]}, "what is down already may go down")

	r.kill(2)
	ask.Timeout, ask.MayGoDown = time.Minute, true
	r.leaderless(ask)
}

// leaderless looks until the member that is left has noticed.
func (r *realEtcd) leaderless(ask *etcdHealth) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		lines := strings.Join(diffLines(check(r.t, ask, r)), "\n")
		if strings.Contains(lines, "leader of etcd: none -> one") || strings.Contains(lines, "(etcdserver: no leader)") { // until 3.4, and since
			return
		}
		require.True(r.t, time.Now().Before(end), lines)
	}
}

func TestEtcdAlarmConfirmed(t *testing.T) {
	t.Parallel()
	r := newRealEtcd(t)
	r.start(1, 1, "--quota-backend-bytes=40960")
	ask := r.module()
	ask.MayGoDown, ask.Cordons = "m1", "ignore"
	var c Change
	for end := time.Now().Add(30 * time.Second); len(c.Diffs) != 1; time.Sleep(100 * time.Millisecond) {
		c = check(t, ask, r)
		require.True(t, time.Now().Before(end), "%v", diffLines(c))
	}
	assert.Equal(t, "without m1 0 of 1 voting members are left, and 1 are needed", c.Diffs[0].Have)
	for i := range 12 {
		r.etcdctl("put", fmt.Sprint("key", i), strings.Repeat("x", 8000))
	}
	ask.MayGoDown = nil
	c = check(t, ask, r)
	assert.Contains(t, diffLines(c), "alarm of etcd member m1: NOSPACE -> none")
	assert.Equal(t, []any{map[string]any{"member": "m1", "alarm": "NOSPACE"}}, c.Vars["alarms"])
	assert.Len(t, member(t, c.Vars, "m1")["errors"], 1)
	assert.Equal(t, []any{false, "without m1 0 of 1 voting members are left, and 1 are needed; m1 has the alarm NOSPACE"}, []any{c.Vars["may_go_down"], c.Vars["why"]})

	r.sh("rm " + etcdFolder + "/healthcheck-client.*")
	assert.Equal(t, c.Vars["leader"], check(t, ask, r).Vars["leader"], "by the certificate of the server")
	r.sh("rm " + etcdFolder + "/server.*")
	_, err := ask.Check(t.Context(), r)
	assert.ErrorContains(t, err, "looked for healthcheck-client.crt and server.crt in "+etcdFolder)
	ask.CACert, ask.Cert, ask.Key = "/nowhere/ca.crt", "/nowhere/x.crt", "/nowhere/x.key"
	_, err = ask.Check(t.Context(), r)
	assert.ErrorContains(t, err, "/nowhere/ca.crt cannot be read on this host")
	ask.CACert, ask.Cert, ask.Key = filepath.Join(r.pki, "ca.crt"), filepath.Join(r.pki, "peer.crt"), filepath.Join(r.pki, "peer.key")
	assert.Equal(t, c.Vars["leader"], check(t, ask, r).Vars["leader"])

	r.kill(1)
	ask.MayGoDown = true
	c = check(t, ask, r)
	require.Len(t, c.Diffs, 2)
	assert.Equal(t, Diff{What: "etcd at " + r.url(1, r.client), Have: "context deadline exceeded", Want: "an answer"}, c.Diffs[0])
	assert.Equal(t, []any{0, "", false, "etcd does not say which members it has: context deadline exceeded"}, []any{c.Vars["healthy"], c.Vars["leader"], c.Vars["may_go_down"], c.Vars["why"]})
}

// member is one of those that were registered.
func member(t *testing.T, vars map[string]any, name string) map[string]any {
	t.Helper()
	for _, m := range vars["members"].([]any) {
		if m := m.(map[string]any); m["name"] == name {
			return m
		}
	}
	return map[string]any{"version": ""}
}
