package shell

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// fakeSudo answers as sudo 1.9.13 does, without being it. FAKE says what the
// rules for the user are.
const fakeSudo = `#!/bin/sh
while [ "$1" != -- ]; do
	case $1 in
	-n) never=yes ;;
	-S) ;;
	-p) prompt=$2; shift ;;
	-u) user=$2; shift ;;
	esac
	shift
done
shift
id "$user" >/dev/null 2>&1 || { echo "sudo: unknown user $user" >&2; echo "sudo: error initializing audit plugin sudoers_audit" >&2; exit 1; }
case $FAKE in
tty) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1 ;;
free) exec "$@" ;;
esac
[ -z "$never" ] || { echo "sudo: a password is required" >&2; exit 1; }
tries=0
while printf %s "$prompt" >&2; do
	read -r answer || { echo >&2; echo "sudo: no password was provided" >&2; break; }
	if [ "$answer" = "right one" ]; then
		[ "$FAKE" != stranger ] || { echo "tester is not in the sudoers file." >&2; exit 1; }
		exec "$@"
	fi
	tries=$((tries + 1))
	[ $tries -lt 3 ] || break
	echo "Sorry, try again." >&2
done
echo "sudo: $tries incorrect password attempts" >&2
exit 1
`

// sudoers is how one sudo is set up for a case.
type sudoers func(t *testing.T, rule string) Opener

func withFakeSudo(t *testing.T, rule string) Opener {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sudo"), []byte(fakeSudo), 0o755))
	return opener(func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "FAKE="+rule, "PATH="+dir+":"+os.Getenv("PATH"))
	})
}

// withRealSudo makes a user and a file in /etc/sudoers.d, and logs in as the user.
func withRealSudo(t *testing.T, rule string) Opener {
	name := fmt.Sprintf("runbooktest%d", os.Getpid())
	run := func(stdin string, words ...string) {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	run("", "useradd", "--no-create-home", "--shell", "/bin/sh", name)
	t.Cleanup(func() { run("", "userdel", name) })
	run(name+":right one", "chpasswd")
	text := map[string]string{
		"free":     name + " ALL=(ALL) NOPASSWD: ALL\n",
		"password": name + " ALL=(ALL) ALL\n",
		"tty":      "Defaults:" + name + " requiretty\n" + name + " ALL=(ALL) NOPASSWD: ALL\n",
		"stranger": "",
	}[rule]
	file := "/etc/sudoers.d/" + name
	require.NoError(t, os.WriteFile(file, []byte(text), 0o440))
	t.Cleanup(func() { require.NoError(t, os.Remove(file)) })
	who, err := user.Lookup(name)
	require.NoError(t, err)
	uid, err := strconv.Atoi(who.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(who.Gid)
	require.NoError(t, err)
	return opener(func(cmd *exec.Cmd) {
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	})
}

// sudos are the fake one, and the real one where a user can be made to try it.
func sudos() map[string]sudoers {
	found := map[string]sudoers{"fake": withFakeSudo}
	if _, err := exec.LookPath("sudo"); err == nil && os.Getuid() == 0 {
		found["real"] = withRealSudo
	}
	return found
}

func TestBecome(t *testing.T) {
	password := func(text string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, nil }
	}
	tests := map[string]struct {
		rule string
		as   Become
		want string // the error; none where empty
	}{
		"without a password":            {"free", Become{User: "root"}, ""},
		"password that nobody asks for": {"free", Become{User: "root", Password: password("right one")}, ""},
		"right password":                {"password", Become{User: "root", Password: password("right one")}, ""},
		"wrong password":                {"password", Become{User: "root", Password: password("canary")}, "wrong password"},
		"no password":                   {"password", Become{User: "root"}, "give ansible_become_password"},
		"not in sudoers":                {"stranger", Become{User: "root", Password: password("right one")}, "may not use sudo on this host"},
		"requiretty":                    {"tty", Become{User: "root"}, "remove requiretty"},
		"no such user":                  {"free", Become{User: "no-such-user"}, "no such user"},
	}
	for kind, setUp := range sudos() {
		for name, test := range tests {
			t.Run(kind+"/"+name, func(t *testing.T) {
				s, err := New(timed(t), setUp(t, test.rule), test.as)
				if test.want != "" {
					require.ErrorContains(t, err, test.want)
					assert.NotContains(t, err.Error(), "canary")
					return
				}
				require.NoError(t, err)
				out, err := s.Query(timed(t), modules.Run{Shell: "id -u; env; ps -ef 2>/dev/null || true"})
				require.NoError(t, err)
				assert.True(t, strings.HasPrefix(out.Stdout, "0\n"), "%.100q", out.Stdout)
				assert.NotContains(t, out.Stdout, "right one")
				require.NoError(t, s.Close())
			})
		}
	}
}

func TestBecomeRefuses(t *testing.T) {
	secret := func(context.Context) (string, error) { return "", nil }
	tests := map[string]struct {
		as   Become
		want string
	}{
		"unknown method":    {Become{User: "root", Method: "doas"}, `become_method "doas" is not known`},
		"user with a quote": {Become{User: "root'; id"}, `become_user "root'; id"`},
		"user as an option": {Become{User: "-s"}, `become_user "-s"`},
		"su with password":  {Become{User: "root", Method: "su", Password: secret}, "use sudo"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(timed(t), opener(func(*exec.Cmd) {}), test.as)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestSudoIsMissing(t *testing.T) {
	dir := t.TempDir()
	env, err := exec.LookPath("env")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(env, filepath.Join(dir, "env")))
	_, err = New(timed(t), opener(func(cmd *exec.Cmd) { cmd.Env = []string{"PATH=" + dir} }), Become{User: "root"})
	assert.ErrorContains(t, err, "sudo is not installed")
}

func TestLoginThatIsNoShell(t *testing.T) {
	tests := map[string]struct{ login, want string }{
		"nologin":         {"echo 'This account is currently not available.' >&2; exit 1", "currently not available"},
		"endless noise":   {"yes", "printed 65536 bytes and no shell started"},
		"not a shell":     {"cat", "did not start within"},
		"broken printf":   {`sh -c 'echo; echo "$0"; printf() { :; }; exec sh -c "head() { :; }; . /dev/stdin"' MARK`, "head -c does not work"},
		"noise, then one": {`printf 'Welcome!\nno newline'; sh -c "$LINE"`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*time.Second,
				fmt.Errorf("the shell did not start within 3s"))
			defer cancel()
			open := opener(func(cmd *exec.Cmd) {
				line := cmd.Args[2]
				_, mark, _ := strings.Cut(line, "echo; echo ")
				mark, _, _ = strings.Cut(mark, ";")
				cmd.Args[2] = strings.ReplaceAll(test.login, "MARK", mark)
				cmd.Env = append(os.Environ(), "LINE="+line)
			})
			s, err := New(ctx, open, Become{})
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}
