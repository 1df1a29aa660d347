package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// connection is one TCP connection to sshd, logged in.
type connection struct {
	host    string
	client  *ssh.Client
	release func() // gives the jump host back

	uploading chan struct{} // held while sftp has a session; holds one

	down chan struct{} // closed when the connection is over
	mu   sync.Mutex
	why  error // of our own for ending it
	once sync.Once
}

// connect goes to the host by the way that the settings name.
func (d *Dialer) connect(ctx context.Context, s settings) (*connection, error) {
	if len(s.jump) > 0 {
		return d.connectThrough(ctx, s)
	}
	var direct net.Dialer
	return d.connectBy(ctx, s, direct.DialContext)
}

// dialFunc opens a connection to an address.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// connectBy connects and logs in. A server that drops the connection before the
// login has begun is busy: it is tried again. A refused login never is.
func (d *Dialer) connectBy(ctx context.Context, s settings, dial dialFunc) (*connection, error) {
	addr := net.JoinHostPort(s.addr, strconv.Itoa(s.port))
	for try := 0; ; try++ {
		a := &attempt{s: s, addr: addr, stage: stageConnect}
		client, err := d.attempt(ctx, a, dial)
		if err == nil {
			return newConnection(s.host, client), nil
		}
		if try+1 < maxTries && a.stage == stageHandshake && hungUp(err) && pause(ctx, cmp.Or(d.backoff, firstPause)<<try) == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.host, a.stage, context.Cause(ctx))
		}
		if a.stage == stageConnect {
			err = fmt.Errorf("connect to %s: %w", addr, cause(err))
		} else if a.stage == stageHandshake {
			err = fmt.Errorf("%s: %w", addr, cause(err))
		}
		return nil, &Unreachable{Host: s.host, Stage: a.stage, Err: err}
	}
}

// attempt is one try to connect, and how far it has come.
type attempt struct {
	s     settings
	addr  string
	stage string
}

func (d *Dialer) attempt(ctx context.Context, a *attempt, dial dialFunc) (*ssh.Client, error) {
	leave, err := d.gates.enter(ctx, a.addr)
	if err != nil {
		return nil, err
	}
	defer leave()
	tcp, cancel := context.WithTimeoutCause(ctx, a.s.limit, errTooSlow{a.s.limit})
	defer cancel()
	conn, err := dial(tcp, "tcp", a.addr)
	if err != nil {
		if tcp.Err() != nil {
			err = context.Cause(tcp)
		}
		return nil, err
	}
	a.stage = stageHandshake
	client, err := d.handshake(ctx, a, conn)
	if err != nil {
		_ = conn.Close()
	}
	return client, err
}

// handshake speaks SSH on the connection until the login is done. The client
// library bounds none of it, so a watch closes the connection of a server that
// takes too long for a stage.
func (d *Dialer) handshake(ctx context.Context, a *attempt, conn net.Conn) (*ssh.Client, error) {
	check, err := d.newKeyCheck(a.s)
	if err != nil {
		a.stage = stageHostKey
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	l := &login{keys: newKeyring(ctx, a.s), password: a.s.password}
	defer l.keys.Close()

	var slow atomic.Bool
	watch := time.AfterFunc(a.s.limit, func() { slow.Store(true); _ = conn.Close() })
	defer watch.Stop()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	var authenticating atomic.Bool
	var checked sync.Once // the key is checked again whenever keys are renewed
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: ssh.SupportedAlgorithms().KeyExchanges}, // those without SHA-1
		User:              a.s.user,
		Auth:              l.methods(ctx),
		AuthCallback:      l.note,
		HostKeyAlgorithms: check.algorithms(),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := check.check(host, remote, key)
			checked.Do(func() {
				authenticating.Store(err == nil)
				watch.Reset(a.s.limit)
			})
			return err
		},
		ClientVersion: "SSH-2.0-runbook",
	}
	transport, channels, requests, err := ssh.NewClientConn(conn, a.addr, config)
	switch {
	case err == nil && watch.Stop() && stop():
		return ssh.NewClient(transport, channels, requests), nil
	case check.refusal() != nil:
		a.stage = stageHostKey
		return nil, check.refusal()
	case authenticating.Load():
		a.stage = stageAuth
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case slow.Load():
		return nil, errTooSlow{a.s.limit}
	case authenticating.Load() && hungUp(err):
		return nil, cause(err)
	case authenticating.Load():
		return nil, l.refusal(a.s.user, err)
	}
	return nil, err
}

func newConnection(host string, client *ssh.Client) *connection {
	c := &connection{host: host, client: client, release: func() {}, down: make(chan struct{}), uploading: make(chan struct{}, 1)}
	go func() {
		defer close(c.down)
		_ = client.Wait() // why it ended is asked of those who use it
	}()
	go c.keepAlive(keepAliveEvery)
	return c
}

// end closes the connection, for a reason that errors will name.
func (c *connection) end(why error) {
	c.once.Do(func() {
		c.mu.Lock()
		c.why = why
		c.mu.Unlock()
		_ = c.client.Close() // closed by the server already is as good
		<-c.down
		c.release()
	})
}

func (c *connection) isDown() bool {
	select {
	case <-c.down:
		return true
	default:
		return false
	}
}

func (c *connection) whyDown() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

var (
	errHostClosed = errors.New("the connection was closed")
	errGone       = errors.New("the connection is lost")
)
