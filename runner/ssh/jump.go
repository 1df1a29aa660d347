package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

const maxJumps = 8 // a chain that is longer is a circle in ssh_config

// jump is the connection to a jump host, shared by all hosts behind it.
type jump struct {
	ready chan struct{} // closed when conn or err is set
	conn  *connection
	err   error
	users int
}

// connectThrough connects by way of the last of the jump hosts, which is itself
// reached by way of those before it. Each one's key is checked.
func (d *Dialer) connectThrough(ctx context.Context, s settings) (*connection, error) {
	if len(s.jump) > maxJumps || s.depth > maxJumps {
		return nil, fmt.Errorf("%s: more than %d jump hosts: %s", s.host, maxJumps, strings.Join(s.jump, ", "))
	}
	last, before := s.jump[len(s.jump)-1], s.jump[:len(s.jump)-1]
	o, err := hopOptions(last, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.host, err)
	}
	if len(before) > 0 {
		o.Jump = before
	}
	hop, err := resolve(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: jump host: %w", s.host, err)
	}
	hop.depth = s.depth + 1
	via, leave, err := d.enterJump(ctx, hop)
	if err != nil {
		return nil, s.behind(last, err)
	}
	client, err := d.connectBy(ctx, s, via.dial)
	if err != nil {
		leave()
		return nil, err
	}
	return newConnection(s.host, client, leave), nil
}

// behind is the error of a host whose jump host cannot be reached.
func (s settings) behind(hop string, err error) error {
	var u *Unreachable
	if errors.As(err, &u) {
		return &Unreachable{Host: s.host, Stage: u.Stage, Err: fmt.Errorf("jump host %s: %w", hop, u.Err)}
	}
	return fmt.Errorf("%s: jump host %s: %w", s.host, hop, err)
}

// hopOptions reads user@host:port or ssh://user@host:port. What the inventory says
// of keys and checks holds for the jump host, too; the password does not.
func hopOptions(hop string, s settings) (Options, error) {
	rest := strings.TrimPrefix(strings.TrimSpace(hop), "ssh://")
	o := Options{
		ConfigFile: s.given.ConfigFile, KnownHosts: s.given.KnownHosts, HostKeys: s.given.HostKeys,
		Keys: s.given.Keys, ConnectTimeout: s.given.ConnectTimeout,
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		o.User, rest = rest[:at], rest[at+1:]
	}
	o.Host = strings.Trim(rest, "[]")
	if host, port, err := net.SplitHostPort(rest); err == nil {
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			return o, fmt.Errorf("jump host %q: %q is not a port", hop, port)
		}
		o.Host, o.Port = host, number
	}
	return o, nil
}

// enterJump gives the connection to the jump host, which is made by the first who
// wants it and closed by the last who leaves.
func (d *Dialer) enterJump(ctx context.Context, hop settings) (*connection, func(), error) {
	key := fmt.Sprintf("%s\x00%s\x00%d\x00%q", hop.user, hop.addr, hop.port, hop.jump)
	d.mu.Lock()
	j := d.jumps[key]
	if j == nil || j.conn != nil && j.conn.isDown() {
		j = &jump{ready: make(chan struct{})}
		if d.jumps == nil {
			d.jumps = map[string]*jump{}
		}
		d.jumps[key] = j
		// Others will wait for it, so it does not end when the first has had enough.
		go d.openJump(context.WithoutCancel(ctx), hop, j)
	}
	j.users++
	d.mu.Unlock()
	leave := func() { d.leaveJump(key, j) }
	select {
	case <-j.ready:
	case <-ctx.Done():
		leave()
		return nil, nil, context.Cause(ctx)
	}
	if j.err != nil {
		leave()
		return nil, nil, j.err
	}
	return j.conn, leave, nil
}

func (d *Dialer) openJump(ctx context.Context, hop settings, j *jump) {
	conn, err := d.connect(ctx, hop)
	d.mu.Lock()
	j.conn, j.err = conn, err
	abandoned := j.users == 0
	d.mu.Unlock()
	close(j.ready)
	if abandoned && conn != nil {
		conn.end(errHostClosed)
	}
}

func (d *Dialer) leaveJump(key string, j *jump) {
	d.mu.Lock()
	j.users--
	last := j.users == 0
	if last && d.jumps[key] == j {
		delete(d.jumps, key)
	}
	conn := j.conn
	d.mu.Unlock()
	if last && conn != nil {
		conn.end(errHostClosed)
	}
}

// dial connects from the host.
func (c *connection) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.client.DialContext(ctx, network, addr)
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) && refused.Reason == ssh.Prohibited {
		return nil, fmt.Errorf("%s lets no connections through (AllowTcpForwarding of its sshd): %w", c.host, err)
	}
	return conn, err
}
