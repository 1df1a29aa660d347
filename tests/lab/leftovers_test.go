//go:build linux

package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab/snapshot"
)

// leftovers is everything on this machine that belongs to the test's lab:
// processes, mounts, interfaces, control groups and its state.
func leftovers(t *testing.T, n network) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/sys/class/net/" + n.name + "*",
		"/sys/fs/cgroup/" + n.cgroup(),
		"/sys/fs/cgroup/*/" + n.cgroup(),
		testState,
	} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, testState+"/") {
			found = append(found, line)
		}
	}
	return append(found, processes(t, n)...)
}

// processes are those that were told of the lab on their command line, or are
// in one of its control groups.
func processes(t *testing.T, n network) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var found []string
	for _, dir := range dirs {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue
		}
		if bytes.Contains(cmdline, []byte(testState+"/")) || bytes.Contains(groups, []byte("/"+n.cgroup()+"/")) {
			found = append(found, dir+" "+string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// namespaces are those that the lab's hosts are in and this program is not.
func namespaces(t *testing.T, l *Lab) map[string]bool {
	t.Helper()
	spaces := map[string]bool{}
	for _, kind := range []string{"net", "mnt", "pid", "uts", "ipc", "cgroup"} {
		ours, err := os.Readlink("/proc/self/ns/" + kind)
		require.NoError(t, err)
		for _, h := range l.Hosts() {
			r, err := l.process1(h.Name)
			require.NoError(t, err)
			theirs, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(r.PID), "ns", kind))
			require.NoError(t, err)
			require.NotEqual(t, ours, theirs, "a host has a namespace of its own")
			spaces[theirs] = true
		}
	}
	return spaces
}

// inUse are the processes that are in one of the namespaces.
func inUse(t *testing.T, spaces map[string]bool) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	require.NoError(t, err)
	var found []string
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && spaces[to] {
			found = append(found, link)
		}
	}
	return found
}

// switches are the kernel's that kubelet turns. They are the whole machine's:
// every host has files of its own in their place.
var switches = []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"}

// thisMachine is what a lab could change of the machine as a whole.
func thisMachine(t *testing.T) snapshot.Snapshot {
	t.Helper()
	s := snapshot.Snapshot{}
	for _, name := range append([]string{"net/ipv4/ip_forward"}, switches...) {
		value, err := os.ReadFile("/proc/sys/" + name)
		require.NoError(t, err)
		s[name] = strings.TrimSpace(string(value))
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	s["mounts"] = string(mounts)
	return s
}
