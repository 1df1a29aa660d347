package aptrepo

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIndex(t *testing.T) {
	got := Index([]Package{
		{Control: "Package: b\nVersion: 2\n", Filename: "b.deb", Size: 7, SHA256: "ff"},
		{Control: "Package: a\nVersion: 1\nDescription: x\n more", Filename: "a.deb", Size: 5, SHA256: "ee"},
	})
	require.Equal(t, `Package: a
Version: 1
Description: x
 more
Filename: ./a.deb
Size: 5
SHA256: ee

Package: b
Version: 2
Filename: ./b.deb
Size: 7
SHA256: ff

`, string(got))
}

// buildDeb makes a real package with dpkg-deb.
func buildDeb(t *testing.T, dir string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "p")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755))
	control := "Package: demo\nVersion: 1.2-3\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: demo\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644))
	out, err := exec.Command("dpkg-deb", "--build", "--root-owner-group", root, filepath.Join(dir, "demo.deb")).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestHandlerServesIndexAndPackages(t *testing.T) {
	dir := t.TempDir()
	buildDeb(t, dir)
	h, err := Handler(context.Background(), dir)
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	defer srv.Close()

	code, index := get(t, srv.URL+"/Packages")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, index, "Package: demo\nVersion: 1.2-3\n")
	require.Contains(t, index, "Filename: ./demo.deb\n")

	code, deb := get(t, srv.URL+"/./demo.deb")
	require.Equal(t, http.StatusOK, code)
	want, err := os.ReadFile(filepath.Join(dir, "demo.deb"))
	require.NoError(t, err)
	require.Equal(t, string(want), deb)

	code, _ = get(t, srv.URL+"/../demo.deb/..")
	require.Equal(t, http.StatusNotFound, code)
	code, _ = get(t, srv.URL+"/Packages.gz")
	require.Equal(t, http.StatusNotFound, code)
}

func TestHandlerRefusesAnEmptyFolder(t *testing.T) {
	_, err := Handler(context.Background(), t.TempDir())
	require.ErrorContains(t, err, "no .deb")
}

func TestHandlerServesTwoFoldersAsOne(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	buildDeb(t, one)
	buildDeb(t, two)
	require.NoError(t, os.Rename(filepath.Join(two, "demo.deb"), filepath.Join(two, "again.deb")))
	h, err := Handler(context.Background(), one, two)
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	defer srv.Close()
	_, index := get(t, srv.URL+"/Packages")
	require.Equal(t, 2, strings.Count(index, "Package: demo\n"))
	for _, name := range []string{"demo.deb", "again.deb"} {
		code, _ := get(t, srv.URL+"/"+name)
		require.Equal(t, http.StatusOK, code, name)
	}
}
