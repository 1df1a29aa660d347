//go:build linux

package cgroup

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, mounts string
		want         []Hierarchy
		wantErr      bool
	}{
		{"version 2", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", []Hierarchy{{Path: "/sys/fs/cgroup", V2: true}}, false},
		{
			"version 1 beside an unused version 2",
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\n" +
				"cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0\n" +
				"cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/x,name=systemd 0 0\n" +
				"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			[]Hierarchy{
				{Path: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct"},
				{Path: "/sys/fs/cgroup/systemd", Options: "none,name=systemd"},
			}, false,
		},
		{"none", "proc /proc proc rw 0 0\n", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.mounts)
			require.Equal(t, tt.wantErr, err != nil)
			require.Equal(t, tt.want, got)
		})
	}
}
