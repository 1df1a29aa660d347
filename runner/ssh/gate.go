package ssh

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	atOnce     = 8                      // handshakes with one server; sshd begins to drop them at ten (MaxStartups 10:30:100)
	maxTries   = 6                      // when it drops them all the same
	firstPause = 200 * time.Millisecond // before the second try; then it doubles
	maxPause   = 5 * time.Second
)

// gates let only so many handshakes with one server go on at the same time. The
// zero gates are open.
type gates struct {
	mu   sync.Mutex
	byTo map[string]chan struct{}
}

// enter waits for a place at the server. The place is given back with leave.
func (g *gates) enter(ctx context.Context, to string) (leave func(), err error) {
	g.mu.Lock()
	if g.byTo == nil {
		g.byTo = map[string]chan struct{}{}
	}
	places := g.byTo[to]
	if places == nil {
		places = make(chan struct{}, atOnce)
		g.byTo[to] = places
	}
	g.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// pause waits that long and up to as much again by chance, so that those who
// were dropped together do not come back together.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
