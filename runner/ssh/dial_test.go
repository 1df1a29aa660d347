package ssh

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"runbook/modules"
)

// timed is a context that fails a test which hangs.
func timed(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reach dials with a Dialer of its own, and closes with the test.
func reach(t testing.TB, o Options) (*Host, error) {
	d := Dialer{backoff: time.Millisecond}
	h, err := d.Dial(timed(t), o)
	if err == nil {
		t.Cleanup(func() { assert.NoError(t, h.Close()) })
	}
	return h, err
}

// works runs a command on the host.
func works(t testing.TB, h *Host) {
	out, err := h.Query(timed(t), modules.Command("echo", "it works"))
	require.NoError(t, err)
	require.Equal(t, "it works\n", out.Stdout)
}

func unreachable(t testing.TB, err error, stage string, words ...string) {
	var u *Unreachable
	require.ErrorAs(t, err, &u)
	assert.Equal(t, "node001", u.Host)
	assert.Equal(t, stage, u.Stage)
	for _, w := range words {
		assert.ErrorContains(t, err, w)
	}
}

func TestLogin(t *testing.T) {
	good, public := newKeyFile(t, "good", "")
	other, _ := newKeyFile(t, "other", "")
	locked, lockedPublic := newKeyFile(t, "locked", "secret")
	open, openPublic := newKeyFile(t, "open", "")
	require.NoError(t, os.Chmod(open, 0o644))
	say := func(text string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, nil }
	}
	tests := map[string]struct {
		keys      []string
		password  func(context.Context) (string, error)
		want      []string // of the error; none if the login works
		passwords int32
	}{
		"key":                {keys: []string{good}},
		"second key":         {keys: []string{other, good}},
		"wrong key":          {keys: []string{other}, want: []string{"login as root refused", "the server offers password, publickey", "tried " + other, "no ansible_password is given"}},
		"no key":             {want: []string{"tried no key"}},
		"missing file":       {keys: []string{"/no/such/key"}, want: []string{"/no/such/key", "no such file"}},
		"with a passphrase":  {keys: []string{locked}, want: []string{"not tried: " + locked + ": it has a passphrase: ssh-add"}},
		"readable by others": {keys: []string{open}, want: []string{"its mode is 0644"}},
		"password":           {password: say("right"), passwords: 1},
		"key, no password":   {keys: []string{good}, password: say("right")},
		"wrong password":     {password: say("canary"), passwords: 1, want: []string{"and the password"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := (&server{keys: []ssh.PublicKey{public, lockedPublic, openPublic}, password: "right"}).serve(t)
			o := s.options(t, test.keys...)
			o.Password = test.password
			h, err := reach(t, o)
			assert.Equal(t, test.passwords, s.passwords.Load())
			assert.EqualValues(t, 1, s.accepted.Load(), "a login is not tried again")
			if test.want != nil {
				unreachable(t, err, stageAuth, test.want...)
				assert.NotContains(t, err.Error(), "canary")
				return
			}
			require.NoError(t, err)
			works(t, h)
		})
	}
}

// newAgent holds the keys of the files.
func newAgent(t *testing.T, files ...string) agent.Agent {
	ring := agent.NewKeyring()
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		private, err := ssh.ParseRawPrivateKeyWithPassphrase(data, []byte("secret"))
		if err != nil {
			private, err = ssh.ParseRawPrivateKey(data)
		}
		require.NoError(t, err)
		require.NoError(t, ring.Add(agent.AddedKey{PrivateKey: private, Comment: filepath.Base(file)}))
	}
	return ring
}

// startAgent serves the agent on a socket.
func startAgent(t *testing.T, ring agent.Agent) string {
	dir, err := os.MkdirTemp("", "agent") // the path of a socket must be short
	require.NoError(t, err)
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = agent.ServeAgent(ring, conn); _ = conn.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
		_ = os.RemoveAll(dir)
	})
	return socket
}

