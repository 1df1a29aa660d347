package pki

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask makes one HTTPS request to a server that shows the certificate, expecting
// it to be good for name.
func ask(t *testing.T, server Pair, roots *x509.CertPool, name string) error {
	t.Helper()
	pair, err := tls.X509KeyPair(server.CertPEM, server.KeyPEM)
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what some cases want
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	defer srv.Close()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(srv.URL)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestServerIsTrustedForItsHostsOnly(t *testing.T) {
	ca, err := NewCA("lab")
	require.NoError(t, err)
	server, err := ca.Issue(Subject{Name: "web", Hosts: []string{"keybuzz.lab", "10.0.0.110"}})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca.CertPEM))

	require.NoError(t, ask(t, server, roots, "keybuzz.lab"))
	require.NoError(t, ask(t, server, roots, "10.0.0.110"))
	require.Error(t, ask(t, server, roots, "10.0.0.111"))
	require.Error(t, ask(t, server, x509.NewCertPool(), "keybuzz.lab"))
}

func TestClientCarriesItsGroups(t *testing.T) {
	ca, err := NewCA("lab")
	require.NoError(t, err)
	admin, err := ca.Issue(Subject{Name: "admin", Groups: []string{"system:masters"}})
	require.NoError(t, err)
	require.Equal(t, []string{"system:masters"}, admin.cert.Subject.Organization)
	require.NoError(t, admin.cert.CheckSignatureFrom(ca.cert))
}
