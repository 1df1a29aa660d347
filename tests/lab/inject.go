//go:build linux

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lockWithin is how long taking a lock may last; nobody else holds it.
const lockWithin = 10 * time.Second

// Unplug pulls the host's network cable: connections hang, as they do in a
// machine room, and nothing is refused.
func (l *Lab) Unplug(ctx context.Context, host string) error { return l.cable(ctx, host, "down") }

// Plug puts the cable back. So does the host's next boot.
func (l *Lab) Plug(ctx context.Context, host string) error { return l.cable(ctx, host, "up") }

func (l *Lab) cable(ctx context.Context, host, state string) error {
	h, err := l.Host(host)
	if err != nil {
		return err
	}
	return ipBatch(ctx, "link set "+h.link+" "+state+"\n")
}

// HoldDpkgLock lets a process on the host hold dpkg's lock, as another apt that
// is at work would, until release is called.
func (l *Lab) HoldDpkgLock(ctx context.Context, host string) (release func() error, err error) {
	const program = "/run/lab/dpkglock"
	h, err := l.Host(host)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(l.Parts.Programs, "dpkglock"))
	if err != nil {
		return nil, err
	}
	// A second holder of the same host must not write over a running program.
	if err := l.WriteFile(h, program, data, 0o755); err != nil && !strings.Contains(err.Error(), "text file busy") {
		return nil, err
	}
	cmd, err := l.enter(ctx, h, program, "/var/lib/dpkg/lock-frontend")
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	if err := awaitLine(bufio.NewReader(stdout), "locked\n", lockWithin); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: hold dpkg's lock: %w", h.Name, err), release())
	}
	return release, nil
}

// awaitLine reads one line, which must be the wanted one.
func awaitLine(r *bufio.Reader, want string, limit time.Duration) error {
	got := make(chan error, 1)
	go func() {
		line, err := r.ReadString('\n')
		if err == nil && line != want {
			err = fmt.Errorf("%q is wanted, found %q", want, line)
		}
		got <- err
	}()
	select {
	case err := <-got:
		return err
	case <-time.After(limit):
		return fmt.Errorf("no %q within %s", want, limit)
	}
}

// ChangeHostKey gives the host another key than known_hosts has, as a host does
// that was set up anew or is not the one it claims to be. restore brings the
// known key back, though ctx be over.
func (l *Lab) ChangeHostKey(ctx context.Context, host string) (restore func() error, err error) {
	h, err := l.Host(host)
	if err != nil {
		return nil, err
	}
	known, err := l.in(ctx, h, "cat "+hostKeyPath)
	if err != nil {
		return nil, err
	}
	other, _, err := newKey("other")
	if err != nil {
		return nil, err
	}
	restore = func() error { return l.useHostKey(context.WithoutCancel(ctx), h, []byte(known)) }
	return restore, l.useHostKey(ctx, h, other)
}

// useHostKey gives a running host a key, which its sshd begins to use.
func (l *Lab) useHostKey(ctx context.Context, h Host, key []byte) error {
	if err := l.WriteFile(h, hostKeyPath, key, 0o600); err != nil {
		return err
	}
	return l.restartSSHD(ctx, h)
}

// restartSSHD ends the sshd that listens; the host's first process starts it
// again. Connections that are open stay open.
func (l *Lab) restartSSHD(ctx context.Context, h Host) error {
	before, err := l.listener(ctx, h)
	if err != nil {
		return err
	}
	if _, err := l.in(ctx, h, "kill "+before); err != nil {
		return err
	}
	if err := poll(ctx, sshWithin, func(ctx context.Context) error {
		now, err := l.listener(ctx, h)
		if err == nil && now == before {
			err = fmt.Errorf("%s: sshd %s does not end", h.Name, before)
		}
		return err
	}); err != nil {
		return err
	}
	return waitForPort(ctx, net.JoinHostPort(h.Address, "22"), sshWithin)
}

// listener is the pid, inside the host, of the sshd that takes connections.
func (l *Lab) listener(ctx context.Context, h Host) (string, error) {
	cmd, err := l.enter(ctx, h, "pgrep", "-f", "^sshd: .*listener")
	if err != nil {
		return "", err
	}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: no sshd takes connections: %w", h.Name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// SSH runs a command on the host as a person would, with the lab's key and
// known_hosts, and returns what it printed.
func (l *Lab) SSH(ctx context.Context, h Host, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "ssh", "-n", "-i", l.Key(), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile="+l.KnownHosts(), "-o", "ConnectTimeout=5", "root@"+h.Address, command)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ssh %s: %w: %s", net.JoinHostPort(h.Address, "22"), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
