package modules

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func yes(is bool) *bool { return &is }

// newUser is a user as the decoder begins it.
func newUser(with func(*userWish)) *userWish {
	u := &userWish{Name: "web", State: "present", CreateHome: true, UpdatePassword: "always"}
	with(u)
	return u
}

// userTarget answers the question of u with these lines.
func userTarget(u *userWish, lines ...string) *fake {
	return &fake{commands: map[string]Output{u.question().String(): {Stdout: strings.Join(append(lines, "end\n"), "\n")}}}
}

const (
	webEntry = "passwd web:x:1001:1001:The Web:/home/web:/bin/sh"
	webIn    = "groups web adm"
	webGroup = "group web:x:1001:"
	homeIs   = "home /home/web"
)

var absentUser = []string{"groups ", "base /home", "shell /bin/sh", "usergroups yes"}

func TestUser(t *testing.T) {
	there := []string{webEntry, webIn, webGroup, homeIs}
	for _, c := range []struct {
		name  string
		user  func(*userWish)
		found []string
		diffs []string
		steps []string
		notes []string
	}{
		{name: "as asked", user: func(u *userWish) {
			u.UID, u.Group, u.Groups, u.Home, u.Shell = numbered(1001), "web", []string{"adm"}, "/home/web", "/bin/sh"
		}, found: append(there, "group adm:x:4:web")},
		{name: "nothing more is asked", user: func(*userWish) {}, found: there},
		{name: "missing", user: func(*userWish) {}, found: absentUser, diffs: []string{"user web: absent -> present"}, steps: []string{"useradd -m -- web"}},
		{name: "missing, its group is there", user: func(*userWish) {}, found: append(absentUser, webGroup), diffs: []string{"user web: absent -> present"}, steps: []string{"useradd -N -m -- web"}},
		{
			name: "missing, with everything", user: func(u *userWish) {
				comment := "A B"
				u.UID, u.Group, u.Groups, u.Comment, u.Home, u.Shell, u.System, u.CreateHome = numbered(7), "100", []string{"adm", "4"}, &comment, "/srv/web", "/bin/zsh", true, false
			},
			found: append(absentUser, "group users:x:100:", "group adm:x:4:"),
			diffs: []string{"user web: absent -> present, uid 7, group 100, groups adm,4, home /srv/web, shell /bin/zsh"},
			steps: []string{"useradd -r -u 7 -g 100 -G adm,4 -c 'A B' -d /srv/web -s /bin/zsh -M -- web"},
		},
		{
			name: "missing, with a password", user: func(u *userWish) { u.Password = "$6$canary" }, found: absentUser,
			diffs: []string{"user web: absent -> present, with a password"}, steps: []string{"useradd -m -- web && chpasswd -e"},
		},
		{name: "groups added", user: func(u *userWish) { u.Groups, u.Append = []string{"adm", "video"}, true }, found: append(there, "group adm:x:4:", "group video:x:44:"),
			diffs: []string{"groups of user web: adm -> adm,video"}, steps: []string{"usermod -a -G adm,video -- web"}},
		{name: "groups replaced, by number", user: func(u *userWish) { u.Groups = []string{"44"} }, found: append(there, "group video:x:44:"),
			diffs: []string{"groups of user web: adm -> video"}, steps: []string{"usermod -G 44 -- web"}},
		{name: "out of all groups", user: func(u *userWish) { u.Groups = []string{""} }, found: there,
			diffs: []string{"groups of user web: adm -> "}, steps: []string{"usermod -G '' -- web"}},
		{name: "the primary group is no other", user: func(u *userWish) { u.Groups = []string{"adm", "web"} }, found: append(there, "group adm:x:4:")},
		{name: "append without groups", user: func(u *userWish) { u.Append = true }, found: there, notes: []string{"append does nothing without groups"}},
		{
			name: "all is different", user: func(u *userWish) {
				comment := ""
				u.UID, u.Group, u.Comment, u.Home, u.Shell, u.MoveHome = numbered(7), "users", &comment, "/srv/web", "/bin/zsh", true
			},
			found: []string{webEntry, webIn, webGroup, "group users:x:100:"},
			diffs: []string{
				"uid of user web: 1001 -> 7", "group of user web: web -> users", "comment of user web: The Web -> ",
				"home of user web: /home/web -> /srv/web", "shell of user web: /bin/sh -> /bin/zsh",
			},
			steps: []string{"usermod -u 7 -g users -c '' -d /srv/web -m -s /bin/zsh -- web"},
		},
		{name: "home is missing", user: func(*userWish) {}, found: there[:3],
			diffs: []string{"/home/web: absent -> home directory of user web"}, steps: []string{"mkdir -p /home/web # from /etc/skel, owned by web"}},
		{name: "home is missing, and nobody minds", user: func(u *userWish) { u.CreateHome = false }, found: there[:3]},
		{name: "password as asked", user: func(u *userWish) { u.Password = "$6$canary" }, found: append(there, "password same")},
		{name: "another password", user: func(u *userWish) { u.Password = "$6$canary" }, found: append(there, "password other"),
			diffs: []string{"password of user web: (hidden) -> (hidden, differs)"}, steps: []string{"chpasswd -e"}},
		{name: "the password is theirs", user: func(u *userWish) { u.Password, u.UpdatePassword = "$6$canary", "on_create" }, found: append(there, "password other")},
		{name: "to be locked", user: func(u *userWish) { u.PasswordLock = yes(true) }, found: append(there, "password other"),
			diffs: []string{"password of user web: not locked -> locked"}, steps: []string{"usermod -L -- web"}},
		{name: "to be unlocked", user: func(u *userWish) { u.PasswordLock = yes(false) }, found: append(there, "locked", "password other"),
			diffs: []string{"password of user web: locked -> not locked"}, steps: []string{"usermod -U -- web"}},
		{name: "nothing to unlock", user: func(u *userWish) { u.PasswordLock = yes(false) }, found: append(there, "locked", "password none"),
			notes: []string{"user web has no password that could be unlocked"}},
		{name: "no password is asked for, and there is none", user: func(u *userWish) { u.Password = "!" }, found: append(there, "locked", "password none")},
		{name: "unwanted", user: func(u *userWish) { u.State, u.Remove = "absent", true }, found: there,
			diffs: []string{"user web: present -> absent, with home and mail"}, steps: []string{"userdel -r -- web"}},
		{name: "unwanted, by force", user: func(u *userWish) { u.State, u.Force = "absent", true }, found: there,
			diffs: []string{"user web: present -> absent"}, steps: []string{"userdel -f -- web"}},
		{name: "unwanted, and not there; of groups that are not there", user: func(u *userWish) { u.State, u.Group = "absent", "nosuch" }, found: absentUser},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUser(c.user)
			require.NoError(t, u.Validate())
			target := userTarget(u, c.found...)
			change := check(t, u, target)
			assert.Equal(t, c.diffs, diffLines(change))
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.notes, change.Notes)
			assert.Equal(t, len(c.steps) > 0, len(change.Effects) > 0, "a step without an effect")
			assert.Len(t, target.runs, 1, "one query")
			assert.NotContains(t, target.runs[0].String(), "canary")
			for _, line := range append(diffLines(change), stepLines(change)...) {
				assert.NotContains(t, line, "canary")
			}
		})
	}
}

