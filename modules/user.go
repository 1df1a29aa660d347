package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

func init() {
	register(Def{
		Name: "user",
		Doc:  "Make a user account exist or not, with its groups, home and password",
		New:  func() Module { return &userWish{State: "present", CreateHome: true, UpdatePassword: "always"} },
	})
}

// userWish looks with one query, in which the password on the host is compared
// there: neither hash is in an argument, and the host's never leaves it.
type userWish struct {
	Name           string   `arg:"name,required" alias:"user" doc:"The user's name."`
	State          string   `arg:"state" enum:"present absent" doc:"Whether the account exists."`
	UID            *int     `arg:"uid" doc:"Its number; the host chooses where not given."`
	Group          string   `arg:"group" doc:"The primary group, a name or a number, which must exist; the host chooses where not given."`
	Groups         []string `arg:"groups" doc:"The other groups of the user, which must exist; an empty list takes it out of all."`
	Append         bool     `arg:"append" doc:"Whether groups are added to those that the user is in, instead of taking their place."`
	Comment        *string  `arg:"comment" doc:"The comment, also known as GECOS; mostly the full name."`
	Home           string   `arg:"home" doc:"The home directory."`
	CreateHome     bool     `arg:"create_home" alias:"createhome" doc:"Whether a home directory that is missing is made."`
	MoveHome       bool     `arg:"move_home" doc:"Whether what is in the old home directory moves to a new one."`
	Shell          string   `arg:"shell" doc:"The login shell."`
	System         bool     `arg:"system" doc:"Whether a new account gets a number of the range for system accounts."`
	Password       string   `arg:"password,secret" doc:"The password, hashed already as crypt does it; never shown."`
	UpdatePassword string   `arg:"update_password" enum:"always on_create" doc:"Whether the password of an account that exists is changed too."`
	PasswordLock   *bool    `arg:"password_lock" doc:"Whether the password is locked, so that nobody can log in with it."`
	Remove         bool     `arg:"remove" doc:"With state absent, whether the home directory and the mail go too."`
	Force          bool     `arg:"force" doc:"With state absent, whether the account goes although the user is logged in."`
}

func (u *userWish) Validate() error {
	for _, g := range u.groups() {
		if strings.ContainsAny(g, ":,/ \t\r\n\x00") || strings.HasPrefix(g, "-") {
			return fmt.Errorf("groups: %q cannot be a group", g)
		}
	}
	switch {
	case u.UID != nil && *u.UID < 0:
		return fmt.Errorf("uid %d is negative; give a number from 0", *u.UID)
	case strings.ContainsAny(u.Group, ":,/ \t\r\n\x00") || strings.HasPrefix(u.Group, "-"):
		return fmt.Errorf("group: %q cannot be a group", u.Group)
	case u.Home != "" && (!path.IsAbs(u.Home) || strings.ContainsAny(u.Home, ":\n\x00")):
		return fmt.Errorf("home: %q is no absolute path that /etc/passwd can hold", u.Home)
	case strings.ContainsAny(u.Shell, ":\n\x00"):
		return fmt.Errorf("shell: %q cannot be a shell", u.Shell)
	case u.Comment != nil && strings.ContainsAny(*u.Comment, ":\n\x00"):
		return errors.New("comment: a colon or a line end would break /etc/passwd")
	case strings.ContainsAny(u.Password, ":\n\r\x00"):
		return errors.New("password: it has a colon or a line end; give the hash, such as password_hash makes it")
	case u.Remove && u.State != "absent", u.Force && u.State != "absent":
		return errors.New("remove and force need state absent")
	}
	return accountName("name", u.Name)
}

// groups are the wanted ones, without the empty word that "groups: ”" gives.
func (u *userWish) groups() []string {
	return slices.DeleteFunc(slices.Clone(u.Groups), func(g string) bool { return g == "" })
}

func (u *userWish) Check(ctx context.Context, t Target) (Change, error) {
	a, err := u.look(ctx, t)
	if err != nil {
		return Change{}, err
	}
	var change Change
	switch {
	case u.State == "absent":
		change = u.absent(a)
	case !a.exists:
		change, err = u.create(a)
	default:
		change, err = u.modify(a)
	}
	if err != nil {
		return Change{}, err
	}
	change.Vars = u.vars(a)
	if u.State == "present" && u.Append && u.Groups == nil {
		change.Notes = append(change.Notes, "append does nothing without groups")
	}
	return change, nil
}

