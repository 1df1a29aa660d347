package modules

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aptRoot is a real Debian in which packages can be installed: an overlay over
// RUNBOOK_ROOTFS, or over this machine's own root, that goes away with the
// process that holds its mount namespace.
type aptRoot struct {
	within
	dir string // as the test sees it
}

func newAptRoot(t *testing.T) *aptRoot {
	needsRoot(t, "apt-get", "dpkg-deb", "unshare", "nsenter")
	lower := os.Getenv("RUNBOOK_ROOTFS")
	if lower == "" {
		lower = "/"
	}
	top := t.TempDir()
	pid := hold(t, "unshare", "-m", "--propagation", "private", "sh", "-ec", `mount -t tmpfs tmpfs "$1"; cd "$1"
mkdir up work root; mount -t overlay -o "lowerdir=$2,upperdir=up,workdir=work" overlay root
mount -t proc proc root/proc; mount --rbind /dev root/dev; mount -t tmpfs tmpfs root/tmp; echo ready; cat`, "sh", top, lower)
	root := filepath.Join(top, "root")
	r := &aptRoot{
		within: within{here: &here{t: t}, enter: []string{"nsenter", "--mount=/proc/" + pid + "/ns/mnt", "chroot", root}},
		dir:    "/proc/" + pid + "/root" + root,
	}
	// The machine's own apt may be at work: what it holds or has half done is not
	// for the tests to see.
	r.sh(`rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d/* /var/lib/apt/lists; rm -f /etc/apt/apt.conf.d/*
rm -f /var/lib/dpkg/lock* /var/lib/dpkg/updates/* /var/cache/apt/archives/lock
sed -i 's/^Status: install ok .*/Status: install ok installed/; /^Triggers-/d' /var/lib/dpkg/status
mkdir -p /repo /etc/apt/sources.list.d /var/lib/apt/lists/partial; echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list`)
	return r
}

// pack builds packages, as NAME VERSION and more lines of its control file; a
// package whose name ends in bad has a postinst that fails.
func (r *aptRoot) pack(packages ...string) {
	for _, p := range packages {
		head, rest, _ := strings.Cut(p, "\n")
		name, version, _ := strings.Cut(head, " ")
		r.sh(fmt.Sprintf(`rm -rf /b; mkdir -p /b/DEBIAN; cd /b/DEBIAN
printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n%s' >control
case %s in *bad) printf '#!/bin/sh\nexit 1\n' >postinst; chmod 755 postinst;; esac
dpkg-deb --root-owner-group -b /b /repo/%s_%s.deb`, name, version, rest, name, name, version))
	}
	r.sh(`cd /repo; for f in *.deb; do dpkg-deb -f $f; echo "Filename: ./$f"; echo "Size: $(stat -c %s $f)"
echo "SHA256: $(sha256sum $f | cut -d' ' -f1)"; echo; done >Packages`)
}

// lock takes a lock as apt does and returns what gives it back.
func (r *aptRoot) lock(path string) io.Closer {
	r.t.Helper()
	f, err := os.OpenFile(r.dir+path, os.O_RDWR|os.O_CREATE, 0o640)
	require.NoError(r.t, err)
	require.NoError(r.t, syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}))
	return f
}

func newApt(names ...string) *apt {
	return &apt{Name: names, State: "present", Upgrade: "no", UpdateErrors: "fail", LockTimeout: time.Second}
}

func TestAptConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 1.0", "rbdemo 2.0\nDepends: rblib (>= 2)\n", "rblib 1.0", "rblib 2.0")

	update := &apt{UpdateCache: true, CacheValidTime: time.Hour, State: "present", LockTimeout: time.Second}
	change := check(t, update, r)
	assert.Equal(t, []Diff{{What: "package lists", Have: "never fetched by runbook", Want: "fetched"}}, change.Diffs)
	r.take(change)
	require.Empty(t, check(t, update, r).Diffs)
	update.seen = nil
	assert.Empty(t, check(t, update, r).Diffs, "lists are fresh for the next run too")

	old := newApt("rbdemo=1.0", "rblib=1.0")
	r.take(check(t, old, r))
	assert.Empty(t, check(t, old, r).Diffs)
	assert.Empty(t, check(t, newApt("rbdemo"), r).Diffs, "present is not latest")

	latest := newApt("rbdemo")
	latest.State, latest.OnlyUpgrade = "latest", true
	r.sh("apt-mark hold rbdemo")
	_, err := latest.Check(t.Context(), r)
	assert.ErrorContains(t, err, "allow_change_held_packages")
	r.sh("apt-mark unhold rbdemo")
	change = check(t, latest, r)
	assert.Equal(t, []Diff{{What: "package rblib", Have: "1.0", Want: "2.0"}, {What: "package rbdemo", Have: "1.0", Want: "2.0"}}, change.Diffs)
	r.take(change)
	change = check(t, latest, r)
	assert.Empty(t, change.Diffs)
	assert.Equal(t, map[string]any{"old": "1.0", "new": "2.0", "candidate": "2.0", "installed": true, "status": "installed"},
		change.Vars["packages"].(map[string]any)["rbdemo"])
}

func TestAptRefusalsConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 1.0", "rbdemo 2.0", "rbfoe 1.0\nConflicts: rbdemo\n", "rbbad 1.0", "rbvirt 1.0\nProvides: rbthing\n")
	r.sh("apt-get -qq update; apt-get -y install rbdemo")
	back := newApt("rbdemo=1.0")
	_, err := back.Check(t.Context(), r)
	assert.ErrorContains(t, err, "allow_downgrade")
	back.AllowDowngrade = true
	r.take(check(t, back, r))
	assert.Empty(t, check(t, back, r).Diffs)

	foe := newApt("rbfoe")
	_, err = foe.Check(t.Context(), r)
	assert.ErrorContains(t, err, `"rbdemo"; permit it with allow_remove`)
	foe.AllowRemove = []any{"rbdemo"}
	r.take(check(t, foe, r))
	assert.Empty(t, check(t, foe, r).Diffs)

	thing := newApt("rbthing")
	r.take(check(t, thing, r))
	assert.Empty(t, check(t, thing, r).Diffs, "another package provides it")

	bad := newApt("rbbad")
	out, err := r.Query(t.Context(), check(t, bad, r).Steps[0].(Run))
	require.NoError(t, err)
	assert.NotZero(t, out.Code)
	change := check(t, bad, r)
	assert.Equal(t, []Diff{{What: "package rbbad", Have: "1.0, not configured", Want: "1.0"}}, change.Diffs, "half configured is not installed")

	gone := newApt("rbfoe", "rbbad")
	gone.State, gone.Purge = "absent", true
	r.take(check(t, gone, r))
	assert.Empty(t, check(t, gone, r).Diffs)
}

func TestAptAutoremoveConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 2.0\nDepends: rblib\n", "rblib 2.0", "rbother 1.0\nDepends: rbdemo\n")
	r.sh("apt-get -qq update; apt-get -y install rbother")
	gone := newApt("rbdemo")
	gone.State, gone.Autoremove = "absent", true
	_, err := gone.Check(t.Context(), r)
	require.ErrorContains(t, err, `would also remove "rbother"`)
	gone.AllowRemove = "rbother"
	r.take(check(t, gone, r))
	change := check(t, gone, r)
	assert.Empty(t, change.Diffs)
	assert.Empty(t, r.sh("dpkg-query -W -f='${Package}\n' | grep '^rb' || :"))
}

func TestAptUpdateErrorsConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 1.0")
	r.sh("echo 'deb [trusted=yes] http://127.0.0.1:9/ ./' >/etc/apt/sources.list.d/dead.list; echo 'Acquire::Retries 0;' >/etc/apt/apt.conf.d/x")
	strict := &apt{UpdateCache: true, State: "present", UpdateErrors: "fail", LockTimeout: time.Second}
	out, err := r.Query(t.Context(), check(t, strict, r).Steps[0].(Run))
	require.NoError(t, err)
	assert.Equal(t, 100, out.Code)
	assert.Contains(t, out.Stderr, "E: Failed to fetch http://127.0.0.1:9/")
	assert.Len(t, check(t, strict, r).Diffs, 1)

	warn := &apt{UpdateCache: true, CacheValidTime: time.Hour, State: "present", UpdateErrors: "warn", LockTimeout: time.Second}
	r.take(check(t, warn, r))
	change := check(t, warn, r)
	assert.Empty(t, change.Diffs)
	assert.Equal(t, true, change.Vars["cache_updated"])
	assert.Contains(t, strings.Join(change.Notes, "\n"), "could not be fetched, and are used as they were: http://127.0.0.1:9/")
	warn.seen = nil
	assert.Len(t, check(t, warn, r).Diffs, 1, "lists that are not all there are not fresh")
}

func TestAptLocksConfirmed(t *testing.T) {
	r := newAptRoot(t)
	r.pack("rbdemo 1.0")
	r.sh("apt-get -qq update")
	me := fmt.Sprintf("(pid %d)", os.Getpid())
	install := func() *apt { return newApt("rbdemo") }
	update := func() *apt { return &apt{UpdateCache: true, State: "present", LockTimeout: time.Second} }
	for path, make := range map[string]func() *apt{
		"/var/lib/apt/lists/lock":      update,
		"/var/cache/apt/archives/lock": install,
		"/var/lib/dpkg/lock-frontend":  install,
		"/var/lib/dpkg/lock":           install,
	} {
		t.Run(path, func(t *testing.T) {
			held := r.lock(path)
			m := make()
			change := check(t, m, r)
			require.Len(t, change.Notes, 1)
			assert.Contains(t, change.Notes[0], path)
			assert.Contains(t, change.Notes[0], strconv.Itoa(os.Getpid()))
			out, err := r.Query(t.Context(), change.Steps[0].(Run))
			require.NoError(t, err)
			assert.Equal(t, 100, out.Code)
			assert.Contains(t, out.Stderr, path+" is held by")
			assert.Contains(t, out.Stderr, me)
			require.NoError(t, held.Close())
		})
	}
	t.Run("given back in time", func(t *testing.T) {
		held := r.lock("/var/lib/apt/lists/lock")
		m := update()
		m.LockTimeout = time.Minute
		step := r.words(check(t, m, r).Steps[0].(Run))
		c := exec.CommandContext(t.Context(), step.Argv[0], step.Argv[1:]...)
		for k, v := range step.Env {
			c.Env = append(c.Env, k+"="+v)
		}
		stderr, err := c.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(stderr)
		require.True(t, lines.Scan())
		assert.Equal(t, "apt: waiting for a lock", lines.Text())
		require.NoError(t, held.Close())
		for lines.Scan() {
		}
		assert.NoError(t, c.Wait())
		assert.Empty(t, check(t, m, r).Diffs)
	})
}
