package modules

import (
	"slices"
	"strconv"
	"strings"
)

// makeHome makes a home directory as useradd does: from the skeleton, with the
// mode that the host gives to homes.
const makeHome = `set -e
mkdir -p -- "$home"
[ ! -d /etc/skel ] || cp -R /etc/skel/. "$home/"
mode=$(sed -n 's/^HOME_MODE[[:space:]]*//p' /etc/login.defs 2>/dev/null)
umask=$(sed -n 's/^UMASK[[:space:]]*//p' /etc/login.defs 2>/dev/null)
[ -n "$mode" ] || mode=$(printf %o $((0777 & ~0${umask:-22})))
chmod "$mode" "$home"
chown -R "$(id -u -- "$name"):$(id -g -- "$name")" "$home"`

// editing gathers what has to change of an account that exists.
type editing struct {
	wish   *userWish
	now    *account
	made   User // what the account becomes
	argv   []string
	change Change
	hangs  []string // on what nobody can foresee
}

func (u *userWish) modify(a *account) (Change, error) {
	e := &editing{wish: u, now: a, made: a.User, argv: []string{"usermod"}}
	e.numbers()
	e.memberships()
	e.texts()
	password := e.passwords()
	if len(e.hangs) > 0 {
		return Change{}, Unforeseen{Reason: strings.Join(e.hangs, " and ") + " of user " + u.Name + ", which " + a.by + " changes"}
	}
	if len(e.argv) > 1 {
		e.change.Steps = append(e.change.Steps, Command(append(e.argv, "--", u.Name)...))
	}
	if password {
		e.change.Steps = append(e.change.Steps, Run{Argv: strings.Fields(setPassword), Stdin: u.passwordLine()})
	}
	moves := u.MoveHome && slices.Contains(e.argv, "-m")
	if u.CreateHome && !a.homeExists && e.made.Home != "" && !moves {
		e.home()
	}
	if len(e.change.Steps) > 0 {
		e.change.Effects = append(e.change.Effects, Effect{Thing: AUser, Name: u.Name, State: e.made})
	}
	return e.change, nil
}

// differs notes one difference, and the option of usermod that ends it.
func (e *editing) differs(what, have, want string, option ...string) {
	e.change.Diffs = append(e.change.Diffs, Diff{What: what + " of user " + e.wish.Name, Have: have, Want: want})
	e.argv = append(e.argv, option...)
}

func (e *editing) numbers() {
	if want := e.wish.UID; want != nil && *want != e.now.UID {
		if e.now.UID < 0 {
			e.hangs = append(e.hangs, "the number")
		}
		e.differs("uid", strconv.Itoa(e.now.UID), strconv.Itoa(*want), "-u", strconv.Itoa(*want))
		e.made.UID = *want
	}
	if e.wish.Group == "" {
		return
	}
	// A group that the plan makes is not the one of an account that is there.
	want := e.now.known[e.wish.Group]
	switch {
	case e.now.GID < 0:
		e.hangs = append(e.hangs, "the primary group")
	case want.GID != e.now.GID:
		have := e.now.primary
		if have == "" {
			have = strconv.Itoa(e.now.GID)
		}
		e.differs("group", have, e.wish.Group, "-g", e.wish.Group)
		e.now.primary, e.made.GID = want.Name, want.GID
	}
}

// memberships compares the other groups; the primary one counts as neither had
// nor wanted.
func (e *editing) memberships() {
	if e.wish.Groups == nil {
		return
	}
	var want []string
	for _, g := range e.wish.groups() {
		if name := e.now.known[g].Name; name != e.now.primary {
			want = append(want, name)
		}
	}
	have := slices.DeleteFunc(slices.Clone(e.now.Groups), func(g string) bool { return g == e.now.primary })
	slices.Sort(want)
	slices.Sort(have)
	want, have = slices.Compact(want), slices.Compact(have)
	words := strings.Join(e.wish.groups(), ",")
	if e.wish.Append {
		want = slices.Compact(slices.Sorted(slices.Values(slices.Concat(want, have))))
	}
	if slices.Equal(have, want) {
		return
	}
	option := []string{"-G", words}
	if e.wish.Append {
		option = []string{"-a", "-G", words}
	}
	e.differs("groups", strings.Join(have, ","), strings.Join(want, ","), option...)
	e.made.Groups = want
}

func (e *editing) texts() {
	if e.wish.Comment != nil {
		switch {
		case e.now.by != "":
			e.hangs = append(e.hangs, "the comment")
		case *e.wish.Comment != e.now.comment:
			e.differs("comment", e.now.comment, *e.wish.Comment, "-c", *e.wish.Comment)
		}
	}
	if want := e.wish.Home; want != "" && want != e.now.Home {
		option := []string{"-d", want}
		if e.wish.MoveHome {
			option = append(option, "-m")
		}
		if e.now.Home == "" && e.now.by != "" {
			e.hangs = append(e.hangs, "the home directory")
		}
		e.differs("home", e.now.Home, want, option...)
		e.made.Home = want
	}
	if want := e.wish.Shell; want != "" && want != e.now.Shell {
		if e.now.Shell == "" && e.now.by != "" {
			e.hangs = append(e.hangs, "the shell")
		}
		e.differs("shell", e.now.Shell, want, "-s", want)
		e.made.Shell = want
	}
}

// passwords says whether the password has to be set, which also locks or
// unlocks it; where only the lock differs, usermod does that.
func (e *editing) passwords() (set bool) {
	asked := e.wish.Password != "" && e.wish.UpdatePassword == "always"
	if e.now.by != "" && (asked || e.wish.PasswordLock != nil) {
		e.hangs = append(e.hangs, "the password")
		return false
	}
	none := e.now.password == "none"
	same := e.now.password == "same" || none && strings.Trim(e.wish.Password, "!") == ""
	if asked && !same {
		e.differs("password", "(hidden)", "(hidden, differs)")
		return true
	}
	switch lock := e.wish.PasswordLock; {
	case lock == nil, *lock == e.now.locked:
	case *lock:
		e.differs("password", "not locked", "locked", "-L")
	case none:
		e.change.Notes = append(e.change.Notes, "user "+e.wish.Name+" has no password that could be unlocked")
	default:
		e.differs("password", "locked", "not locked", "-U")
	}
	return false
}

func (e *editing) home() {
	e.change.Diffs = append(e.change.Diffs, Diff{What: e.made.Home, Have: "absent", Want: "home directory of user " + e.wish.Name})
	e.change.Steps = append(e.change.Steps, Run{
		Shell: "name=" + Quote(e.wish.Name) + " home=" + Quote(e.made.Home) + "\n" + makeHome,
		Show:  "mkdir -p " + Quote(e.made.Home) + " # from /etc/skel, owned by " + e.wish.Name,
	})
	e.change.Effects = append(e.change.Effects, homeEffect(e.made))
}