func TestAgent(t *testing.T) {
	locked, public := newKeyFile(t, "locked", "secret")
	var many []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		file, _ := newKeyFile(t, name, "")
		many = append(many, file)
	}
	t.Setenv("SSH_AUTH_SOCK", startAgent(t, newAgent(t, append(many, locked)...)))
	tests := map[string]struct {
		config, keys []string
		want         string
	}{
		"sixth key of the agent":        {want: "sshd hears no more than 5 keys"},
		"a passphrase the agent knows":  {keys: []string{locked}},
		"identities only":               {config: []string{"IdentitiesOnly yes"}, want: "tried no key"},
		"identities only, and that one": {config: []string{"IdentitiesOnly yes", "IdentityFile " + locked}},
		"another agent":                 {config: []string{"IdentityAgent /no/such/socket"}, want: "keys of the agent: dial unix /no/such/socket"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := (&server{keys: []ssh.PublicKey{public}}).serve(t)
			o := s.options(t, test.keys...)
			o.ConfigFile = filepath.Join(t.TempDir(), "config")
			text := strings.Join(append(test.config, "IdentityFile none"), "\n")
			require.NoError(t, os.WriteFile(o.ConfigFile, []byte(text), 0o600))
			h, err := reach(t, o)
			if test.want != "" {
				unreachable(t, err, stageAuth, test.want)
				return
			}
			require.NoError(t, err)
			works(t, h)
		})
	}
}

// stuckAgent waits for a user who does not confirm.
type stuckAgent struct {
	agent.Agent
	answer chan struct{}
}

func (a stuckAgent) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) {
	<-a.answer
	return nil, errors.New("not confirmed")
}

func TestAgentHangs(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	ring := stuckAgent{newAgent(t, file), make(chan struct{})}
	socket := startAgent(t, ring)
	t.Cleanup(func() { close(ring.answer) })
	s := (&server{keys: []ssh.PublicKey{public}}).serve(t)
	o := s.options(t)
	o.ConfigFile = filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(o.ConfigFile, []byte("IdentityFile none\nIdentityAgent "+socket), 0o600))
	o.ConnectTimeout = 500 * time.Millisecond
	_, err := reach(t, o)
	unreachable(t, err, stageAuth, "timeout after 500ms")
}

func TestCertificate(t *testing.T) {
	authority := newSigner(t)
	tests := map[string]struct {
		before time.Time
		want   string
	}{
		"valid":   {time.Now().Add(time.Hour), ""},
		"expired": {time.Now().Add(-time.Hour), "it expired on"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file, public := newKeyFile(t, "id", "")
			c := &ssh.Certificate{
				Key: public, CertType: ssh.UserCert, ValidPrincipals: []string{"root"},
				ValidBefore: uint64(test.before.Unix()),
			}
			require.NoError(t, c.SignCert(rand.Reader, authority))
			require.NoError(t, os.WriteFile(file+"-cert.pub", ssh.MarshalAuthorizedKey(c), 0o600))
			s := (&server{authority: authority.PublicKey()}).serve(t)
			h, err := reach(t, s.options(t, file))
			if test.want != "" {
				unreachable(t, err, stageAuth, test.want)
				return
			}
			require.NoError(t, err)
			works(t, h)
		})
	}
}

// certified is the host key with a certificate for 127.0.0.1.
func certified(t *testing.T, host, authority ssh.Signer) ssh.Signer {
	c := &ssh.Certificate{
		Key: host.PublicKey(), CertType: ssh.HostCert,
		ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity,
	}
	require.NoError(t, c.SignCert(rand.Reader, authority))
	signer, err := ssh.NewCertSigner(c, host)
	require.NoError(t, err)
	return signer
}

// hostLine is a line of known_hosts for the server with that key.
func hostLine(s *server, k ssh.Signer) string {
	return knownhosts.Line([]string{s.addr}, k.PublicKey()) + "\n"
}

// keyOf is a line without its host.
func keyOf(line string) string { return strings.SplitN(line, " ", 2)[1] }

type hostKeyTest struct {
	known  func(*server) string
	policy Policy
	want   string
	added  bool
}

