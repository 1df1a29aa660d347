package modules

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newSealed is a real Debian whose accounts can be changed: an overlay over
// RUNBOOK_ROOTFS, or over this machine's own root, that goes away with the
// process that holds its mount namespace.
func newSealed(t *testing.T) within {
	needsRoot(t, "unshare", "nsenter")
	lower := os.Getenv("RUNBOOK_ROOTFS")
	if lower == "" {
		lower = "/"
	}
	top := t.TempDir()
	pid := hold(t, "unshare", "-m", "--propagation", "private", "sh", "-ec", `mount -t tmpfs tmpfs "$1"; cd "$1"
mkdir up work root; mount -t overlay -o "lowerdir=$2,upperdir=up,workdir=work" overlay root
mount -t proc proc root/proc; echo ready; cat`, "sh", top, lower)
	w := within{here: &here{t: t}, enter: []string{"nsenter", "--mount=/proc/" + pid + "/ns/mnt", "chroot", top + "/root"}}
	w.sh("grep -q '^overlay / ' /proc/self/mounts") // or else these would be this machine's own accounts
	return w
}

// TestAccountsConfirmed is what ansible-core 2.14 does with the same tasks in
// the same order: each either changes something or not.
func TestAccountsConfirmed(t *testing.T) {
	host := newSealed(t)
	g := func(with group) func() Module {
		return func() Module {
			m := with
			if m.State == "" {
				m.State = "present"
			}
			return &m
		}
	}
	u := func(name string, with func(*userWish)) func() Module {
		return func() Module { return newUser(func(u *userWish) { u.Name = name; with(u) }) }
	}
	two := func(u *userWish) {
		comment := "The Two"
		u.UID, u.Group, u.Groups, u.Comment, u.Home, u.Shell, u.Password = numbered(5002), "users", []string{"adm", "audio"}, &comment, "/srv/u2", "/bin/sh", "$6$abc$defdefdef"
	}
	homeless := func(with func(*userWish)) func(*userWish) {
		return func(u *userWish) { u.CreateHome = false; with(u) }
	}
	for _, c := range []struct {
		name    string
		module  func() Module
		changes bool
		proof   string // a command
		says    string // what it prints
	}{
		{"group", g(group{Name: "g1", GID: numbered(4001)}), true, "getent group g1", "g1:x:4001:\n"},
		{"group again", g(group{Name: "g1", GID: numbered(4001)}), false, "", ""},
		{"another gid", g(group{Name: "g1", GID: numbered(4002)}), true, "getent group g1", "g1:x:4002:\n"},
		{"any gid", g(group{Name: "g1"}), false, "", ""},
		{"system group", g(group{Name: "gsys", System: true}), true, "[ $(getent group gsys | cut -d: -f3) -lt 1000 ] && echo low", "low\n"},
		{"no group", g(group{Name: "g1", State: "absent"}), true, "getent group g1 || echo gone", "gone\n"},
		{"no group again", g(group{Name: "g1", State: "absent"}), false, "", ""},
		{"plain user", u("u1", func(*userWish) {}), true, "stat -c %U:%G /home/u1 /home/u1/.profile", "u1:u1\nu1:u1\n"},
		{"plain user again", u("u1", func(*userWish) {}), false, "", ""},
		{"full user", u("u2", two), true, "getent passwd u2; getent shadow u2 | cut -d: -f2; id -Gn u2", "u2:x:5002:100:The Two:/srv/u2:/bin/sh\n$6$abc$defdefdef\nusers adm audio\n"},
		{"full user again", u("u2", two), false, "", ""},
		{"a group that it has", u("u2", func(u *userWish) { u.Groups, u.Append = []string{"adm"}, true }), false, "", ""},
		{"one more group", u("u2", func(u *userWish) { u.Groups, u.Append = []string{"video"}, true }), true, "id -Gn u2", "users adm audio video\n"},
		{"other groups", u("u2", func(u *userWish) { u.Groups = []string{"video", "users"} }), true, "id -Gn u2", "users video\n"},
		{"no groups", u("u2", func(u *userWish) { u.Groups = []string{} }), true, "id -Gn u2", "users\n"},
		{"no groups again", u("u2", func(u *userWish) { u.Groups = []string{""} }), false, "", ""},
		{"append nothing", u("u2", func(u *userWish) { u.Append = true }), false, "", ""},
		{"another home", u("u2", func(u *userWish) { u.Home = "/srv/u2b" }), true, "stat -c %U:%G:%a /srv/u2b /srv/u2b/.profile; getent passwd u2 | cut -d: -f6", "u2:users:755\nu2:users:644\n/srv/u2b\n"},
		{"a home that nobody makes", u("u2", homeless(func(u *userWish) { u.Home = "/srv/u2c" })), true, "[ -e /srv/u2c ] || echo missing", "missing\n"},
		{"locked", u("u2", homeless(func(u *userWish) { u.PasswordLock = yes(true) })), true, "getent shadow u2 | cut -d: -f2", "!$6$abc$defdefdef\n"},
		{"same password, locked", u("u2", homeless(func(u *userWish) { u.Password = "$6$abc$defdefdef" })), false, "", ""},
		{"unlocked", u("u2", homeless(func(u *userWish) { u.PasswordLock = yes(false) })), true, "getent shadow u2 | cut -d: -f2", "$6$abc$defdefdef\n"},
		{"no password", u("u2", homeless(func(u *userWish) { u.Password = "!" })), true, "getent shadow u2 | cut -d: -f2", "!\n"},
		{"a password", u("u2", homeless(func(u *userWish) { u.Password = "$6$abc$x" })), true, "getent shadow u2 | cut -d: -f2", "$6$abc$x\n"},
		{"theirs", u("u2", homeless(func(u *userWish) { u.Password, u.UpdatePassword = "$6$abc$other", "on_create" })), false, "", ""},
		{"the group of its name is there", u("gsys", homeless(func(*userWish) {})), true, "id -gn gsys", "users\n"},
		{"system user", u("s1", func(u *userWish) { u.System = true }), true, "[ $(id -u s1) -lt 1000 ] && stat -c %U /home/s1", "s1\n"},
		{"groups by number", u("u5", func(u *userWish) { u.Group, u.Groups = "100", []string{"4"} }), true, "id -Gn u5", "users adm\n"},
		{"groups by number again", u("u5", func(u *userWish) { u.Group, u.Groups = "users", []string{"adm"} }), false, "", ""},
		{"moves", u("u5", func(u *userWish) { u.Home, u.MoveHome = "/srv/u5", true }), true, "stat -c %U /srv/u5/.profile; [ -e /home/u5 ] || echo moved", "u5\nmoved\n"},
		{"gone, its home was never made", u("u2", func(u *userWish) { u.State, u.Remove = "absent", true }), true, "getent passwd u2 || echo gone", "gone\n"},
		{"gone again", u("u2", func(u *userWish) { u.State, u.Remove = "absent", true }), false, "", ""},
		{"gone, its home stays", u("u1", func(u *userWish) { u.State = "absent" }), true, "getent passwd u1; ls -d /home/u1", "/home/u1\n"},
		{"gone with its home", u("u5", func(u *userWish) { u.State, u.Remove = "absent", true }), true, "[ -e /srv/u5 ] || echo gone", "gone\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.module()
			require.NoError(t, m.(Validator).Validate())
			change := check(t, m, host)
			assert.Equal(t, c.changes, len(change.Steps) > 0, stepLines(change))
			host.take(change)
			left := check(t, m, host)
			assert.Empty(t, diffLines(left))
			assert.Empty(t, stepLines(left))
			if c.proof != "" {
				assert.Equal(t, c.says, host.sh(c.proof+"; :"))
			}
		})
	}
}
