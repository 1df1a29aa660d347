package crash

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// targets are hosts with a lock of their own each, though all of them are this
// machine: every one is an sshd that gives what it starts another RUNBOOK_RUNS.
type targets struct {
	t         testing.TB
	dir       string
	inventory string
}

// startTargets starts OpenSSH's server once for each host.
func startTargets(t testing.TB, hosts int) *targets {
	const sshd = "/usr/sbin/sshd"
	require.FileExists(t, sshd, "install openssh-server to run this test")
	s := &targets{t: t, dir: t.TempDir(), inventory: "[web]\n"}
	s.keygen("id")
	s.keygen("host")
	public, err := os.ReadFile(filepath.Join(s.dir, "host.pub"))
	require.NoError(t, err)
	if os.Getuid() == 0 {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) // privilege separation
	}
	me, err := user.Current()
	require.NoError(t, err)
	known := ""
	for _, name := range hostNames(hosts) {
		port := s.serve(sshd, name)
		s.inventory += fmt.Sprintf("%s ansible_host=127.0.0.1 ansible_port=%d\n", name, port)
		known += fmt.Sprintf("[127.0.0.1]:%d %s", port, public)
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "known"), []byte(known), 0o600))
	s.inventory += fmt.Sprintf("[web:vars]\nansible_user=%s\nansible_ssh_private_key_file=%s\nansible_ssh_common_args=-o UserKnownHostsFile=%s\n",
		me.Username, filepath.Join(s.dir, "id"), filepath.Join(s.dir, "known"))
	return s
}

func (s *targets) keygen(name string) {
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, name)).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}

// serve starts one server and returns its port.
func (s *targets) serve(sshd, name string) int {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(s.t, free.Close())
	runs := filepath.Join(s.dir, name+".runs")
	require.NoError(s.t, os.Mkdir(runs, 0o755))
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nSetEnv RUNBOOK_RUNS=%s\n"+
		"StrictModes no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n",
		port, filepath.Join(s.dir, "host"), filepath.Join(s.dir, "id.pub"), runs)
	file := filepath.Join(s.dir, name+".conf")
	require.NoError(s.t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(sshd, "-D", "-e", "-f", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its sessions have groups of their own, and end with their clients
		_ = cmd.Wait()
	})
	require.Eventually(s.t, func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	return port
}

// project is one that has the servers for its hosts and their logs where logs is.
func (s *targets) project(playbook, logs string) *project {
	p := newProject(s.t, playbook, 0)
	p.logs = logs
	p.write("hosts", s.inventory+"logs="+logs+"\n")
	return p
}
