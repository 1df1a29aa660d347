package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// backwards seals by turning text around.
type backwards struct{}

func (backwards) Seal(plain []byte) (string, error) { return "sealed:" + turned(string(plain)), nil }

func (backwards) Open(sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, "sealed:")
	if !ok {
		return nil, errors.New("not sealed")
	}
	return []byte(turned(text)), nil
}

func (backwards) Digest([]byte) string { return "" }

func turned(text string) string {
	var b strings.Builder
	for i := len(text) - 1; i >= 0; i-- {
		b.WriteByte(text[i])
	}
	return b.String()
}

func TestSettingsComeBackAndHideTheirVariables(t *testing.T) {
	set := settings{
		Dir: "/work", Playbook: "site.yaml", Inventories: []string{"a", "b,"}, Limit: "web", Tags: []string{"x"}, Skip: []string{"y"},
		Forks: 3, User: "u", Key: "k", Become: true, AskPassword: true, Replan: true, Extra: []string{"pin=hunter2"},
	}
	data, err := set.seal(backwards{})
	require.NoError(t, err)
	require.NotContains(t, string(data), "hunter2")
	require.Equal(t, []string{"pin=hunter2"}, set.Extra, "sealing is of a copy")
	back, err := unseal(data, backwards{})
	require.NoError(t, err)
	require.Equal(t, set, back)

	var seen settings
	require.NoError(t, json.Unmarshal(data, &seen))
	require.Equal(t, "-i a -i b, -l web -t x --skip-tags y -u u --private-key k -e (sealed) -b -K", seen.words())
}

func TestSettingsThatAreDamagedSaySo(t *testing.T) {
	for data, want := range map[string]string{
		`{`:                     "the settings of the run",
		`{"sealed":"x"}`:        "the variables of -e: not sealed",
		`{"sealed":"sealed:x"}`: "the variables of -e",
	} {
		_, err := unseal(json.RawMessage(data), backwards{})
		require.ErrorContains(t, err, want)
	}
}

func TestSettingsFromAnotherDirectory(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"site.yaml", "hosts", "more.yaml", "below/key", "below/here.yaml"} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	set := settings{
		Dir: root, Playbook: "site.yaml", Inventories: []string{"hosts", "web1,web2,"}, Extra: []string{"@more.yaml", "a=b"}, Key: "below/key", Limit: "@hosts",
	}
	before := set.Inventories[0]
	got := set.from(filepath.Join(root, "below"))
	require.Equal(t, settings{
		Dir: filepath.Join(root, "below"), Playbook: filepath.Join(root, "site.yaml"), Key: "key", Limit: "@" + filepath.Join(root, "hosts"),
		Inventories: []string{filepath.Join(root, "hosts"), "web1,web2,"}, Extra: []string{"@" + filepath.Join(root, "more.yaml"), "a=b"},
	}, got)
	require.Equal(t, before, set.Inventories[0], "the settings themselves stay")
	require.Equal(t, set, set.from(root))
	shipped := settings{Dir: root, Playbook: "ipset-fix", Key: "~/.ssh/id"}.from("/")
	require.Equal(t, "ipset-fix", shipped.Playbook)
	require.Equal(t, "~/.ssh/id", shipped.Key)
}

func TestAPlaybookHasOneNameWhereverItIsCalledFrom(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "books/below"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "books/site.yaml"), nil, 0o600))
	outside := filepath.Join(t.TempDir(), "other.yaml")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	t.Chdir(filepath.Join(root, "books/below"))
	for given, want := range map[string]string{
		"../site.yaml":                         "books/site.yaml",
		filepath.Join(root, "books/site.yaml"): "books/site.yaml",
		outside:                                outside,
		"ipset-fix":                            "playbooks/ipset-fix.yaml",
		"playbooks/ipset-fix.yaml":             "playbooks/ipset-fix.yaml",
	} {
		require.Equal(t, want, playbookName(root, given))
	}
}
