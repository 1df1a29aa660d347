package shell

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrNoRoom is what an Opener returns when the target allows no more shells at
// the same time (MaxSessions of sshd).
var ErrNoRoom = errors.New("the target allows no more sessions")

// Set holds the shells on one target, one for each user. A shell is started when
// it is first wanted, and again after it was lost. Where the target has no room
// for another, one that is idle makes way. A Set is safe for concurrent use.
type Set struct {
	open     Opener
	starting chan struct{} // held while a shell is started
	released chan struct{} // receives when a shell becomes idle; holds one

	mu      sync.Mutex
	members map[string]*member // by Become.Key
	closed  bool
}

type member struct {
	shell *Shell
	users int // how many commands use it now
}

// NewSet makes a Set without shells.
func NewSet(open Opener) *Set {
	return &Set{
		open:     open,
		starting: make(chan struct{}, 1),
		released: make(chan struct{}, 1),
		members:  map[string]*member{},
	}
}

// With calls do with the shell of the user. The shell stays up for that long.
func (t *Set) With(ctx context.Context, as Become, do func(*Shell) error) error {
	m, err := t.acquire(ctx, as)
	if err != nil {
		return err
	}
	defer t.release(m)
	return do(m.shell)
}

// Close ends every shell.
func (t *Set) Close() error {
	t.mu.Lock()
	t.closed = true
	members := t.members
	t.members = map[string]*member{}
	t.mu.Unlock()
	var all sync.WaitGroup
	for _, m := range members {
		all.Go(func() { _ = m.shell.Close() }) // has no error
	}
	all.Wait()
	return nil
}

func (t *Set) acquire(ctx context.Context, as Become) (*member, error) {
	if m := t.use(as.Key()); m != nil {
		return m, nil
	}
	select {
	case t.starting <- struct{}{}:
		defer func() { <-t.starting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m := t.use(as.Key()); m != nil { // another started it meanwhile
		return m, nil
	}
	for try := 0; ; try++ {
		s, err := New(ctx, t.open, as)
		if err == nil {
			return t.add(as.Key(), s)
		}
		if !errors.Is(err, ErrNoRoom) {
			return nil, err
		}
		if err := t.makeRoom(ctx, try, err); err != nil {
			return nil, err
		}
	}
}

// use counts one more user of a shell that is up, or returns nil.
func (t *Set) use(key string) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[key]
	if m == nil {
		return nil
	}
	select {
	case <-m.shell.Done():
		delete(t.members, key)
		return nil
	default:
		m.users++
		return m
	}
}

func (t *Set) add(key string, s *Shell) (*member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		s.end(errClosed)
		return nil, &Lost{Err: errClosed}
	}
	m := &member{shell: s, users: 1}
	t.members[key] = m
	return m, nil
}

func (t *Set) release(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.users--
	if m.users > 0 {
		return
	}
	select {
	case t.released <- struct{}{}:
	default:
	}
}

// maxPauses is how often a target without a shell of ours may say that it has no
// room: sshd counts a session for a moment after its end.
const maxPauses = 6

// makeRoom closes a shell that nobody uses, and waits for one if need be.
func (t *Set) makeRoom(ctx context.Context, try int, full error) error {
	for {
		idle, left := t.takeIdle()
		if idle != nil {
			return idle.Close()
		}
		var again <-chan time.Time
		if !left {
			if try >= maxPauses {
				return full
			}
			again = time.After(20 * time.Millisecond << try)
		}
		select {
		case <-t.released:
		case <-again:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// takeIdle takes a shell that nobody uses out of the set, or says whether any
// shell is left to wait for.
func (t *Set) takeIdle() (idle *Shell, left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, m := range t.members {
		if m.users == 0 {
			delete(t.members, key)
			return m.shell, true
		}
	}
	return nil, len(t.members) > 0
}