func TestUserPasswordTravelsByStdin(t *testing.T) {
	for want, with := range map[string]func(*userWish){
		"web:$6$x\n":  func(u *userWish) { u.Password = "$6$x" },
		"web:!$6$x\n": func(u *userWish) { u.Password, u.PasswordLock = "$6$x", yes(true) },
	} {
		for _, found := range [][]string{absentUser, {webEntry, webIn, homeIs, "password other"}} {
			u := newUser(with)
			target := userTarget(u, found...)
			change := check(t, u, target)
			require.Len(t, change.Steps, 1)
			assert.Equal(t, want, change.Steps[0].(Run).Stdin)
			assert.Equal(t, "$6$x\n", target.runs[0].Stdin)
		}
	}
}

func TestUserVars(t *testing.T) {
	u := newUser(func(u *userWish) { u.Groups, u.Password = []string{"adm"}, "$6$x" })
	change := check(t, u, userTarget(u, webEntry, webIn, webGroup, homeIs, "group adm:x:4:", "password same"))
	assert.Equal(t, map[string]any{
		"name": "web", "state": "present", "append": false, "move_home": false, "create_home": true, "system": false, "groups": "adm",
		"password": "NOT_LOGGING_PASSWORD", "home": "/home/web", "shell": "/bin/sh", "uid": 1001, "group": 1001, "comment": "The Web",
	}, change.Vars)
}

