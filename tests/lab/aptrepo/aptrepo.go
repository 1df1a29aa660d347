// Package aptrepo makes a flat apt repository out of a folder of .deb files:
// the index that apt reads, and the server that hands it out.
package aptrepo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// Package is one .deb as the index describes it.
type Package struct {
	Control  string // the control paragraph, as dpkg-deb prints it
	Filename string // relative to the repository's address
	Size     int64
	SHA256   string // hexadecimal
}

// Index is the Packages file for the packages, in order of their file names.
func Index(packages []Package) []byte {
	sorted := append([]Package(nil), packages...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Filename < sorted[j].Filename })
	var b bytes.Buffer
	for _, p := range sorted {
		fmt.Fprintf(&b, "%s\nFilename: ./%s\nSize: %d\nSHA256: %s\n\n", strings.TrimSpace(p.Control), p.Filename, p.Size, p.SHA256)
	}
	return b.Bytes()
}

// Scan describes every .deb in dir.
func Scan(ctx context.Context, dir string) ([]Package, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", p).Output()
		if err != nil {
			return nil, fmt.Errorf("read the control fields of %s: %w", p, err)
		}
		sum := sha256.Sum256(data)
		out = append(out, Package{Control: string(control), Filename: filepath.Base(p), Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// Handler serves one index of the .deb files in all dirs, made once, and the
// files.
func Handler(ctx context.Context, dirs ...string) (http.Handler, error) {
	files := map[string]string{} // by what the index calls them
	var packages []Package
	for _, dir := range dirs {
		found, err := Scan(ctx, dir)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s holds no .deb file", dir)
		}
		for _, p := range found {
			files[p.Filename] = filepath.Join(dir, p.Filename)
		}
		packages = append(packages, found...)
	}
	index := Index(packages)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{file}", func(w http.ResponseWriter, r *http.Request) {
		path, ok := files[r.PathValue("file")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, path)
	})
	mux.HandleFunc("GET /Packages", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(index)
	})
	return mux, nil
}
