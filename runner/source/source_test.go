package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

func TestPrintShowsTheLineAndACaret(t *testing.T) {
	f := &source.File{Name: "bad.yml", Data: []byte("- hosts: all\n\tnmae: nginx\n  世界: \x1b[31mx\r\n")}
	errs := source.Errors{
		f.At(3, 3).Errorf(2, "wide"),
		f.At(2, 2).Errorf(4, "unknown key %q", "nmae").Try("did you mean %q?", "name"),
		f.At(2, 2).Errorf(4, "unknown key %q", "nmae"),
		f.At(3, 7).Errorf(1, "control"),
		{Msg: "nowhere"},
		f.At(9, 1).Errorf(1, "beyond the end"),
	}
	var out strings.Builder
	require.NoError(t, errs.Print(&out))
	want := `nowhere
bad.yml:2:2: unknown key "nmae"; did you mean "name"?
  |
2 | 	nmae: nginx
  | 	^~~~
bad.yml:3:3: wide
  |
3 |   世界: �[31mx
  |   ^~~~
bad.yml:3:7: control
  |
3 |   世界: �[31mx
  |         ^
bad.yml:9:1: beyond the end
`
	assert.Equal(t, want, out.String())
}

func TestClosest(t *testing.T) {
	known := []string{"name", "hosts", "when", "register", "become", "tags", "notify"}
	tests := map[string]string{
		"nmae": "name", "host": "hosts", "wehn": "when", "regsiter": "register", "Becom": "become",
		"NAME": "name", "tag": "tags", "x": "", "": "", "foo": "", "unless": "", "en": "", "name": "",
	}
	for got, want := range tests {
		assert.Equal(t, want, source.Closest(got, known), "%q", got)
	}
}

func TestErrIsNilWithoutMistakes(t *testing.T) {
	assert.NoError(t, source.Errors{}.Err())
	assert.Error(t, source.Errors{{Msg: "x"}}.Err())
}

func TestReadNamesFilesFromTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, "sub", "x.yml")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("a: 1\n"), 0o600))
	f, err := source.Read(path)
	require.NoError(t, err)
	assert.Equal(t, "sub/x.yml", f.Name)
	assert.Equal(t, "a: 1\n", string(f.Data))

	_, err = source.Read(filepath.Join(dir, "none.yml"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