func hostKeyTests(mine, other, ca ssh.Signer) map[string]hostKeyTest {
	return map[string]hostKeyTest{
		"known":   {func(s *server) string { return hostLine(s, mine) }, Strict, "", false},
		"unknown": {func(*server) string { return "" }, Strict, "is not known: it shows ssh-ed25519 SHA256:", false},
		"unknown, accepted": {func(s *server) string {
			return strings.Replace(hostLine(s, other), "127.0.0.1", "other", 1) + "# no newline"
		}, AcceptNew, "", true},
		"unknown, off":        {func(*server) string { return "" }, Off, "", false},
		"changed":             {func(s *server) string { return hostLine(s, other) }, Strict, "has changed", false},
		"changed, accept-new": {func(s *server) string { return hostLine(s, other) }, AcceptNew, "has changed", false},
		"changed, off":        {func(s *server) string { return hostLine(s, other) }, Off, "", false},
		"revoked":             {func(s *server) string { return "@revoked * " + keyOf(hostLine(s, mine)) }, Strict, "is revoked", false},
		"of an authority":     {func(s *server) string { return "@cert-authority * " + keyOf(hostLine(s, ca)) }, Strict, "", false},
		"corrupt file":        {func(*server) string { return "127.0.0.1 ssh-ed25519 !!!\n" }, Strict, "known_hosts:1", false},
	}
}

func TestHostKey(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	mine, other, ca := newSigner(t), newSigner(t), newSigner(t)
	for name, test := range hostKeyTests(mine, other, ca) {
		t.Run(name, func(t *testing.T) {
			s := &server{keys: []ssh.PublicKey{public}, hostKeys: []ssh.Signer{mine}, password: "secret"}
			if strings.Contains(name, "authority") {
				s.hostKeys = []ssh.Signer{certified(t, mine, ca)}
			}
			s.serve(t)
			o := s.options(t, file)
			o.HostKeys = test.policy
			o.Password = func(context.Context) (string, error) { return "secret", nil }
			before := test.known(s)
			require.NoError(t, os.WriteFile(o.KnownHosts[0], []byte(before), 0o600))
			h, err := reach(t, o)
			after, errRead := os.ReadFile(o.KnownHosts[0])
			require.NoError(t, errRead)
			if test.want != "" {
				unreachable(t, err, stageHostKey, test.want)
				assert.Zero(t, s.attempts.Load(), "nothing is sent to a host that is not known")
				assert.Equal(t, before, string(after))
				return
			}
			require.NoError(t, err)
			works(t, h)
			if test.added {
				assert.Equal(t, before+"\n"+hostLine(s, mine), string(after))
				o.HostKeys = Strict
				_, err = reach(t, o)
				assert.NoError(t, err, "it is known from now on")
			} else {
				assert.Equal(t, before, string(after))
			}
		})
	}
}

// Many hosts at the same time lose no line of known_hosts.
func TestAcceptNewAtTheSameTime(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	known := filepath.Join(t.TempDir(), "ssh", "known_hosts")
	var all sync.WaitGroup
	for range 20 {
		s := (&server{keys: []ssh.PublicKey{public}}).serve(t)
		o := s.options(t, file)
		o.KnownHosts, o.HostKeys = []string{known}, AcceptNew
		all.Go(func() {
			_, err := reach(t, o)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	data, err := os.ReadFile(known)
	require.NoError(t, err)
	assert.Equal(t, 20, strings.Count(string(data), "\n"))
}

// A server with two keys shows the one that is known.
func TestKnownAlgorithmComesFirst(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	old, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	for _, known := range []ssh.Signer{old, newSigner(t)} {
		s := &server{keys: []ssh.PublicKey{public}, hostKeys: []ssh.Signer{old, known}}
		if known == old {
			s.hostKeys[1] = newSigner(t)
		}
		s.serve(t)
		o := s.options(t, file)
		o.KnownHosts = []string{knownAs(t, s.addr, known)}
		_, err := reach(t, o)
		assert.NoError(t, err)
	}
}

func TestPasswordAsAQuestion(t *testing.T) {
	for given, works := range map[string]bool{"right": true, "wrong": false} {
		t.Run(given, func(t *testing.T) {
			s := (&server{password: "right", interactive: true}).serve(t)
			o := s.options(t)
			o.Password = func(context.Context) (string, error) { return given, nil }
			_, err := reach(t, o)
			assert.Equal(t, works, err == nil)
			assert.EqualValues(t, 1, s.passwords.Load(), "a wrong password is not sent twice")
			if !works {
				unreachable(t, err, stageAuth, "the server offers publickey, keyboard-interactive")
			}
		})
	}
}
