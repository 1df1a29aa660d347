package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

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
	client, err := d.connectBy(ctx, s, direct.DialContext)
	if err != nil {
		return nil, err
	}
	return newConnection(s.host, client, func() {}), nil
}

// dialFunc opens a connection to an address.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// connectBy connects and logs in. A server that drops the connection before the
// login has begun is busy: it is tried again. A refused login never is.
func (d *Dialer) connectBy(ctx context.Context, s settings, dial dialFunc) (*ssh.Client, error) {
	addr := net.JoinHostPort(s.addr, strconv.Itoa(s.port))
	for try := 0; ; try++ {
		a := &attempt{s: s, addr: addr, stage: stageConnect}
		client, err := d.attempt(ctx, a, dial)
		if err == nil {
			return client, nil
		}
		busy := a.stage == stageHandshake && hungUp(err) && try+1 < maxTries
		if busy && pause(ctx, min(cmp.Or(d.backoff, firstPause)<<try, maxPause)) == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %s: %s: %w", s.host, addr, a.stage, context.Cause(ctx))
		}
		if a.stage == stageConnect {
			err = fmt.Errorf("connect to %s: %w", addr, cause(err))
		} else if a.stage == stageHandshake {
			err = fmt.Errorf("%s: %w", addr, cause(err))
		}
		return nil, &Unreachable{Host: s.host, Stage: a.stage, Err: err}
	}
}

func newConnection(host string, client *ssh.Client, release func()) *connection {
	c := &connection{
		host: host, client: client, release: release,
		down: make(chan struct{}), uploading: make(chan struct{}, 1),
	}
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
