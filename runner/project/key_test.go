package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func newKeyIn(t *testing.T) *Key {
	t.Helper()
	k, err := bareWorld(t).Key()
	require.NoError(t, err)
	return k
}

func TestKeyIsMadeOnce(t *testing.T) {
	w := bareWorld(t)
	ids := make([]string, 20)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			p, err := Open(w.Dir())
			if err != nil {
				return
			}
			if k, err := p.Key(); err == nil {
				ids[i] = k.ID()
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		require.Len(t, id, 12)
		require.Equal(t, ids[0], id, "many at once get one key")
	}
	left, err := filepath.Glob(w.path(".key.tmp-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NotEqual(t, ids[0], newKeyIn(t).ID())
}

func TestSealRoundTrip(t *testing.T) {
	k := newKeyIn(t)
	for _, plain := range []string{"", "x", "s3cret", strings.Repeat("long ", 50000), "\x00\xff\n"} {
		sealed, err := k.Seal([]byte(plain))
		require.NoError(t, err)
		require.NotContains(t, sealed, "\n")
		if len(plain) > 4 {
			require.NotContains(t, sealed, plain)
		}
		got, err := k.Open(sealed)
		require.NoError(t, err)
		require.Equal(t, plain, string(got))
		again, err := k.Seal([]byte(plain))
		require.NoError(t, err)
		require.NotEqual(t, sealed, again, "what is the same cannot be told to be")
	}
}

func TestATamperedSealIsRefused(t *testing.T) {
	k := newKeyIn(t)
	sealed, err := k.Seal([]byte("the password of the database"))
	require.NoError(t, err)
	for i := range sealed {
		for _, c := range []byte{sealed[i] ^ 1, sealed[i] ^ 0x20, 'A', '_', '\n', ':', 0} {
			if c == sealed[i] {
				continue
			}
			_, err := k.Open(sealed[:i] + string(c) + sealed[i+1:])
			require.Errorf(t, err, "byte %d became %q", i, c)
		}
		_, err := k.Open(sealed[:i])
		require.Errorf(t, err, "cut at %d", i)
		_, err = k.Open(sealed[:i] + "\n" + sealed[i:])
		require.Errorf(t, err, "a newline at %d", i)
		_, err = k.Open(sealed[:i] + sealed[i+1:])
		require.Errorf(t, err, "without byte %d", i)
	}
	_, err = k.Open(sealed + "A")
	require.Error(t, err)
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	one, other := newKeyIn(t), newKeyIn(t)
	sealed, err := one.Seal([]byte("s3cret"))
	require.NoError(t, err)
	_, err = other.Open(sealed)
	require.ErrorContains(t, err, one.ID())
	require.ErrorContains(t, err, other.ID())
	_, err = other.Open(strings.Replace(sealed, one.ID(), other.ID(), 1))
	require.Error(t, err, "the name of the key is sealed too")

	data := []byte("sha256:abc")
	require.True(t, one.Verify(data, one.MAC(data)))
	require.False(t, other.Verify(data, one.MAC(data)))
	require.False(t, one.Verify([]byte("sha256:abd"), one.MAC(data)))
	require.False(t, one.Verify(data, ""))
	require.Equal(t, one.Digest(data), one.Digest(data))
	require.Len(t, one.Digest(data), 32)
	require.NotEqual(t, one.Digest(data), other.Digest(data))
	require.NotContains(t, one.MAC(data), one.Digest(data), "one purpose, one key")
}

func TestAKeyNeverPrintsItself(t *testing.T) {
	w := bareWorld(t)
	k, err := w.Key()
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "key "+k.ID(), fmt.Sprintf(verb, k), verb)
	}
	require.Equal(t, "{}", jsonOf(t, k))
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	good := string(newKey())
	tests := map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"others may read it": {good, 0o644, "chmod 600"},
		"the group may":      {good, 0o640, "chmod 600"},
		"empty":              {"", 0o600, "does not begin with"},
		"raw bytes":          {strings.Repeat("\x01", 32), 0o600, "does not begin with"},
		"cut":                {good[:40], 0o600, "32 bytes"},
		"too long":           {strings.TrimSpace(good) + "AAAA", 0o600, "32 bytes"},
		"not base64":         {keyPrefix + strings.Repeat("?", 44), 0o600, "base64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(path, []byte(test.content), test.mode))
			_, err := LoadKey(path)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, path)
			if len(test.content) > len(keyPrefix)+8 {
				require.NotContains(t, err.Error(), strings.TrimPrefix(test.content, keyPrefix)[:8], "not even a part of it")
			}
		})
	}
	_, err := LoadKey(t.TempDir())
	require.ErrorContains(t, err, "not a file")
	_, err = LoadKey(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestADamagedKeyIsNotReplaced(t *testing.T) {
	w := bareWorld(t)
	require.NoError(t, os.WriteFile(w.path(keyFile), []byte("junk"), 0o600))
	_, err := w.Key()
	require.ErrorContains(t, err, "restore it from a copy")
	data, err := os.ReadFile(w.path(keyFile))
	require.NoError(t, err)
	require.Equal(t, "junk", string(data))
}
