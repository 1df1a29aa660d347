package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReach(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	authority := filepath.Join(t.TempDir(), "ca.crt")
	address := srv.Listener.Addr().String()
	require.Error(t, reach(t.Context(), address, authority), "no authority, no trust")

	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	require.NoError(t, os.WriteFile(authority, cert, 0o644))
	require.NoError(t, reach(t.Context(), address, authority))

	srv.Close()
	require.ErrorContains(t, reach(t.Context(), address, authority), address)
}
