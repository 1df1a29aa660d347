package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"runbook/modules"
)

// Become says as whom a shell runs. The zero Become is the user who logged in.
type Become struct {
	User   string   // root where empty and Method is set
	Method string   // sudo (also where empty and User is set) or su
	Flags  []string // of the method, instead of -H for sudo
	// Password is asked for when sudo asks; nil if there is none. It goes to
	// sudo's standard input and nowhere else.
	Password func(ctx context.Context) (string, error)
}

// Key is the identity of the shell, for maps.
func (b Become) Key() string {
	b = b.filled()
	return strings.Join(append([]string{b.Method, b.User}, b.Flags...), "\x00")
}

func (b Become) filled() Become {
	if b.User == "" && b.Method != "" {
		b.User = "root"
	}
	if b.Method == "" && b.User != "" {
		b.Method = "sudo"
	}
	return b
}

// Validate says whether a shell could be asked for in this way.
func (b Become) Validate() error {
	_, err := b.line("")
	return err
}

var userName = regexp.MustCompile(`^[A-Za-z0-9_#][A-Za-z0-9_.@\\#$-]*$`)

// line is the command line that starts the shell and has it print the mark.
// Nothing in it may be special in csh or fish between single quotes.
func (b Become) line(mark string) (string, error) {
	b = b.filled()
	// In a session of its own the shell, and the commands that go on without it,
	// are out of reach of what sudo or a terminal sends to a whole process group.
	greeting := "'echo; echo " + mark + "; command -v setsid >/dev/null || exec /bin/sh; " +
		"exec 3<&0; setsid /bin/sh <&3 3<&- & exec </dev/null 3<&-; wait $!'"
	if b.User != "" && !userName.MatchString(b.User) {
		return "", fmt.Errorf("become_user %q is not the name of a user", b.User)
	}
	flags := make([]string, len(b.Flags))
	for i, flag := range b.Flags {
		flags[i] = modules.Quote(flag)
	}
	switch b.Method {
	case "":
		return "exec env ENV= BASH_ENV= /bin/sh -c " + greeting, nil
	case "sudo":
		if len(flags) == 0 {
			flags = []string{"-H"}
		}
		if b.Password == nil {
			flags = append(flags, "-n")
		} else { // with -n sudo would not ask
			flags = slices.DeleteFunc(flags, func(f string) bool { return f == "-n" })
			flags = append(flags, "-S", "-p", promptOf(mark))
		}
		// Untranslated messages, so that they can be told apart.
		return "exec env LANGUAGE=C sudo " + strings.Join(flags, " ") + " -u " + modules.Quote(b.User) +
			" -- /bin/sh -c " + greeting, nil
	case "su":
		if b.Password != nil {
			return "", errors.New("become_method su reads its password from a terminal only: use sudo")
		}
		words := append([]string{"exec su"}, flags...)
		return strings.Join(append(words, "-s /bin/sh -c", greeting, modules.Quote(b.User)), " "), nil
	}
	return "", fmt.Errorf("become_method %q is not known: sudo and su are", b.Method)
}

// promptOf is what sudo prints when it wants the password.
func promptOf(mark string) string { return "password-" + mark }

// greet waits for the shell's first words, answers a password prompt and gives
// the shell its functions.
func (s *Shell) greet(ctx context.Context, stdout *bufio.Reader, as Become, mark string) error {
	as = as.filled()
	started := make(chan error, 1)
	go func() { started <- await(stdout, mark) }()
	for asked := false; ; {
		select {
		case err := <-started:
			if err == nil {
				return s.equip(ctx, stdout)
			}
			return s.refusal(ctx, as, err)
		case <-s.said.asked:
			if asked {
				return fmt.Errorf("become: wrong password for sudo to %s", as.User)
			}
			asked = true
			password, err := as.Password(ctx)
			if err != nil {
				return fmt.Errorf("become: password for sudo to %s: %w", as.User, err)
			}
			if strings.ContainsAny(password, "\n\x00") {
				return errors.New("become: the password holds a line break")
			}
			if _, err := io.WriteString(s.streams.Stdin, password+"\n"); err != nil {
				return s.refusal(ctx, as, err)
			}
		}
	}
}

// equip gives the shell its functions and waits until it has them.
func (s *Shell) equip(ctx context.Context, stdout *bufio.Reader) error {
	mark := newMark()
	if _, err := io.WriteString(s.streams.Stdin, prelude+supervise+locking+"printf '\\n%s\\n' "+mark+"\n"); err != nil {
		return s.refusal(ctx, Become{}, err)
	}
	if err := await(stdout, mark); err != nil {
		return s.refusal(ctx, Become{}, err)
	}
	return nil
}

// refusals are what sudo says in its own language, and what that means.
var refusals = []struct{ says, means string }{
	{"is not in the sudoers file", "the login user may not use sudo on this host"},
	{"is not allowed to", "sudo does not let the login user do this"},
	{"may not run sudo", "the login user may not use sudo on this host"},
	{"a password is required", "sudo wants a password: give ansible_become_password"},
	{"no password was provided", "sudo wants a password and got an empty one"},
	{"must have a tty", "sudo wants a terminal: remove requiretty for the login user from sudoers"},
	{"incorrect password attempt", "wrong password"},
	{"Sorry, try again", "wrong password"},
	{"unknown user", "there is no such user on this host"},
	{"does not exist", "there is no such user on this host"},
	{"sudo: not found", "sudo is not installed on this host"},
	{"sudo: command not found", "sudo is not installed on this host"},
	{"'sudo': No such file", "sudo is not installed on this host"},
	{"‘sudo’: No such file", "sudo is not installed on this host"},
	{"can't execute 'sudo'", "sudo is not installed on this host"},
}

// refusal explains why no shell came up.
func (s *Shell) refusal(ctx context.Context, as Become, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start of a shell: %w", context.Cause(ctx))
	}
	said := s.said.all()
	if as.Method != "" {
		for _, r := range refusals {
			if strings.Contains(said, r.says) {
				return fmt.Errorf("become %s by %s: %s (it said: %s)", as.User, as.Method, r.means, said)
			}
		}
		err = fmt.Errorf("become %s by %s: no shell started: %w", as.User, as.Method, err)
	} else {
		err = fmt.Errorf("no usable /bin/sh started: %w", err)
	}
	if said == "" {
		return err
	}
	return fmt.Errorf("%w (it said: %s)", err, said)
}
