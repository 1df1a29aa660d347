package ssh

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownHosts reads known_hosts files, each version of them once for all hosts.
type knownHosts struct {
	mu   sync.Mutex
	read map[string]*knownhosts.HostKeyDB // by the files and their versions
}

// load reads those of the files that are there.
func (k *knownHosts) load(files []string) (*knownhosts.HostKeyDB, error) {
	var present []string
	var version strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		present = append(present, file)
		fmt.Fprintf(&version, "%s\x00%d\x00%d\x00", file, info.Size(), info.ModTime().UnixNano())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if db := k.read[version.String()]; db != nil {
		return db, nil
	}
	db, err := knownhosts.NewDB(present...)
	if err != nil {
		return nil, err
	}
	if k.read == nil {
		k.read = map[string]*knownhosts.HostKeyDB{}
	}
	k.read[version.String()] = db
	return db, nil
}

// keyCheck checks the key of one host.
type keyCheck struct {
	s  settings
	db *knownhosts.HostKeyDB

	mu     sync.Mutex
	failed error // why the key was refused
}

func (d *Dialer) newKeyCheck(s settings) (*keyCheck, error) {
	if s.policy == Off {
		return &keyCheck{s: s}, nil
	}
	db, err := d.known.load(s.knownHosts)
	if err != nil {
		return nil, err
	}
	return &keyCheck{s: s, db: db}, nil
}

// address is what the host is called in known_hosts, before it is normalized.
func (s settings) address() string { return net.JoinHostPort(s.name, fmt.Sprint(s.port)) }

// algorithms puts those of the known keys first: a server with several keys must
// show the one that can be checked.
func (c *keyCheck) algorithms() []string {
	all := ssh.SupportedAlgorithms().HostKeys
	if c.db == nil {
		return all
	}
	known := c.db.HostKeyAlgorithms(c.s.address())
	known = slices.DeleteFunc(known, func(a string) bool { return !slices.Contains(all, a) })
	rest := slices.DeleteFunc(all, func(a string) bool { return slices.Contains(known, a) })
	return append(known, rest...)
}

// check is the ssh.HostKeyCallback.
func (c *keyCheck) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	if c.db == nil {
		return nil
	}
	err := c.db.HostKeyCallback()(c.s.address(), remote, key)
	if knownhosts.IsHostUnknown(err) && c.s.policy == AcceptNew {
		err = c.accept(remote, key)
	}
	err = c.explain(key, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	return err
}

// refusal is why the key was refused; nil if it was not.
func (c *keyCheck) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *keyCheck) explain(key ssh.PublicKey, err error) error {
	if err == nil {
		return nil
	}
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	where := knownhosts.Normalize(c.s.address())
	var unequal *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		return fmt.Errorf("host key of %s is revoked: %s:%d revokes %s", where, revoked.Revoked.Filename, revoked.Revoked.Line, shown)
	case errors.As(err, &unequal) && len(unequal.Want) > 0:
		return c.changed(where, shown, key, unequal.Want)
	case errors.As(err, &unequal):
		return fmt.Errorf("host key of %s is not known: it shows %s. If `ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub` "+
			"on the host says the same: ssh-keyscan %s >> %s, or set -o StrictHostKeyChecking=accept-new "+
			"in ansible_ssh_common_args", where, shown, family(key), scanArgs(c.s, key), c.file())
	}
	return fmt.Errorf("host key of %s (%s): %w", where, shown, err)
}

func (c *keyCheck) changed(where, shown string, key ssh.PublicKey, want []xknownhosts.KnownKey) error {
	slices.SortFunc(want, func(a, b xknownhosts.KnownKey) int {
		return cmp.Or(cmp.Compare(a.Filename, b.Filename), cmp.Compare(a.Line, b.Line))
	})
	first := want[0]
	verb := "is of another kind than the known one"
	for _, k := range want {
		if k.Key.Type() == key.Type() {
			first, verb = k, "has changed"
			break
		}
	}
	return fmt.Errorf("host key of %s %s: %s:%d has %s %s, the host shows %s. Another machine may be posing as this one; "+
		"if it was set up anew: ssh-keygen -R '%s' -f %s, then accept the new key", where, verb,
		first.Filename, first.Line, first.Key.Type(), ssh.FingerprintSHA256(first.Key), shown, where, first.Filename)
}

// file is where a new key belongs.
func (c *keyCheck) file() string {
	if len(c.s.knownHosts) == 0 {
		return expand("~/.ssh/known_hosts")
	}
	return c.s.knownHosts[0]
}

// family is a kind of key as sshd's file names and ssh-keyscan have it.
func family(key ssh.PublicKey) string {
	switch t := key.Type(); {
	case strings.Contains(t, "ed25519"):
		return "ed25519"
	case strings.Contains(t, "ecdsa"):
		return "ecdsa"
	}
	return "rsa"
}

func scanArgs(s settings, key ssh.PublicKey) string {
	args := "-t " + family(key) + " "
	if s.port != 22 {
		args += fmt.Sprintf("-p %d ", s.port)
	}
	return args + s.addr
}

// accept notes the key of a host that was never seen: one write under a lock,
// after another look, as other runs do the same.
func (c *keyCheck) accept(remote net.Addr, key ssh.PublicKey) (err error) {
	name := c.file()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	db, err := knownhosts.NewDB(name)
	if err != nil {
		return err
	}
	if err := db.HostKeyCallback()(c.s.address(), remote, key); !knownhosts.IsHostUnknown(err) {
		return err
	}
	line := []byte(knownhosts.Line([]string{c.s.address()}, key) + "\n")
	if data, err := os.ReadFile(name); err != nil {
		return err
	} else if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		line = append([]byte("\n"), line...)
	}
	_, err = file.Write(line)
	return err
}
