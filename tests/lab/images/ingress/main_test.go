package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProxyAnswersForItsBackend(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "at "+r.URL.Path)
	}))
	to, err := url.Parse(backend.URL)
	require.NoError(t, err)
	front := httptest.NewServer(proxy(to))
	defer front.Close()

	resp, err := http.Get(front.URL + "/health")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "at /health", string(body))

	backend.Close()
	gone, err := http.Get(front.URL + "/health")
	require.NoError(t, err)
	defer gone.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, gone.StatusCode)
}
