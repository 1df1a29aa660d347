package modules

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// account is a user as the look found it, or as earlier tasks of a plan would
// have made it.
type account struct {
	User
	exists  bool
	by      string // the task of the plan that makes it so; empty: it is there
	comment string // not known where by is set

	primary    string           // the primary group's name
	known      map[string]Group // the wanted groups that exist, by name and by number in text
	ownGroup   bool             // a group of the user's name exists
	homeExists bool             // the directory that is wanted, or else that of the account
	password   string           // without its lock: same, other, none (empty) or unreadable; empty: not asked
	locked     bool

	defaultHome, defaultShell string // of new users: the directory above homes
	userGroups                bool   // useradd makes a group for each new user
}

// userScript prints what is to be known of a user, a line each. Its input is
// the wanted hash, if any. The shell's own words compare, so that no hash is in
// an argument of a program.
const userScript = `command -v getent >/dev/null || { echo 'the host has no getent' >&2; exit 127; }
IFS= read -r want || :
entry=$(getent passwd "$name") && echo "passwd $entry"
echo "groups $(id -Gn -- "$name" 2>/dev/null)"
for g in "$name" $groups; do line=$(getent group "$g") && echo "group $line"; done
if [ -z "$entry" ]; then
	base=$(useradd -D 2>/dev/null | sed -n 's/^HOME=//p')
	[ -z "$base" ] || echo "base $base"
	[ -n "$home" ] || home=${base:+${base%/}/$name}
	useradd -D 2>/dev/null | sed -n 's/^SHELL=/shell /p'
	sed -n 's/^USERGROUPS_ENAB[[:space:]]*/usergroups /p' /etc/login.defs 2>/dev/null
elif [ "$shadow" = no ]; then :
elif line=$(getent shadow "$name"); then
	have=${line#*:}; have=${have%%:*}
	case $have in '!'*) echo locked ;; esac
	while [ "$have" != "${have#!}" ]; do have=${have#!}; done
	if [ -z "$have" ]; then echo password none
	elif [ "$have" = "$want" ]; then echo password same
	else echo password other; fi
else echo password unreadable; fi
[ -n "$home" ] || { home=${entry%:*}; home=${home##*:}; }
[ -z "$home" ] || [ ! -e "$home" ] || echo "home $home"
echo end
`

func (u *userWish) look(ctx context.Context, t Target) (*account, error) {
	a := &account{known: map[string]Group{}}
	a.UID, a.GID = -1, -1
	wanted := u.wantedGroups()
	out, err := t.Query(ctx, u.question())
	if err != nil {
		return nil, err
	}
	if err := a.read(out); err != nil {
		return nil, fmt.Errorf("look at user %s: %w", u.Name, err)
	}
	if err := a.foresee(t, u, wanted); err != nil {
		return nil, err
	}
	if a.password == "unreadable" {
		return nil, fmt.Errorf("the password of user %s cannot be compared: only root may read it; say become: true", u.Name)
	}
	if u.State == "absent" {
		return a, nil
	}
	for _, g := range wanted {
		if _, ok := a.known[g]; !ok {
			return nil, fmt.Errorf("group %q does not exist; make it before (module group)", g)
		}
	}
	return a, nil
}

func (u *userWish) question() Run {
	shadow := "no"
	if u.Password != "" || u.PasswordLock != nil {
		shadow = "yes"
	}
	set := fmt.Sprintf("name=%s home=%s shadow=%s groups=%s\n",
		Quote(u.Name), Quote(u.Home), shadow, Quote(strings.Join(u.wantedGroups(), " ")))
	return Run{Shell: set + userScript, Stdin: strings.TrimLeft(u.Password, "!") + "\n"}
}

// wantedGroups are the groups that must exist.
func (u *userWish) wantedGroups() []string {
	wanted := u.groups()
	if u.Group != "" {
		wanted = append(wanted, u.Group)
	}
	return wanted
}

func (a *account) read(out Output) error {
	whole := false
	for line := range strings.Lines(out.Stdout) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch word {
		case "passwd":
			if err := a.passwd(rest); err != nil {
				return err
			}
		case "groups":
			if names := strings.Fields(rest); len(names) > 0 {
				a.primary, a.Groups = names[0], names[1:]
			}
		case "group":
			g, err := parseGroup(rest)
			if err != nil {
				return err
			}
			a.known[g.Name], a.known[strconv.Itoa(g.GID)] = g.Group, g.Group
		case "base":
			a.defaultHome = rest
		case "shell":
			a.defaultShell = rest
		case "usergroups":
			a.userGroups = strings.EqualFold(rest, "yes")
		case "home":
			a.homeExists = true
		case "locked":
			a.locked = true
		case "password":
			a.password = rest
		case "end":
			whole = true
		}
	}
	if !whole {
		return fmt.Errorf("exit code %d: %s", out.Code, strings.TrimSpace(out.Stderr))
	}
	return nil
}

// passwd reads a line of /etc/passwd.
func (a *account) passwd(line string) error {
	fields := strings.Split(line, ":")
	if len(fields) != 7 {
		return fmt.Errorf("wanted a line of /etc/passwd, found %q", line)
	}
	uid, err1 := strconv.Atoi(fields[2])
	gid, err2 := strconv.Atoi(fields[3])
	if err1 != nil || err2 != nil {
		return fmt.Errorf("the numbers in %q are none", line)
	}
	a.exists = true
	a.Name, a.UID, a.GID, a.comment, a.Home, a.Shell = fields[0], uid, gid, fields[4], fields[5], fields[6]
	return nil
}

// foresee lays what earlier tasks of a plan would have made over what is there.
func (a *account) foresee(t Target, u *userWish, wanted []string) error {
	for _, g := range append(slices.Clone(wanted), u.Name) {
		e, ahead, err := foreseen(t, AGroup, g)
		if err != nil {
			return err
		}
		if ahead {
			delete(a.known, g)
			if entry := predictedGroup(e); entry != nil {
				a.known[g] = entry.Group
			}
		}
	}
	_, a.ownGroup = a.known[u.Name]
	e, ahead, err := foreseen(t, AUser, u.Name)
	if err != nil {
		return err
	}
	if ahead {
		a.exists, a.by = !e.Gone, byTask(e.By)
		a.User = User{Name: u.Name, UID: -1, GID: -1}
		if state, known := e.State.(User); known {
			a.User = state
		}
		a.primary, a.homeExists = "", false
	}
	home := a.Home
	if !a.exists || u.Home != "" {
		home = a.fresh(u).Home
	}
	if home == "" {
		return nil
	}
	e, ahead, err = foreseen(t, APath, home)
	if ahead {
		a.homeExists = !e.Gone
	}
	return err
}

// fresh is the account that useradd would make.
func (a *account) fresh(u *userWish) User {
	made := User{Name: u.Name, UID: -1, GID: -1, Home: u.Home, Shell: u.Shell, Groups: u.groups()}
	if u.UID != nil {
		made.UID = *u.UID
	}
	if g, ok := a.known[u.Group]; ok {
		made.GID = g.GID
	}
	if made.Home == "" && a.defaultHome != "" {
		made.Home = strings.TrimSuffix(a.defaultHome, "/") + "/" + u.Name
	}
	if made.Shell == "" {
		made.Shell = a.defaultShell
	}
	return made
}

// homeEffect is a home directory that was made from the skeleton, whose mode is
// the host's to choose.
func homeEffect(of User) Effect {
	return Effect{Thing: APath, Name: of.Home, State: File{
		Exists: true, Size: -1, Mode: fs.ModeDir, Owner: of.Name, UID: of.UID, GID: of.GID,
	}}
}
