package cli

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"runbook/runner"
)

// wayLimit bounds a try through one host: one that is going down takes packets and
// answers none.
const wayLimit = 5 * time.Second

// way leads to the API through the control plane's hosts: through the one that led
// there last, and where that is away, as it reboots, through the next.
type way struct {
	reach runner.Reach
	hosts []string
	mu    sync.Mutex
	at    int // which host led there last
}

func (w *way) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	first := w.at
	w.mu.Unlock()
	var errs []string
	for i := range w.hosts {
		n := (first + i) % len(w.hosts)
		conn, err := w.through(ctx, w.hosts[n], network, addr)
		if err == nil {
			w.mu.Lock()
			w.at = n
			w.mu.Unlock()
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = append(errs, err.Error())
	}
	return nil, fmt.Errorf("no control-plane host leads to %s: %s", addr, strings.Join(errs, "; "))
}

func (w *way) through(ctx context.Context, host, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, wayLimit)
	defer cancel()
	machine, err := w.reach(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	conn, err := machine.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	return conn, nil
}
