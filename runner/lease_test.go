package runner

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// leaseCluster is a small cluster with leases, of which one or the other thing
// happens to them.
type leaseCluster struct {
	smallCluster
	mu      sync.Mutex
	holder  string // of the one lease there is
	renewed time.Time
	away    bool // the API does not answer
	asked   int  // renewals
}

func (c *smallCluster) Hold(context.Context, modules.Hold, modules.RunName) error {
	return errors.New("no leases here")
}
func (c *smallCluster) Renew(context.Context, modules.Hold, modules.RunName) error {
	return errors.New("no leases here")
}
func (c *smallCluster) Release(context.Context, modules.Hold, modules.RunName) error {
	return errors.New("no leases here")
}

func (c *leaseCluster) Get(ctx context.Context, ref modules.Ref) (modules.Object, error) {
	if ref.Kind != "lease" {
		return c.smallCluster.Get(ctx, ref)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return modules.Object{"spec": map[string]any{"holderIdentity": c.holder, "leaseDurationSeconds": int64(60),
		"renewTime": c.renewed.Format(time.RFC3339Nano)}}, nil
}

func (c *leaseCluster) Hold(_ context.Context, h modules.Hold, by modules.RunName) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := modules.LeaseState{Holder: c.holder, Renewed: c.renewed, Duration: h.Duration}
	if !state.TakenFrom(by, time.Now()) {
		return &modules.LeaseHeld{Lease: "lease x", By: c.holder}
	}
	c.holder, c.renewed = by.String(), time.Now()
	return nil
}

func (c *leaseCluster) Renew(_ context.Context, h modules.Hold, by modules.RunName) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	switch {
	case c.away:
		return errors.New("connection refused")
	case c.holder != by.String():
		return &modules.LeaseHeld{Lease: "lease x", By: c.holder}
	}
	c.renewed = time.Now()
	return nil
}

func (c *leaseCluster) Release(_ context.Context, _ modules.Hold, by modules.RunName) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holder == by.String() {
		c.holder = ""
	}
	return nil
}

func (c *leaseCluster) set(do func(*leaseCluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(c)
}

var aMinute = modules.Hold{Lease: modules.Ref{Kind: "lease", Namespace: "n", Name: "x"}, Duration: time.Minute}

// TestALeaseIsKeptWhileTheRunLasts: in a time of its own, in which minutes pass at once.
func TestALeaseIsKeptWhileTheRunLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, c := modules.RunName{ID: "r1", Life: "l1"}, &leaseCluster{}
		var k leases
		require.NoError(t, k.sound(t.Context(), me), "who holds nothing may do everything")
		require.NoError(t, k.take(t.Context(), c, aMinute, me))

		<-time.After(10 * time.Minute)
		synctest.Wait()
		require.NoError(t, k.sound(t.Context(), me))
		c.set(func(c *leaseCluster) { require.InDelta(t, 40, c.asked, 1) })

		c.set(func(c *leaseCluster) { c.away = true })
		<-time.After(30 * time.Second)
		require.NoError(t, k.sound(t.Context(), me), "an API that restarts is no loss")
		<-time.After(30 * time.Second)
		require.ErrorContains(t, k.sound(t.Context(), me), "the lease n/x could not be renewed for 1m0s, and may be another's now: nothing is done")
		c.set(func(c *leaseCluster) { c.away = false })
		require.NoError(t, k.sound(t.Context(), me), "it is asked once more before the step is refused")

		k.release(t.Context(), me)
		c.set(func(c *leaseCluster) { require.Empty(t, c.holder) })
		require.NoError(t, k.sound(t.Context(), me))
	})
}

func TestALeaseThatIsLostStaysLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, c := modules.RunName{ID: "r1", Life: "l1"}, &leaseCluster{}
		var k leases
		require.NoError(t, k.take(t.Context(), c, aMinute, me))
		c.set(func(c *leaseCluster) { c.holder = "runbook/r1/l2/ann" }) // a later life of the run
		<-time.After(20 * time.Second)
		synctest.Wait()
		lost := "the lease n/x was lost: lease x is held by runbook/r1/l2/ann"
		require.ErrorContains(t, k.sound(t.Context(), me), lost)
		c.set(func(c *leaseCluster) { c.holder = me.String() })
		require.ErrorContains(t, k.sound(t.Context(), me), lost)
		k.release(t.Context(), me)
	})
}

const leasedRun = `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: alone, lease: {name: x, namespace: n, kured: false}}
  - {name: first, command: do first}
  - {name: second, command: do second}
`

func withLeases(c *leaseCluster, life string) func(*Runner, *fleet) {
	return func(r *Runner, _ *fleet) {
		r.Holder = Holder{Run: "r1", Session: life, Who: "ann"}
		r.Cluster = func(context.Context, Reach) (Cluster, error) { return c, nil }
	}
}

// TestNoStepIsTakenWithoutTheLease: once another has it the run does nothing more.
func TestNoStepIsTakenWithoutTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &leaseCluster{}
		l := newLives(t, leasedRun)
		l.stage.ended = func(_ context.Context, cmd string) {
			c.set(func(c *leaseCluster) { c.holder = "runbook/r2/l1/bob" })
			<-time.After(2 * time.Minute) // the machine that runbook runs on was asleep
		}
		l.live(0, withLeases(c, "l1"))
		require.True(t, l.summary.Failed)
		require.Equal(t, []string{"h1: do first"}, l.did())
		require.Contains(t, l.result("second", "h1").Msg, "the lease n/x was lost")
		c.set(func(c *leaseCluster) {
			require.Equal(t, "runbook/r2/l1/bob", c.holder, "what is another's is not given back")
		})
	})
}

// TestAResumedRunTakesItsLeaseAgain: it was the dead one's, and nobody renewed it.
func TestAResumedRunTakesItsLeaseAgain(t *testing.T) {
	c := &leaseCluster{}
	l := newLives(t, leasedRun)
	l.live(3, withLeases(c, "l1")) // dies with the intent of the first command
	c.set(func(c *leaseCluster) { c.holder, c.renewed = "runbook/r1/l0/ann", time.Now() })
	l.live(0, withLeases(c, "l2"))
	require.False(t, l.summary.Failed, l.messages())
	require.Equal(t, OK, l.result("alone", "h1").Status)
	require.Equal(t, []string{"h1: do first", "h1: do second"}, l.did())
	c.set(func(c *leaseCluster) { require.Empty(t, c.holder, "it is given back at the end") })

	c.set(func(c *leaseCluster) { c.holder, c.renewed = "runbook/r2/l1/bob", time.Now() })
	other := newLives(t, leasedRun).live(0, withLeases(c, "l1"))
	require.Contains(t, other.result("alone", "h1").Msg, "held by runbook/r2/l1/bob")
	require.Empty(t, other.did())
}
