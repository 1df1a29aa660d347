package modules

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// container starts a process with files of its own, in which the ipset is the
// old one, and returns its name, which no other process has.
func container(t *testing.T, old string) string {
	t.Helper()
	needsRoot(t, "ipset", "unshare", "nsenter", "pgrep")
	name := fmt.Sprintf("reader-%d", os.Getpid())
	shell := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink("/bin/sh", shell))
	hold(t, "unshare", "-m", "/bin/sh", "-c", "mount --bind "+Quote(old)+" $(command -v ipset) && exec "+Quote(shell)+" -c 'echo ready; cat'")
	return name
}

func newRepair(inside string) *ipset {
	s := newIpset("")
	s.Repair, s.Inside, s.Scope = true, inside, "calico"
	return s
}

// bump makes a set again with the host's ipset, as kube-router does.
const bump = "ipset save %[1]s | sed s/%[1]s/TMP-X/ | ipset restore && ipset swap TMP-X %[1]s && ipset destroy TMP-X; "

func entriesOf(host within, set string) string {
	return host.sh("ipset save " + set + " | sed -n 's/^add [^ ]* //p' | sort")
}

// Everything that a set can hold and be is the same afterwards.
func TestIpsetRepairKeepsConfirmed(t *testing.T) {
	old := oldIpset(t)
	reader := container(t, old)
	for name, c := range map[string]struct{ create, members, keeps, becomes string }{
		"as Felix makes it": {create: "hash:ip family inet maxelem 1048576", members: "10.0.0.1; 10.0.0.2", keeps: "maxelem 1048576", becomes: "hash:ip: revision 6 -> 5"},
		"empty":             {create: "hash:ip", becomes: "hash:ip: revision 6 -> 5"},
		"of IPv6":           {create: "hash:ip family inet6", members: "2001:db8::1", keeps: "family inet6", becomes: "hash:ip: revision 6 -> 5"},
		"ports":             {create: "hash:ip,port", members: "10.0.0.1,tcp:80; 10.0.0.1,udp:53", becomes: "hash:ip,port: revision 7 -> 6"},
		"a mask":            {create: "hash:ip bitmask 255.255.255.0", members: "10.0.0.1; 10.0.1.1", keeps: "netmask 24", becomes: "hash:ip: revision 6 -> 5"},
		"all that an entry can have": {create: "hash:ip timeout 5000 counters comment skbinfo maxelem 99 bucketsize 4",
			members: `10.0.0.1 timeout 0 packets 7 bytes 99 comment "a b" skbmark 0x10/0xff; 10.0.0.2 timeout 4000`, keeps: "maxelem 99 timeout 5000 counters comment skbinfo", becomes: "hash:ip: revision 6 -> 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := newNetwork(t)
			members := "add cali40x " + strings.ReplaceAll(c.members, "; ", "\nadd cali40x ") + "\n"
			if c.members == "" {
				members = ""
			}
			host.sh("ipset create cali40x " + c.create + "\nprintf %s " + Quote(members) + " | ipset restore")
			before := regexp.MustCompile(`timeout [34]\d+`).ReplaceAllString(entriesOf(host, "cali40x"), "timeout some")
			m := newRepair(reader)
			change := check(t, m, host)
			require.Len(t, change.Diffs, 1)
			d := change.Diffs[0]
			kind, _, _ := strings.Cut(c.create, " ")
			assert.Equal(t, "ipset cali40x ("+kind+")", d.What)
			assert.Equal(t, c.becomes, kind+": "+d.Have+" -> "+strings.TrimPrefix(d.Want, "revision "))
			host.take(change)
			left := check(t, m, host)
			assert.Empty(t, left.Diffs)
			assert.Empty(t, left.Steps)
			assert.Equal(t, before, regexp.MustCompile(`timeout [34]\d+`).ReplaceAllString(entriesOf(host, "cali40x"), "timeout some"))
			assert.Contains(t, host.sh("ipset save cali40x"), c.keeps)
			host.sh(old + " list cali40x")
			assert.Equal(t, "cali40x\n", host.sh("ipset list -n"))
		})
	}
}

// flood sends packets to this machine from within a network until it is stopped,
// and then says that it has.
func flood(t *testing.T, pid string) (stop func()) {
	t.Helper()
	opened := make(chan net.PacketConn)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		space, err := os.Open("/proc/" + pid + "/ns/net")
		if assert.NoError(t, err) {
			_, _, errno := syscall.RawSyscall(sysSetns, space.Fd(), 0, 0)
			assert.Zero(t, errno)
			assert.NoError(t, space.Close())
		}
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		assert.NoError(t, err)
		opened <- c
	}()
	c := <-opened
	require.NotNil(t, c)
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !over.Load() {
			_, err := c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
			assert.NoError(t, err)
		}
	}()
	return func() {
		over.Store(true)
		<-done
		assert.NoError(t, c.Close())
	}
}

