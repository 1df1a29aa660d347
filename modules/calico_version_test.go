package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCalicoVersions(t *testing.T) {
	for text, want := range map[string]struct {
		all, heals bool
		cure       string
		cures      []any
	}{
		"v3.22.1":  {all: true, cures: []any{}},
		"v3.26.5":  {all: true, cures: []any{}},
		"v3.27.0":  {all: true, cure: "v3.27.5", cures: []any{}},
		"3.27.1":   {cures: []any{"A"}},
		"v3.27.5":  {cures: []any{"A"}},
		"v3.28.2":  {cures: []any{"A"}},
		"v3.30.5":  {cures: []any{"A"}},
		"v3.30.6":  {heals: true, cures: []any{"A", "B"}},
		"v3.30.10": {heals: true, cures: []any{"A", "B"}},
		"v3.31.2":  {cures: []any{"A"}},
		"v3.31.3":  {heals: true, cures: []any{"A", "B"}},
		"v3.32.0":  {heals: true, cures: []any{"A", "B"}},
		"v3.100.0": {heals: true, cures: []any{"A", "B"}},
		"v4.0.0":   {heals: true, cures: []any{"A", "B"}},
	} {
		t.Run(text, func(t *testing.T) {
			v, ok := parseCalicoVersion(text)
			require.True(t, ok)
			judged := (&calico{Judge: text}).judged()
			assert.Equal(t, want.all, judged["lists_all"])
			assert.Equal(t, want.all, judged["faulty"])
			assert.Equal(t, want.heals, judged["self_heals"])
			assert.Equal(t, want.cures, judged["cures"])
			assert.Equal(t, want.cure, v.cure())
			assert.Contains(t, judged["why"], v.String())
		})
	}
	assert.Empty(t, newCalico().judged())
}

func TestCalicoImageVersion(t *testing.T) {
	for image, want := range map[string]string{
		"docker.io/calico/node:v3.27.0":                "v3.27.0",
		"calico/node:v3.27.0-amd64":                    "v3.27.0",
		"registry:5000/calico/node:v3.27.5@sha256:abc": "v3.27.5",
		"registry:5000/calico/node":                    "",
		"docker.io/calico/node@sha256:abc":             "",
		"docker.io/calico/node:master":                 "",
		"":                                             "",
	} {
		v, ok := imageVersion(image)
		assert.Equal(t, want != "", ok, image)
		if ok {
			assert.Equal(t, want, v.String(), image)
		}
	}
}

func TestCalicoArguments(t *testing.T) {
	m := newCalico()
	assert.NoError(t, m.Validate())
	m.Judge = "newest"
	assert.ErrorContains(t, m.Validate(), `judge: "newest" is not a version of Calico`)
	m.Judge, m.Selector = "v3.27.5", ""
	assert.ErrorContains(t, m.Validate(), "selector")
}
