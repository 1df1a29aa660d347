package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMode(t *testing.T) {
	tests := []struct {
		mode any
		want uint32
		err  string
	}{
		{mode: "0644", want: 0o644},
		{mode: "755", want: 0o755},
		{mode: "0o600", want: 0o600},
		{mode: "04755", want: 0o4755},
		{mode: 0o644, want: 0o644},
		{mode: int64(0o1777), want: 0o1777},
		{mode: "0000", want: 0},
		{mode: "u=rw,g=r", err: `mode "u=rw,g=r" is not octal; write it as "0644" (u=rw,g=r and the like are not supported)`},
		{mode: "0888", err: `mode "0888" is not octal; write it as "0644" (u=rw,g=r and the like are not supported)`},
		{mode: 644, err: `mode 644 is a decimal number; write "0644"`},
		{mode: 755, err: `mode 755 is a decimal number; write "0755"`},
		{mode: "100644", err: `mode 0100644 has more than the permission bits; the largest is "7777"`},
		{mode: int64(-1), err: `mode 01777777777777777777777 has more than the permission bits; the largest is "7777"`},
		{mode: 6.44, err: `mode 6.44 is not octal; write it as "0644"`},
	}
	for _, tt := range tests {
		got, err := parseMode(tt.mode)
		if tt.err != "" {
			assert.EqualError(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, tt.want, *got, tt.mode)
	}
	none, err := parseMode(nil)
	require.NoError(t, err)
	assert.Nil(t, none)
}

func TestAttributesAgainst(t *testing.T) {
	in := &inode{mode: typeFile | 0o644, uid: 0, gid: 4, owner: "root", group: "adm"}
	tests := []struct {
		name         string
		mode         any
		owner, group string
		diffs        []Diff
		steps        []string
	}{
		{name: "nothing asked"},
		{name: "as asked", mode: "0644", owner: "root", group: "adm"},
		{name: "as asked by number", owner: "0", group: "4"},
		{name: "mode", mode: "0600", steps: []string{"chmod 0600 -- /x"},
			diffs: []Diff{{What: "mode of /x", Have: "0644", Want: "0600"}}},
		{name: "owner", owner: "www-data", steps: []string{"chown www-data -- /x"},
			diffs: []Diff{{What: "owner of /x", Have: "root", Want: "www-data"}}},
		{name: "group", group: "0", steps: []string{"chown :0 -- /x"},
			diffs: []Diff{{What: "group of /x", Have: "adm", Want: "0"}}},
		{name: "owner first, for chown drops setuid", mode: "4644", owner: "bin",
			steps: []string{"chown bin -- /x", "chmod 4644 -- /x"},
			diffs: []Diff{{What: "owner of /x", Have: "root", Want: "bin"}, {What: "mode of /x", Have: "0644", Want: "4644"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := attributesOf(tt.mode, tt.owner, tt.group)
			require.NoError(t, err)
			diffs, steps, err := a.against("/x", in, true)
			require.NoError(t, err)
			assert.Equal(t, tt.diffs, diffs)
			assert.ElementsMatch(t, tt.steps, stepLines(Change{Steps: steps}))
		})
	}
}

func TestAttributesRestoreSetuid(t *testing.T) {
	a, err := attributesOf("4755", "bin", "")
	require.NoError(t, err)
	_, steps, err := a.against("/x", &inode{mode: typeFile | 0o4755, owner: "root"}, true)
	require.NoError(t, err)
	assert.Equal(t, []string{"chown bin -- /x", "chmod 4755 -- /x"}, stepLines(Change{Steps: steps}))
}

func TestAttributesRefuseOddNames(t *testing.T) {
	for _, name := range []string{"-R", "a:b", "a\nb"} {
		_, err := attributesOf(nil, name, "")
		assert.ErrorContains(t, err, "cannot be the name of an owner or group")
	}
}