// sysSetns is the number of setns on amd64 and on all that came with a table of
// their own after it.
var sysSetns = map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]

// Class B: a set that a rule uses is made readable while packets flow. Every
// packet finds its source in the set.
func TestIpsetRepairUnderTrafficConfirmed(t *testing.T) {
	needsRoot(t, "iptables")
	old := oldIpset(t)
	reader := container(t, old)
	host := newNetwork(t)
	host.sh("ip link set lo up; ipset create cali40this-host hash:ip maxelem 1048576; ipset add cali40this-host 127.0.0.1; ipset add cali40this-host 10.0.0.1")
	host.sh("iptables -A INPUT -p udp --dport 9; iptables -A INPUT -p udp --dport 9 -m set --match-set cali40this-host src -j DROP; iptables -A INPUT -p udp --dport 9 -j DROP")
	rules, members := host.sh("iptables -S INPUT"), entriesOf(host, "cali40this-host")
	stop := flood(t, host.enter[2])
	for range 5 {
		m := newRepair(reader)
		change := check(t, m, host)
		require.Equal(t, []Diff{{What: "ipset cali40this-host (hash:ip)", Have: "revision 6", Want: "revision 5"}}, change.Diffs)
		require.Len(t, change.Steps, 2)
		change.Steps = change.Steps[:1] // without the second in which others could act
		host.take(change)
		require.Contains(t, host.sh(old+" list -t cali40this-host"), "Revision: 5")
		left := check(t, m, host)
		require.Empty(t, left.Diffs)
		require.Empty(t, left.Steps)
		require.Equal(t, members, entriesOf(host, "cali40this-host"))
		host.sh(fmt.Sprintf(bump, "cali40this-host"))
	}
	stop()
	assert.Equal(t, rules, host.sh("iptables -S INPUT"))
	var counts []string
	for _, line := range strings.Split(strings.TrimSpace(host.sh("iptables -nvxL INPUT")), "\n")[2:] {
		counts = append(counts, strings.Fields(line)[0])
	}
	require.Len(t, counts, 3)
	assert.NotRegexp(t, `^\d{0,3}$`, counts[0], "hardly a packet was sent")
	assert.Equal(t, counts[0], counts[1], "packets did not find their source in the set")
	assert.Equal(t, "0", counts[2])
}

func TestIpsetRepairOnlyTheScopeConfirmed(t *testing.T) {
	reader := container(t, oldIpset(t))
	host := newNetwork(t)
	host.sh("ipset create cali60s:a_b-1 hash:ip family inet6; ipset create KUBE-LB hash:ip; ipset create cali40net hash:net; ipset create " + ipsetTemp("gone") + " hash:ip")
	m := newRepair(reader)
	change := check(t, m, host)
	require.Len(t, change.Diffs, 2, "what a crash has left goes too")
	host.take(change)
	assert.Empty(t, check(t, m, host).Diffs)
	assert.Equal(t, "KUBE-LB\ncali40net\ncali60s:a_b-1\n", host.sh("ipset list -n | LC_ALL=C sort"))
	assert.Contains(t, host.sh("ipset list -t KUBE-LB"), "Revision: 6")

	m.Repair, m.Scope = false, "all"
	assert.Equal(t, []any{"KUBE-LB"}, check(t, m, host).Vars["unreadable"])
	m.Compatible = true
	_, err := m.Check(t.Context(), host)
	assert.ErrorContains(t, err, `ipset 7.10 of `+reader+` cannot read every set: set "KUBE-LB" is of type hash:ip revision 6, and it reads at most revision 5`)
}

func TestIpsetRepairWhileSetsChangeConfirmed(t *testing.T) {
	old := oldIpset(t)
	reader := container(t, old)
	host := newNetwork(t)
	host.sh("ipset create cali40a hash:ip; ipset create cali40b hash:ip; ipset add cali40b 10.0.0.1; ipset create " + ipsetTemp("cali40b") + " hash:net")
	m := newRepair(reader)
	change := check(t, m, host)
	require.Len(t, change.Diffs, 3)
	host.sh("ipset destroy cali40a; ipset add cali40b 10.0.0.2; ipset destroy " + ipsetTemp("cali40b"))
	change.Steps = change.Steps[1:] // what was left is gone by itself here
	host.take(change)
	assert.Equal(t, "10.0.0.1\n10.0.0.2\n", entriesOf(host, "cali40b"), "a member that came after the look is kept")
	assert.Equal(t, "cali40b\n", host.sh("ipset list -n"))
	assert.Empty(t, check(t, m, host).Diffs)

	host.sh(fmt.Sprintf(bump, "cali40b"))
	again := check(t, m, host)
	assert.Empty(t, again.Steps, "it would be rewritten again")
	assert.Equal(t, []Diff{{What: "ipset cali40b (hash:ip)", Have: "revision 6 again: something on this host rewrites it, and must be stopped first", Want: "a revision that can be read"}}, again.Diffs)
	assert.NotEmpty(t, check(t, newRepair(reader), host).Steps, "another task begins anew")
}