func (u *userWish) absent(a *account) Change {
	if !a.exists {
		return Change{}
	}
	argv := []string{"userdel"}
	if u.Force {
		argv = append(argv, "-f")
	}
	change := Change{
		Diffs:   []Diff{{What: "user " + u.Name, Have: "present", Want: "absent"}},
		Effects: []Effect{{Thing: AUser, Name: u.Name, Gone: true}},
	}
	if u.Remove {
		argv = append(argv, "-r")
		change.Diffs[0].Want = "absent, with home and mail"
		if a.Home != "" && a.homeExists {
			change.Effects = append(change.Effects, Effect{Thing: APath, Name: a.Home, Gone: true})
		}
	}
	change.Steps = []Step{Command(append(argv, "--", u.Name)...)}
	return change
}

func (u *userWish) create(a *account) (Change, error) {
	argv, made := []string{"useradd"}, a.fresh(u)
	if u.System {
		argv = append(argv, "-r")
	}
	if u.UID != nil {
		argv = append(argv, "-u", strconv.Itoa(*u.UID))
	}
	switch {
	case u.Group != "":
		argv = append(argv, "-g", u.Group)
	case a.ownGroup:
		argv = append(argv, "-N") // useradd fails where it would have to make the group
	}
	if groups := u.groups(); len(groups) > 0 {
		argv = append(argv, "-G", strings.Join(groups, ","))
	}
	if u.Comment != nil {
		argv = append(argv, "-c", *u.Comment)
	}
	if u.Home != "" {
		argv = append(argv, "-d", u.Home)
	}
	if u.Shell != "" {
		argv = append(argv, "-s", u.Shell)
	}
	argv = append(argv, map[bool]string{true: "-m", false: "-M"}[u.CreateHome], "--", u.Name)
	change := Change{
		Diffs:   []Diff{{What: "user " + u.Name, Have: "absent", Want: u.sentence()}},
		Steps:   []Step{u.withPassword(Command(argv...))},
		Effects: []Effect{{Thing: AUser, Name: u.Name, State: made}},
	}
	if u.Group == "" && !a.ownGroup && a.userGroups {
		change.Effects = append(change.Effects, Effect{Thing: AGroup, Name: u.Name, State: Group{Name: u.Name, GID: -1}})
	}
	if u.CreateHome && !a.homeExists && made.Home != "" {
		change.Effects = append(change.Effects, homeEffect(made))
	}
	return change, nil
}

// sentence is what a new account would be, as far as it was said.
func (u *userWish) sentence() string {
	words := []string{"present"}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+value)
		}
	}
	if u.UID != nil {
		add("uid", strconv.Itoa(*u.UID))
	}
	add("group", u.Group)
	add("groups", strings.Join(u.groups(), ","))
	add("home", u.Home)
	add("shell", u.Shell)
	if u.Password != "" {
		words = append(words, "with a password")
	}
	return strings.Join(words, ", ")
}

// withPassword makes the account and its password one step: were they two, an
// account whose password was never set would pass for one that has another.
func (u *userWish) withPassword(add Run) Run {
	if u.Password == "" {
		return add
	}
	line := add.String() + " && " + setPassword
	return Run{Shell: line, Stdin: u.passwordLine()}
}

// setPassword reads NAME:HASH from its input, so no argument has the hash.
const setPassword = "chpasswd -e"

func (u *userWish) passwordLine() string {
	hash := u.Password
	if u.PasswordLock != nil && *u.PasswordLock {
		hash = "!" + strings.TrimLeft(hash, "!")
	}
	return u.Name + ":" + hash + "\n"
}

// vars are those of Ansible; what a plan cannot know yet is left out or unknown.
func (u *userWish) vars(a *account) map[string]any {
	vars := map[string]any{"name": u.Name, "state": u.State}
	if u.State == "absent" {
		vars["remove"], vars["force"] = u.Remove, u.Force
		return vars
	}
	vars["append"], vars["move_home"], vars["create_home"], vars["system"] = u.Append, u.MoveHome, u.CreateHome, u.System
	if u.Groups != nil {
		vars["groups"] = strings.Join(u.groups(), ",")
	}
	if u.Password != "" {
		vars["password"] = "NOT_LOGGING_PASSWORD"
	}
	if !a.exists {
		return vars
	}
	unknown := Unforeseen{Reason: "the account " + u.Name + ", which " + a.by + " changes"}
	vars["home"], vars["shell"], vars["uid"], vars["group"] = a.Home, a.Shell, a.UID, a.GID
	for name, known := range map[string]bool{"home": a.Home != "", "shell": a.by == "" || a.Shell != "", "uid": a.UID >= 0, "group": a.GID >= 0} {
		if !known {
			vars[name] = unknown
		}
	}
	vars["comment"] = a.comment
	if a.by != "" {
		vars["comment"] = unknown
	}
	return vars
}
