package kube

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// realAPI starts etcd and the kube-apiserver that RUNBOOK_APISERVER names, both
// on loopback, and gives a Client of it.
func realAPI(t *testing.T, binary string) *Client {
	t.Helper()
	dir := t.TempDir()
	etcd, peer, port := freePort(t), freePort(t), freePort(t)
	start(t, dir, "etcd", "--data-dir", filepath.Join(dir, "etcd"),
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", "default=http://"+peer)
	_, number, err := net.SplitHostPort(port)
	require.NoError(t, err)
	key := signingKey(t, dir)
	tokens := filepath.Join(dir, "tokens.csv")
	require.NoError(t, os.WriteFile(tokens, []byte("secret,admin,admin,system:masters\n"), 0o600))
	start(t, dir, binary, "--etcd-servers=http://"+etcd, "--service-account-key-file="+key, "--service-account-signing-key-file="+key,
		"--service-account-issuer=https://kubernetes.default.svc", "--token-auth-file="+tokens, "--authorization-mode=RBAC",
		"--cert-dir="+filepath.Join(dir, "certs"), "--secure-port="+number, "--bind-address=127.0.0.1",
		"--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount")

	c := open(t, "https://"+port, "secret")
	ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
	defer stop()
	for {
		_, err := c.raw.Get().AbsPath("/readyz").Do(ctx).Raw()
		if err == nil {
			return c
		}
		require.NoError(t, sleep(ctx, 200*time.Millisecond), "kube-apiserver is not ready: %v", err)
	}
}

// start runs a program until the test ends; what it said is shown if the test failed.
func start(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text := said.Bytes()
			t.Logf("%s said:\n%s", name, text[max(0, len(text)-2000):])
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func signingKey(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	path := filepath.Join(dir, "sa.key")
	data := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}