// Somebody rewrites the set all the time: the repair says so.
func TestIpsetRepairAgainstACreatorConfirmed(t *testing.T) {
	reader := container(t, oldIpset(t))
	host := newNetwork(t)
	host.sh("ipset create cali40x hash:ip; ipset add cali40x 10.0.0.1")
	change := check(t, newRepair(reader), host)
	creator := "while :; do " + fmt.Sprintf(bump, "cali40x") + "done 2>/dev/null & echo ready; cat; kill $!; wait"
	hold(t, append(host.enter, "sh", "-c", creator)...)
	said := ""
	for round := 0; round < 10 && said == ""; round++ { // on a busy machine he may be slower than the step that watches
		for _, s := range change.Steps {
			out, err := host.Query(t.Context(), s.(Run))
			require.NoError(t, err)
			if out.Code != 0 {
				said = out.Stderr
				break
			}
		}
	}
	assert.Contains(t, said, "cali40x was made again: something on this host rewrites it, and must be stopped first (ipset v7.10: Kernel")
}

// A step that fails leaves the old set as it was, and nothing of its own.
func TestIpsetRepairFailsConfirmed(t *testing.T) {
	reader := container(t, oldIpset(t))
	host := newNetwork(t)
	host.sh("ipset create cali40x hash:ip; ipset add cali40x 10.0.0.1")
	change := check(t, newRepair(reader), host)
	host.sh("ipset destroy cali40x; ipset create cali40x hash:net; ipset add cali40x 10.0.0.0/8")
	out, err := host.Query(t.Context(), change.Steps[0].(Run))
	require.NoError(t, err)
	assert.NotZero(t, out.Code)
	assert.Contains(t, out.Stderr, "ipset v7")
	assert.Equal(t, "cali40x\n", host.sh("ipset list -n"))
	assert.Equal(t, "10.0.0.0/8\n", entriesOf(host, "cali40x"))

	host.sh("ipset destroy cali40x; ipset create cali40x hash:ip bitmask 255.0.255.0")
	_, err = newRepair(reader).Check(t.Context(), host)
	assert.ErrorContains(t, err, "refuses \"hash:ip bitmask 255.0.255.0 family inet hashsize 1024 maxelem 65536\": ")
	assert.ErrorContains(t, err, "bitmask")

	nobody := newRepair("no-such-process")
	change = check(t, nobody, host)
	assert.Empty(t, change.Steps)
	assert.Equal(t, []Diff{{What: "process no-such-process on this host", Have: "absent", Want: "there, for its ipset"}}, change.Diffs)
}

// olderHost is a target whose programs are those of a folder first.
type olderHost struct {
	within
	bin string
}

func (o olderHost) Query(ctx context.Context, r Run) (Output, error) {
	r.Env = maps.Clone(r.Env)
	r.Env["PATH"] = o.bin + ":" + systemPath
	return o.within.Query(ctx, r)
}

// Where the host's ipset is as old, nobody knows what the set holds.
func TestIpsetRepairHostAsOldConfirmed(t *testing.T) {
	old := oldIpset(t)
	reader := container(t, old)
	host := newNetwork(t)
	host.sh("ipset create cali40x hash:ip")
	bin := t.TempDir()
	pgrep := filepath.Join(bin, "pgrep")
	require.NoError(t, os.WriteFile(pgrep, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	_, err := newRepair(reader).Check(t.Context(), olderHost{host, bin})
	assert.ErrorContains(t, err, "cannot be run: pgrep finds no process: it failed, or is not installed; it takes root, pgrep and nsenter")

	require.NoError(t, os.Symlink(old, filepath.Join(bin, "ipset")))
	m := newRepair(reader)
	m.Inside, m.Binary = "", old
	_, err = m.Check(t.Context(), olderHost{host, bin})
	assert.ErrorContains(t, err, `ipset "cali40x" is of type hash:ip revision 6, and this host's ipset cannot read it either: ipset v7.10: Kernel and userspace incompatible`)
	assert.ErrorContains(t, err, "once ipset and libipset13 of this host know that revision")
}
