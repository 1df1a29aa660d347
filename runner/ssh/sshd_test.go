package ssh

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"runbook/modules"
	"runbook/runner/shell"
)

const sshd = "/usr/sbin/sshd"

// startSSHD starts OpenSSH's server with the given lines in its configuration,
// and returns options that reach it.
func startSSHD(t testing.TB, lines ...string) Options {
	require.FileExists(t, sshd, "install openssh-server to run this test")
	dir := t.TempDir()
	key, public := newKeyFile(t, "id", "")
	hostFile, hostKey := newKeyFile(t, "host", "")
	authorized := filepath.Join(dir, "authorized")
	require.NoError(t, os.WriteFile(authorized, ssh.MarshalAuthorizedKey(public), 0o600))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\n"+
		"SetEnv RUNBOOK_RUNS=%s\nStrictModes no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n%s\n",
		port, hostFile, authorized, os.Getenv("RUNBOOK_RUNS"), strings.Join(lines, "\n"))
	file := filepath.Join(dir, "sshd_config")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	if os.Getuid() == 0 {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) // privilege separation
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("sshd: %s", text)
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	known := filepath.Join(dir, "known_hosts")
	text := fmt.Sprintf("[127.0.0.1]:%d %s", port, ssh.MarshalAuthorizedKey(hostKey))
	require.NoError(t, os.WriteFile(known, []byte(text), 0o600))
	return Options{
		Host: "node001", Addr: "127.0.0.1", Port: port, Keys: []string{key},
		KnownHosts: []string{known}, ConfigFile: noIdentities(t),
	}
}

func TestSSHD(t *testing.T) {
	for _, sessions := range []string{"MaxSessions 10", "MaxSessions 2", "MaxSessions 1"} {
		t.Run(sessions, func(t *testing.T) {
			h, err := reach(t, startSSHD(t, sessions))
			require.NoError(t, err)
			works(t, h)
			name := filepath.Join(t.TempDir(), "file")
			data := []byte(strings.Repeat("0123456789abcdef", 1<<17))
			require.NoError(t, h.Write(timed(t), modules.Write{Path: name, Data: data, Mode: 0o600}))
			f, err := h.ReadFile(timed(t), name)
			require.NoError(t, err)
			assert.True(t, string(data) == string(f.Data))
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					out, err := h.Query(timed(t), modules.Run{Shell: "cat; exit 7", Stdin: fmt.Sprint(i)})
					assert.NoError(t, err)
					assert.Equal(t, modules.Output{Stdout: fmt.Sprint(i), Code: 7}, out)
				})
			}
			all.Wait()
			if os.Getuid() == 0 {
				nobody, err := h.As(timed(t), shell.Become{User: "nobody", Method: "su"})
				require.NoError(t, err)
				out, err := nobody.Query(timed(t), modules.Command("id", "-un"))
				require.NoError(t, err)
				assert.Equal(t, "nobody\n", out.Stdout)
				works(t, h)
			}
		})
	}
}

// A command goes on when the connection is lost or its shell is killed, and a new
// connection has its result.
func TestSSHDCommandSurvives(t *testing.T) {
	o := startSSHD(t)
	for name, lose := range map[string]func(*Host, int){
		"connection": func(h *Host, _ int) { h.conn.end(errGone) },
		"shell":      func(_ *Host, shell int) { assert.NoError(t, syscall.Kill(shell, syscall.SIGKILL)) },
	} {
		t.Run(name, func(t *testing.T) {
			by := shell.Holder{Run: name, Session: "s1", Who: "tester@here"}
			h, err := reach(t, o)
			require.NoError(t, err)
			_, err = h.Lock(timed(t), by)
			require.NoError(t, err)
			out, err := h.Query(timed(t), modules.Run{Shell: `cut -d" " -f4 "/proc/$PPID/stat"`})
			require.NoError(t, err)
			control, err := strconv.Atoi(strings.TrimSpace(out.Stdout))
			require.NoError(t, err)
			pipe := filepath.Join(t.TempDir(), "pipe")
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))
			ended := make(chan error, 1)
			go func() {
				_, err := h.Do(timed(t), "survives-"+name, modules.Run{Shell: "echo begun >" + pipe + "; read x <" + pipe + "; echo survived"})
				ended <- err
			}()
			begun, err := os.ReadFile(pipe)
			require.NoError(t, err)
			require.Equal(t, "begun\n", string(begun))
			lose(h, control)
			if name == "connection" {
				unreachable(t, <-ended, stageCommand)
			}
			h, err = reach(t, o)
			require.NoError(t, err)
			by.Session = "s2"
			_, err = h.Lock(timed(t), by)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(pipe, []byte("go\n"), 0))
			fate, out, err := h.Collect(timed(t), "survives-"+name)
			require.NoError(t, err)
			assert.Equal(t, shell.Finished, fate)
			assert.Equal(t, modules.Output{Stdout: "survived\n"}, out)
			if name == "shell" {
				assert.NoError(t, <-ended, "who minds the command has told its end to the old connection too")
			}
			require.NoError(t, h.Forget(timed(t), []string{"survives-" + name}))
		})
	}
}

// Far more hosts than MaxStartups allows come through.
func TestSSHDDropsHandshakes(t *testing.T) {
	o := startSSHD(t, "MaxStartups 3:30:10")
	d := Dialer{backoff: 50 * time.Millisecond}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			h, err := d.Dial(timed(t), o)
			if assert.NoError(t, err) {
				assert.NoError(t, h.Close())
			}
		})
	}
	all.Wait()
}

func TestSSHDWithForcedCommand(t *testing.T) {
	h, err := reach(t, startSSHD(t, "ForceCommand exec sh -c \"$SSH_ORIGINAL_COMMAND\""))
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, h.Write(timed(t), modules.Write{Path: name, Data: make([]byte, 2<<20)}))
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.EqualValues(t, 2<<20, info.Size())
}

// BenchmarkSSHD compares the persistent shell with a session for each command.
func BenchmarkSSHD(b *testing.B) {
	h, err := new(Dialer).Dial(timed(b), startSSHD(b))
	require.NoError(b, err)
	defer h.Close()
	works(b, h)
	b.Run("persistent shell", func(b *testing.B) {
		for b.Loop() {
			_, err := h.Query(timed(b), modules.Command("true"))
			require.NoError(b, err)
		}
	})
	b.Run("a hundred at the same time", func(b *testing.B) {
		for b.Loop() {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					_, err := h.Query(timed(b), modules.Command("true"))
					assert.NoError(b, err)
				})
			}
			all.Wait()
		}
	})
	b.Run("a session for each", func(b *testing.B) {
		for b.Loop() {
			session, err := h.conn.client.NewSession()
			require.NoError(b, err)
			require.NoError(b, session.Run("true"))
			_ = session.Close()
		}
	})
}
