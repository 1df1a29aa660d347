package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// TestMain keeps the tests away from what this machine keeps of real commands.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runbook-ssh-test")
	if err == nil {
		err = os.Chmod(dir, 0o1777)
	}
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("RUNBOOK_RUNS", dir) // fails for a bad name only
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// server is an sshd on the loopback with a real /bin/sh behind it, and with the
// faults that a test gives it.
type server struct {
	hostKeys    []ssh.Signer
	password    string
	interactive bool            // asks for the password as a question
	keys        []ssh.PublicKey // that may log in
	authority   ssh.PublicKey   // whose certificates may log in
	maxSessions int             // at the same time; any number where zero
	noForward   bool
	mute        atomic.Bool // answers no more requests
	silent      bool        // accepts, and never speaks
	dropFirst   int32       // connections to drop before a word

	addr      string
	loginKey  string // file of the key that the test logs in with
	listener  net.Listener
	accepted  atomic.Int32
	attempts  atomic.Int32 // to log in
	passwords atomic.Int32 // that were sent
	sessions  atomic.Int32 // open now
	mu        sync.Mutex
	conns     []net.Conn
	all       sync.WaitGroup
}

func newSigner(t testing.TB) ssh.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	return signer
}

// newKeyFile writes a new private key to a file.
func newKeyFile(t testing.TB, name, passphrase string) (file string, public ssh.PublicKey) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, name)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, name, []byte(passphrase))
	}
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file, signer.PublicKey()
}

// serve starts the server. It stops with the test.
func (s *server) serve(t testing.TB) *server {
	if s.hostKeys == nil {
		s.hostKeys = []ssh.Signer{newSigner(t)}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.listener, s.addr = listener, listener.Addr().String()
	s.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.all.Go(func() { s.handle(conn) })
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	_ = s.listener.Close()
	s.cut()
	s.all.Wait()
}

// cut drops every connection.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
}

func (s *server) handle(conn net.Conn) {
	defer conn.Close()
	n := s.accepted.Add(1)
	if s.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if n <= s.dropFirst {
		return
	}
	server, channels, requests, err := ssh.NewServerConn(conn, s.config())
	if err != nil {
		return
	}
	defer server.Close()
	s.all.Go(func() {
		for r := range requests {
			if !s.mute.Load() {
				_ = r.Reply(false, nil)
			}
		}
	})
	for c := range channels {
		switch {
		case c.ChannelType() == "direct-tcpip":
			s.all.Go(func() { s.forward(c) })
		case s.maxSessions > 0 && int(s.sessions.Load()) >= s.maxSessions:
			_ = c.Reject(ssh.ConnectionFailed, "open failed")
		default:
			s.sessions.Add(1)
			s.all.Go(func() { s.session(c) })
		}
	}
}

func (s *server) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{MaxAuthTries: 6}
	checker := &ssh.CertChecker{
		IsUserAuthority: func(k ssh.PublicKey) bool { return s.authority != nil && equal(k, s.authority) },
		UserKeyFallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			for _, known := range s.keys {
				if equal(k, known) {
					return nil, nil
				}
			}
			return nil, errors.New("not this key")
		},
	}
	c.PublicKeyCallback = checker.Authenticate
	c.AuthLogCallback = func(_ ssh.ConnMetadata, method string, _ error) {
		if method != "none" {
			s.attempts.Add(1)
		}
	}
	if s.interactive {
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			s.passwords.Add(1)
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || len(answers) != 1 || answers[0] != s.password {
				return nil, errors.New("not this password")
			}
			return nil, nil
		}
	} else if s.password != "" {
		c.PasswordCallback = func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			s.passwords.Add(1)
			if string(given) != s.password {
				return nil, errors.New("not this password")
			}
			return nil, nil
		}
	}
	for _, k := range s.hostKeys {
		c.AddHostKey(k)
	}
	return c
}

func equal(a, b ssh.PublicKey) bool { return string(a.Marshal()) == string(b.Marshal()) }

func (s *server) forward(c ssh.NewChannel) {
	if s.noForward {
		_ = c.Reject(ssh.Prohibited, "administratively prohibited")
		return
	}
	var to struct {
		Addr       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(c.ExtraData(), &to); err != nil {
		_ = c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	out, err := net.Dial("tcp", net.JoinHostPort(to.Addr, strconv.Itoa(int(to.Port))))
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := c.Accept()
	if err != nil {
		_ = out.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	s.all.Go(func() { _, _ = io.Copy(out, channel); _ = out.Close() })
	_, _ = io.Copy(channel, out)
	_ = channel.Close()
}

func (s *server) session(c ssh.NewChannel) {
	channel, requests, err := c.Accept()
	if err != nil {
		s.sessions.Add(-1)
		return
	}
	for r := range requests {
		var text struct{ Text string }
		_ = ssh.Unmarshal(r.Payload, &text)
		_ = r.Reply(r.Type == "exec" || r.Type == "subsystem", nil)
		switch r.Type {
		case "exec":
			s.all.Go(func() { s.exec(channel, text.Text) })
		case "subsystem":
			s.all.Go(func() { s.sftp(channel) })
		}
	}
}

// exec runs a line as sshd does: without a terminal, and without ending it when
// the connection is lost.
func (s *server) exec(channel ssh.Channel, line string) {
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, _ := cmd.StdinPipe()
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	code := 255
	if err := cmd.Start(); err == nil {
		s.all.Go(func() { _, _ = io.Copy(stdin, channel); _ = stdin.Close() })
		_ = cmd.Wait()
		code = cmd.ProcessState.ExitCode()
	}
	s.sessions.Add(-1)
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
	_ = channel.Close()
}

func (s *server) sftp(channel ssh.Channel) {
	if server, err := sftp.NewServer(channel); err == nil {
		_ = server.Serve()
	}
	s.sessions.Add(-1)
	_ = channel.Close()
}

// port is where the server listens.
func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// knownAs writes a known_hosts file with the keys under the name.
func knownAs(t testing.TB, addr string, keys ...ssh.Signer) string {
	file := filepath.Join(t.TempDir(), "known_hosts")
	var text string
	for _, k := range keys {
		text += knownhosts.Line([]string{knownhosts.Normalize(addr)}, k.PublicKey()) + "\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// options are those that reach the server with this key.
func (s *server) options(t testing.TB, keys ...string) Options {
	return Options{
		Host: "node001", Addr: "127.0.0.1", Port: s.port(), User: "root", Keys: keys,
		KnownHosts: []string{knownAs(t, s.addr, s.hostKeys...)}, ConfigFile: noIdentities(t),
	}
}

// noIdentities is an ssh_config without keys and agent of the user.
func noIdentities(t testing.TB, more ...string) string {
	file := filepath.Join(t.TempDir(), "config")
	text := "IdentityAgent none\nIdentityFile none\nGlobalKnownHostsFile none\n"
	for _, line := range more {
		text = fmt.Sprintf("%s\n%s", line, text)
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