// Later tasks of the same plan see the account, its group and its home.
func TestUserForeseen(t *testing.T) {
	u := newUser(func(u *userWish) { u.Groups = []string{"docker"} })
	target := userTarget(u, absentUser...)
	_, err := u.Check(context.Background(), target)
	assert.ErrorContains(t, err, `group "docker" does not exist`)

	target.predicted = []Effect{{Thing: AGroup, Name: "docker", State: Group{Name: "docker", GID: -1}, By: "Docker"}}
	change := check(t, u, target)
	assert.Equal(t, []string{"useradd -G docker -m -- web"}, stepLines(change))
	account := User{Name: "web", Home: "/home/web", Shell: "/bin/sh", UID: -1, GID: -1, Groups: []string{"docker"}}
	assert.Equal(t, []Effect{
		{Thing: AUser, Name: "web", State: account},
		{Thing: AGroup, Name: "web", State: Group{Name: "web", GID: -1}},
		{Thing: APath, Name: "/home/web", State: File{Exists: true, Size: -1, Mode: fs.ModeDir, Owner: "web", UID: -1, GID: -1}},
	}, change.Effects)

	target.predicted = append(target.predicted, change.Effects...)
	again := check(t, u, target)
	assert.Empty(t, again.Diffs)
	assert.IsType(t, Unforeseen{}, again.Vars["uid"])
	assert.Equal(t, "/home/web", again.Vars["home"])

	for want, with := range map[string]func(*userWish){
		"the number of":        func(u *userWish) { u.UID = numbered(7) },
		"the primary group of": func(u *userWish) { u.Group = "docker" },
		"the password of":      func(u *userWish) { u.Password = "x" },
		"the comment of":       func(u *userWish) { c := "x"; u.Comment = &c },
	} {
		u := newUser(with)
		hangs := userTarget(u, absentUser...)
		hangs.predicted = target.predicted
		_, err := u.Check(context.Background(), hangs)
		var unforeseen Unforeseen
		require.ErrorAs(t, err, &unforeseen, want)
		assert.Contains(t, unforeseen.Reason, want)
	}

	more := newUser(func(u *userWish) { u.Groups, u.Append = []string{"adm"}, true })
	found := userTarget(more, append(absentUser, "group adm:x:4:")...)
	found.predicted = target.predicted
	assert.Equal(t, []string{"groups of user web: docker -> adm,docker"}, diffLines(check(t, more, found)))

	gone := newUser(func(*userWish) {})
	found = userTarget(gone, webEntry, webIn, webGroup, homeIs)
	found.predicted = []Effect{{Thing: AUser, Name: "web", Gone: true}}
	assert.Equal(t, []string{"user web: absent -> present"}, diffLines(check(t, gone, found)))
}

func TestUserCannotTell(t *testing.T) {
	plain := newUser(func(*userWish) {})
	locked := newUser(func(u *userWish) { u.PasswordLock = yes(true) })
	for want, target := range map[string]*fake{
		"exit code 127: the host has no getent":  {commands: map[string]Output{plain.question().String(): {Code: 127, Stderr: "the host has no getent\n"}}},
		"wanted a line of /etc/passwd":           userTarget(plain, "passwd web:x"),
		`the numbers in "web:x:a:b:::" are none`: userTarget(plain, "passwd web:x:a:b:::"),
		"unexpected query":                       {},
	} {
		_, err := plain.Check(context.Background(), target)
		assert.ErrorContains(t, err, want)
	}
	_, err := locked.Check(context.Background(), userTarget(locked, webEntry, webIn, homeIs, "password unreadable"))
	assert.ErrorContains(t, err, "become: true")
}

func TestUserArguments(t *testing.T) {
	for name, with := range map[string]func(*userWish){
		"name":     func(u *userWish) { u.Name = "-o" },
		"number":   func(u *userWish) { u.Name = "1000" },
		"uid":      func(u *userWish) { u.UID = numbered(-1) },
		"group":    func(u *userWish) { u.Group = "-g" },
		"groups":   func(u *userWish) { u.Groups = []string{"a b"} },
		"home":     func(u *userWish) { u.Home = "srv/web" },
		"shell":    func(u *userWish) { u.Shell = "/bin/sh\nroot::0:0" },
		"comment":  func(u *userWish) { c := "a:b"; u.Comment = &c },
		"password": func(u *userWish) { u.Password = "x\nroot:y" },
		"remove":   func(u *userWish) { u.Remove = true },
	} {
		assert.Error(t, newUser(with).Validate(), name)
	}
}
