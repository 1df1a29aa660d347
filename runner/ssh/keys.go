package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	agentLimit = 5 * time.Second // for an agent that hangs, or waits for its user
	maxKeys    = 5               // sshd ends the connection at the sixth, by default
)

// key is a key that can be offered.
type key struct {
	name   string // for errors: the file, or the agent's comment
	signer ssh.Signer
}

// keyring collects the keys for one login and why others are not among them.
type keyring struct {
	keys    []key
	skipped []string
	held    []key // of the agent
	conn    net.Conn
}

// newKeyring finds the keys that the settings name, best first: keys of the
// inventory, of the agent, of ssh_config.
func newKeyring(ctx context.Context, s settings) *keyring {
	r := &keyring{}
	if s.agent != "" {
		r.askAgent(ctx, s.agent)
	}
	certificates := r.certificates(s.certificates)
	for _, file := range s.keys {
		r.addFile(file, certificates, true)
	}
	if !s.identitiesOnly {
		for _, k := range r.held {
			r.add(k)
		}
	}
	for _, file := range s.identities {
		r.addFile(file, certificates, false)
	}
	return r
}

// Close gives the agent up. The keys that it holds can no longer sign.
func (r *keyring) Close() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
}

func (r *keyring) signers() []ssh.Signer {
	signers := make([]ssh.Signer, len(r.keys))
	for i, k := range r.keys {
		signers[i] = k.signer
	}
	return signers
}

// String says which keys are offered and which are not.
func (r *keyring) String() string {
	names := make([]string, len(r.keys))
	for i, k := range r.keys {
		names[i] = k.name
	}
	text := "tried no key"
	if len(names) > 0 {
		text = "tried " + strings.Join(names, ", ")
	}
	if len(r.skipped) > 0 {
		text += "; not tried: " + strings.Join(r.skipped, "; ")
	}
	return text
}

func (r *keyring) skip(format string, args ...any) {
	r.skipped = append(r.skipped, fmt.Sprintf(format, args...))
}

func (r *keyring) askAgent(ctx context.Context, socket string) {
	ctx, cancel := context.WithTimeout(ctx, agentLimit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		r.skip("keys of the agent: %v", err)
		return
	}
	r.conn = conn
	_ = conn.SetDeadline(time.Now().Add(agentLimit)) // fails only for a connection that is closed
	client := agent.NewClient(conn)
	listed, errList := client.List()
	signers, err := client.Signers()
	if err := errors.Join(errList, err); err != nil || len(listed) != len(signers) {
		r.skip("keys of the agent: it gave %d of %d: %v", len(signers), len(listed), err)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	for i, signer := range signers {
		r.held = append(r.held, key{name: "agent's " + listed[i].Comment, signer: signer})
	}
}

// add offers a key, once, and not more than sshd will hear.
func (r *keyring) add(k key) {
	blob := k.signer.PublicKey().Marshal()
	for _, have := range r.keys {
		if bytes.Equal(have.signer.PublicKey().Marshal(), blob) {
			return
		}
	}
	if len(r.keys) == maxKeys {
		r.skip("%s: sshd hears no more than %d keys", k.name, maxKeys)
		return
	}
	r.keys = append(r.keys, k)
}

// addFile offers the key of a file, before it its certificates. A file that is
// not there matters only if it was asked for.
func (r *keyring) addFile(file string, certificates []*ssh.Certificate, wanted bool) {
	signer, err := r.load(file)
	if err != nil {
		if wanted || !errors.Is(err, os.ErrNotExist) {
			r.skip("%s: %v", file, err)
		}
		return
	}
	certificates = append(r.certificates([]string{file + "-cert.pub"}), certificates...)
	for _, c := range certificates {
		if !bytes.Equal(c.Key.Marshal(), signer.PublicKey().Marshal()) {
			continue
		}
		if certified, err := ssh.NewCertSigner(c, signer); err != nil {
			r.skip("the certificate of %s: %v", file, err)
		} else if expiry := time.Unix(int64(c.ValidBefore), 0); c.ValidBefore != ssh.CertTimeInfinity && time.Now().After(expiry) {
			r.skip("the certificate of %s: it expired on %s", file, expiry.UTC().Format(time.DateTime))
		} else {
			r.add(key{name: file + " with its certificate", signer: certified})
		}
	}
	r.add(key{name: file, signer: signer})
}

// load reads a private key. For one with a passphrase, or of which only the public
// half is here, the agent stands in if it holds the key.
func (r *keyring) load(file string) (ssh.Signer, error) {
	signer, err := loadPrivate(file)
	if err == nil {
		return signer, nil
	}
	var locked *ssh.PassphraseMissingError
	var public ssh.PublicKey
	if errors.As(err, &locked) {
		public = locked.PublicKey
		err = fmt.Errorf("it has a passphrase: ssh-add %s", file)
	}
	for _, name := range []string{file, file + ".pub"} {
		if public == nil {
			public = readPublic(name)
		}
	}
	for _, k := range r.held {
		if public != nil && bytes.Equal(k.signer.PublicKey().Marshal(), public.Marshal()) {
			return k.signer, nil
		}
	}
	return nil, err
}

// loadPrivate reads a private key that nobody else may read.
func loadPrivate(file string) (ssh.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("its mode is %04o, so others may read it: chmod 600 %s", info.Mode().Perm(), file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(data)
}

func (r *keyring) certificates(files []string) []*ssh.Certificate {
	var found []*ssh.Certificate
	for _, file := range files {
		if certificate, ok := readPublic(file).(*ssh.Certificate); ok {
			found = append(found, certificate)
		} else if exists(file) {
			r.skip("%s: it is not a certificate", file)
		}
	}
	return found
}

// readPublic reads a public key or certificate; nil if there is none.
func readPublic(file string) ssh.PublicKey {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return public
}
