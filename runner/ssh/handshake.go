package ssh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// attempt is one try to connect, and how far it has come.
type attempt struct {
	s     settings
	addr  string
	stage string

	check *keyCheck
	login *login
	slow  atomic.Bool // watch has closed it
	known atomic.Bool // the host's key is good: what follows is the login
	first sync.Once   // the key is checked again whenever the session's keys are renewed
	watch *time.Timer // closes the connection
}

func (d *Dialer) attempt(ctx context.Context, a *attempt, dial dialFunc) (*ssh.Client, error) {
	leave, err := d.gates.enter(ctx, a.addr)
	if err != nil {
		return nil, err
	}
	defer leave()
	if a.check, err = d.newKeyCheck(a.s); err != nil {
		a.stage = stageHostKey
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
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
	client, err := a.handshake(ctx, conn)
	if err != nil {
		_ = conn.Close()
	}
	return client, err
}

// handshake speaks SSH on the connection until the login is done. The client
// library bounds none of it, so a watch closes the connection of a server that
// takes too long for a stage. (Deadlines cannot be set on a connection through a
// jump host.)
func (a *attempt) handshake(ctx context.Context, conn net.Conn) (*ssh.Client, error) {
	a.login = &login{keys: newKeyring(ctx, a.s), password: a.s.password}
	defer a.login.keys.Close()
	abort := func() {
		_ = conn.Close()
		a.login.keys.Close() // the agent may be what hangs
	}
	a.watch = time.AfterFunc(a.s.limit, func() { a.slow.Store(true); abort() })
	defer a.watch.Stop()
	stop := context.AfterFunc(ctx, abort)
	defer stop()

	transport, channels, requests, err := ssh.NewClientConn(conn, a.addr, &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: ssh.SupportedAlgorithms().KeyExchanges}, // those without SHA-1
		User:              a.s.user,
		Auth:              a.login.methods(ctx),
		AuthCallback:      a.login.note,
		HostKeyAlgorithms: a.check.algorithms(),
		HostKeyCallback:   a.checkKey,
		ClientVersion:     "SSH-2.0-runbook",
	})
	if err == nil && a.watch.Stop() && stop() {
		return ssh.NewClient(transport, channels, requests), nil
	}
	return nil, a.failure(ctx, err)
}

func (a *attempt) checkKey(host string, remote net.Addr, key ssh.PublicKey) error {
	err := a.check.check(host, remote, key)
	a.first.Do(func() {
		a.known.Store(err == nil)
		a.watch.Reset(a.s.limit)
	})
	return err
}

// failure says at which stage and why the handshake failed.
func (a *attempt) failure(ctx context.Context, err error) error {
	if refused := a.check.refusal(); refused != nil {
		a.stage = stageHostKey
		return refused
	}
	if a.known.Load() {
		a.stage = stageAuth
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case a.slow.Load():
		return errTooSlow{a.s.limit}
	case a.stage == stageAuth && !hungUp(err):
		return a.login.refusal(a.s.user, err)
	case a.stage == stageAuth:
		return cause(err)
	}
	return err
}
