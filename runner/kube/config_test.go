package kube

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	require.NoError(t, os.WriteFile(there, kubeconfig("http://x", ""), 0o600))

	t.Setenv("KUBECONFIG", here)
	paths, ok := Find()
	assert.False(t, ok)
	assert.Empty(t, paths)
	_, err := newClient(Options{})
	assert.ErrorContains(t, err, "no kubeconfig")

	t.Setenv("KUBECONFIG", here+string(os.PathListSeparator)+there)
	paths, ok = Find()
	assert.True(t, ok)
	assert.Equal(t, []string{there}, paths)
	c, err := newClient(Options{})
	require.NoError(t, err)
	assert.Equal(t, "http://x", c.Server())
	assert.Equal(t, "default", c.Namespace())
}

func TestContexts(t *testing.T) {
	config := []byte(`{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: "http://x"}}],
		contexts: [{name: b, context: {cluster: c, namespace: nb}}, {name: a, context: {cluster: c}}]}`)
	_, err := newClient(Options{Config: config})
	assert.ErrorContains(t, err, `no current context; choose one of "a", "b"`)
	_, err = newClient(Options{Config: config, Context: "z"})
	assert.ErrorContains(t, err, `no context "z"; there is "a", "b"`)

	c, err := newClient(Options{Config: config, Context: "b"})
	require.NoError(t, err)
	assert.Equal(t, "nb", c.Namespace())
	c, err = newClient(Options{Config: config, Context: "b", Namespace: "other"})
	require.NoError(t, err)
	assert.Equal(t, "other", c.Namespace())

	_, err = newClient(Options{Config: []byte("not: [a kubeconfig")})
	assert.ErrorContains(t, err, "kubeconfig")
	_, err = newClient(Options{Config: []byte{}})
	assert.ErrorContains(t, err, "no context")
}

// A kubeconfig from a target must neither run a program here nor send a file of
// this machine to a server that the target names.
func TestForeignKubeconfig(t *testing.T) {
	for _, c := range []struct{ name, cluster, user, want string }{
		{"exec", ``, `exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, interactiveMode: Never}`, "from a program"},
		{"auth provider", ``, `auth-provider: {name: gcp}`, "from a program"},
		{"token file", ``, `tokenFile: /etc/shadow`, `names the file "/etc/shadow"`},
		{"key file", ``, `client-key: /root/.ssh/id_rsa`, `names the file "/root/.ssh/id_rsa"`},
		{"certificate file", ``, `client-certificate: x.pem`, `names the file "x.pem"`},
		{"authority file", `certificate-authority: ca.pem, `, ``, `names the file "ca.pem"`},
		{"all embedded", ``, `token: t`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := `{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: c, cluster: {` + c.cluster + `server: "https://x"}}],
				users: [{name: u, user: {` + c.user + `}}], contexts: [{name: a, context: {cluster: c, user: u}}]}`
			_, err := newClient(Options{Config: []byte(config), Origin: "of node001"})
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "kubeconfig of node001")
		})
	}
}

func TestProgramInAFileThatAnybodyMayWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(path, []byte(`{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: c, cluster: {server: "https://x"}}],
		users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: get-token, interactiveMode: Never}}}],
		contexts: [{name: a, context: {cluster: c, user: u}}]}`), 0o600))
	_, err := newClient(Options{Kubeconfig: []string{path}})
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o666))
	_, err = newClient(Options{Kubeconfig: []string{path}})
	assert.ErrorContains(t, err, "anybody may write the file (mode 0666)")
}
