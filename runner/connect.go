package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Defaults are what the command line says of connections; a host's variables
// come before them.
type Defaults struct {
	User     string // -u
	Key      string // --private-key
	Become   bool   // -b
	Password string // -K: of whoever becomes another user
	HostKeys string // from ANSIBLE_HOST_KEY_CHECKING
}

// machines holds one connection per address for the whole run, and makes a new one
// where that was lost. An address that could not be reached is not tried again: its
// tasks would each wait out the timeout.
type machines struct {
	dial func(context.Context, Address) (Machine, error)
	mu   sync.Mutex
	open map[Address]*connection
}

type connection struct {
	once    sync.Once
	machine Machine
	err     error
}

// unreached is a machine that no connection could be made to.
type unreached struct {
	host string
	err  error
}

func (e *unreached) Error() string     { return e.err.Error() }
func (e *unreached) Unwrap() error     { return e.err }
func (e *unreached) Unreachable() bool { return true }

func (m *machines) get(ctx context.Context, a Address) (Machine, error) {
	c := m.dialled(ctx, a)
	if c.err == nil && c.machine.Lost() {
		m.drop(a, c)
		c = m.dialled(ctx, a)
	}
	return c.machine, c.err
}

func (m *machines) dialled(ctx context.Context, a Address) *connection {
	m.mu.Lock()
	if m.open == nil {
		m.open = map[Address]*connection{}
	}
	c := m.open[a]
	if c == nil {
		c = &connection{}
		m.open[a] = c
	}
	m.mu.Unlock()
	c.once.Do(func() {
		c.machine, c.err = m.dial(ctx, a)
		switch {
		case c.err == nil:
		case ctx.Err() != nil:
			m.drop(a, c) // out of time: that says nothing of the machine
		default:
			c.err = &unreached{a.Name, c.err}
		}
	})
	return c
}

// drop makes the next task dial again.
func (m *machines) drop(a Address, c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[a] == c {
		delete(m.open, a)
	}
}

// forget closes the connections of a host, so that the next task opens new ones.
func (m *machines) forget(host string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for a, c := range m.open {
		if a.Name == host {
			errs = append(errs, c.close())
			delete(m.open, a)
		}
	}
	return errors.Join(errs...)
}

// anew is as over a new connection, in the place of one that was lost.
func (m *machines) anew(ctx context.Context, a Address, b *Become) (Machine, error) {
	m.mu.Lock()
	if c := m.open[a]; c != nil {
		_ = c.close() // it is lost: nothing hangs on how it ends
		delete(m.open, a)
	}
	m.mu.Unlock()
	machine, err := m.as(ctx, a, b)
	if err != nil {
		m.mu.Lock()
		delete(m.open, a) // the next try dials again
		m.mu.Unlock()
	}
	return machine, err
}

func (m *machines) closeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range m.open {
		wg.Go(func() { _ = c.close() }) // the run is over: nothing hangs on how a connection ends
	}
	wg.Wait()
	m.open = nil
}

func (c *connection) close() error {
	c.once.Do(func() { c.err = errors.New("closed before it was used") })
	if c.machine == nil {
		return nil
	}
	return c.machine.Close()
}

// as is the machine with the rights of another user.
func (m *machines) as(ctx context.Context, a Address, b *Become) (Machine, error) {
	machine, err := m.get(ctx, a)
	if err != nil || b == nil {
		return machine, err
	}
	other, err := machine.As(ctx, *b)
	if err != nil && !isUnreachable(err) {
		err = fmt.Errorf("become %s: %w", b.User, err)
	}
	return other, err
}
