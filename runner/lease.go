package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"runbook/modules"
)

const (
	renewals   = 4                // in the time for which a lease outlives its holder
	holdLimit  = 10 * time.Second // one request for a lease
	graceOfAll = 10 * time.Second // giving all leases back
)

// leases are those that the run has, and keeps until it ends. The zero value
// is ready.
type leases struct {
	mu  sync.Mutex
	all []*lease
}

// lease is one of them, renewed in the background.
type lease struct {
	step    modules.Hold
	cluster Cluster
	stop    context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex
	renewed time.Time // when the request began that last succeeded
	lost    error     // another has it
}

// take takes a lease, or takes it over from an earlier life of the run, and keeps
// it from now on.
func (k *leases) take(ctx context.Context, c Cluster, s modules.Hold, by modules.RunName) error {
	h := &lease{step: s, cluster: c, ended: make(chan struct{})}
	if err := h.ask(ctx, s.Duration, by, c.Hold); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	k.mu.Lock()
	k.all = append(k.all, h)
	k.mu.Unlock()
	go h.keep(running, by)
	return nil
}

// renew asks for the lease once more, which the run must have.
func (h *lease) renew(ctx context.Context, by modules.RunName) error {
	return h.ask(ctx, min(holdLimit, h.step.Duration/2), by, h.cluster.Renew)
}

func (h *lease) ask(ctx context.Context, limit time.Duration, by modules.RunName, how func(context.Context, modules.Hold, modules.RunName) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := how(ctx, h.step, by)
	h.mu.Lock()
	defer h.mu.Unlock()
	var held *modules.LeaseHeld
	switch {
	case err == nil:
		h.renewed = began // the server's time of it is later
	case errors.As(err, &held):
		h.lost = err
	}
	return err
}

// keep renews until the run ends, or another has the lease. An API that does not
// answer is asked again: whether the lease is still good is judged by sound.
func (h *lease) keep(ctx context.Context, by modules.RunName) {
	defer close(h.ended)
	for sleep(ctx, h.step.Duration/renewals) == nil {
		var held *modules.LeaseHeld
		if err := h.renew(ctx, by); errors.As(err, &held) {
			return
		}
	}
}

// sound says whether the lease is the run's beyond doubt: it was renewed so lately
// that nobody else can have it, even if the clocks drift a little.
func (h *lease) sound(ctx context.Context, by modules.RunName) error {
	if h.state() == nil {
		return nil
	}
	_ = h.renew(ctx, by) // a good answer is all that counts
	return h.state()
}

func (h *lease) state() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := h.step.Lease.Namespace + "/" + h.step.Lease.Name
	switch age := time.Since(h.renewed); {
	case h.lost != nil:
		return fmt.Errorf("the lease %s was lost: %w; nothing more is done", name, h.lost)
	case age > h.step.Duration*3/4:
		return fmt.Errorf("the lease %s could not be renewed for %s, and may be another's now: nothing is done", name, age.Round(time.Second))
	}
	return nil
}

// sound says whether the run may take a step: it has every lease that it holds.
func (k *leases) sound(ctx context.Context, by modules.RunName) error {
	k.mu.Lock()
	all := k.all
	k.mu.Unlock()
	for _, h := range all {
		if err := h.sound(ctx, by); err != nil {
			return err
		}
	}
	return nil
}

// release gives all leases back. One that cannot be given back ends by itself.
func (k *leases) release(ctx context.Context, by modules.RunName) {
	k.mu.Lock()
	all := k.all
	k.all = nil
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, graceOfAll)
	defer cancel()
	for _, h := range all {
		h.stop()
		<-h.ended
		_ = h.cluster.Release(ctx, h.step, by)
	}
}

// isHold says whether what the step brings about ends with the life of the run.
func isHold(s modules.Step) bool {
	_, hold := s.(modules.Hold)
	return hold
}
