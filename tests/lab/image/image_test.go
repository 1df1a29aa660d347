package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func untar(t *testing.T, data []byte) (map[string][]byte, []tar.Header) {
	t.Helper()
	files := map[string][]byte{}
	var headers []tar.Header
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, files, h.Name, "the archive holds a name twice")
		files[h.Name] = body
		headers = append(headers, *h)
	}
}

func twoImages(t *testing.T) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("#!"), 0o755))
	shared := Layer{{Path: "bin/sh", Link: "program"}, {Path: "bin/program", From: program}}
	var buf bytes.Buffer
	require.NoError(t, Write(&buf,
		Image{Tags: []string{"docker.io/lab/one:1"}, Layers: []Layer{shared}, Entrypoint: []string{"/bin/program"}},
		Image{Tags: []string{"docker.io/lab/two:1"}, Layers: []Layer{shared, {{Path: "etc/x", From: program}}}, Env: []string{"A=b"}},
	))
	return buf.Bytes()
}

func TestWriteDescribesWhatItHolds(t *testing.T) {
	files, _ := untar(t, twoImages(t))
	var entries []manifestEntry
	require.NoError(t, json.Unmarshal(files["manifest.json"], &entries))
	require.Len(t, entries, 2)
	require.Equal(t, entries[0].Layers[0], entries[1].Layers[0], "the same layer stands once")
	for _, e := range entries {
		var c config
		require.NoError(t, json.Unmarshal(files[e.Config], &c))
		require.Len(t, c.RootFS.DiffIDs, len(e.Layers))
		for i, name := range e.Layers {
			sum := sha256.Sum256(files[name])
			require.Equal(t, "sha256:"+hex.EncodeToString(sum[:]), c.RootFS.DiffIDs[i])
		}
	}
}

func TestLayerKeepsModesLinksAndFolders(t *testing.T) {
	files, _ := untar(t, twoImages(t))
	var entries []manifestEntry
	require.NoError(t, json.Unmarshal(files["manifest.json"], &entries))
	_, headers := untar(t, files[entries[0].Layers[0]])
	require.Len(t, headers, 3)
	require.Equal(t, "bin/", headers[0].Name)
	require.Equal(t, "bin/program", headers[1].Name)
	require.EqualValues(t, 0o755, headers[1].Mode)
	require.Equal(t, "program", headers[2].Linkname)
}

func TestWriteIsReproducible(t *testing.T) {
	require.Equal(t, twoImages(t), twoImages(t))
}

func TestWriteRefuses(t *testing.T) {
	tests := map[string]Image{
		"no tag":       {Layers: []Layer{{}}},
		"no layer":     {Tags: []string{"a:1"}},
		"missing file": {Tags: []string{"a:1"}, Layers: []Layer{{{Path: "x", From: filepath.Join(t.TempDir(), "none")}}}},
	}
	for name, img := range tests {
		t.Run(name, func(t *testing.T) { require.Error(t, Write(io.Discard, img)) })
	}
}
