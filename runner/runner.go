// Package runner carries plays out: it checks, takes the steps and checks
// again. The loop is the product, and plan is the same loop, stopped before the
// steps.
package runner

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// Runner is one run's settings and edges. Dial, Cluster and Emit must be set.
type Runner struct {
	Plan      bool // stop before the steps
	Forks     int  // hosts at once; 32 where zero
	Limit     string
	Verbosity int // how many -v
	Defaults  Defaults
	Selection Selection

	Dial    func(context.Context, Address) (Machine, error)
	Cluster func(context.Context, Reach) (Cluster, error) // asked once a run, when the first task needs it
	Emit    func(Event)

	// What makes a run one that nothing can lose. The zero values keep nothing
	// and know of nothing earlier.
	Journal  Journal         // of an apply: what happens; of a plan: its verdicts
	Seal     Seal            // for what no journal and no plan may show
	Past     *Past           // of a run that is resumed
	Pending  []Notification  // handlers that earlier runs of this playbook left
	Signed   *Signed         // the plan that is carried out, and nothing else
	Stopping <-chan struct{} // closed: take no new tasks, let those at work end
	Holder   Holder          // for the targets' locks
	Patience time.Duration   // how long to wait for a target that another run has
	// Doubt decides what becomes of a command that may have run and cannot be
	// foreseen or verified, when nobody knows how it ended. Where nil, the task fails.
	Doubt func(context.Context, Intent) (Doubt, error)
}

// Past is what a run did in its earlier lives.
type Past struct {
	Outcomes map[Key]Outcome     // the last of each
	Begun    map[Key][]Intent    // those that no outcome followed, in order
	Kept     map[string][]string // by host: the names of all its commands, which the target may still keep
	Adopted  []Notification
}

// Signed is a plan that was approved.
type Signed struct {
	Work   map[Key]Outcome // its verdicts
	Replan bool            // what differs from the plan is done all the same
}

// Doubt is what to do about a command of which nobody knows whether it ran.
type Doubt string

// The ways out of doubt.
const (
	Rerun Doubt = "rerun"
	Skip  Doubt = "skip" // it counts as done, with nothing known of it
	Fail  Doubt = "fail"
)

// Reach opens the machine of an inventory host, for edges that stand on
// another (the API dialled through a control-plane host).
type Reach func(ctx context.Context, host string) (Machine, error)

const defaultForks = 32

// Summary is what a run came to.
type Summary struct {
	Failed      bool `json:"failed,omitempty"`      // a host has, and neither a rescue nor clear_host_errors took it back
	Unreachable bool `json:"unreachable,omitempty"` // likewise
	Interrupted bool `json:"interrupted,omitempty"`
	Changes     bool `json:"changes,omitempty"` // a plan: there is something to do; an apply: something was done
}

// run is a Runner at work on one playbook.
type run struct {
	*Runner
	book      *playbooks.Playbook
	inventory *inventory.Inventory
	extra     playbooks.Layer
	machines  machines
	secrets   secrets
	hosts     map[string]*host // that a play has had
	everyone  []string         // whose variables hostvars shows: the inventory's hosts and the plays'
	over      bool             // no later play runs

	emitting    sync.Mutex
	opening     sync.Mutex
	opened      bool
	clusterConn Cluster
	clusterErr  error
}

// host is what the run knows of one host. Only the goroutine that has the host
// in hand touches it.
type host struct {
	name        string
	facts, set  playbooks.Layer
	failed      bool // out of the play, unless a rescue takes it back
	unreachable bool // out of the run
	ended       bool // end_host: out of the play, with honour
	pending     bool // a plan: an earlier task would change it
	recap       Recap
}

func (h *host) up() bool { return !h.failed && !h.unreachable }

// going says whether the play goes on with the host.
func (h *host) going() bool { return h.up() && !h.ended }

// Run carries out the plays. An error means that the run could not go on at all
// (a pattern that names no host); what hosts reported is in the Summary.
func (r *Runner) Run(ctx context.Context, book *playbooks.Playbook, inv *inventory.Inventory, extra playbooks.Layer) (Summary, error) {
	started := time.Now()
	ctx, stop := interruptible(ctx)
	defer stop()
	rn := &run{Runner: r, book: book, inventory: inv, extra: extra, hosts: map[string]*host{}}
	rn.machines.dial = r.Dial
	rn.everyone = slices.Clone(inv.Groups()["all"])
	if err := rn.patterns(); err != nil {
		return Summary{}, err
	}
	defer rn.machines.closeAll()
	rn.emit(RunStarted{Playbook: book.Path, Plan: r.Plan, Tasks: count(book), At: started})
	var err error
	for _, p := range book.Plays {
		if err = rn.play(ctx, p); err != nil || rn.over || ctx.Err() != nil {
			break
		}
	}
	s := rn.summary()
	s.Interrupted = ctx.Err() != nil
	rn.emit(RunDone{Recap: rn.recaps(), Plan: r.Plan, Took: time.Since(started), At: time.Now()})
	return s, err
}

// interruptible is ctx with an end that says to the tasks at work what it means
// for them.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cancel(fmt.Errorf("interrupted (%w): how far it came is not known", context.Cause(ctx)))
	})
	return inner, func() {
		stop()
		cancel(nil)
	}
}

func (rn *run) recaps() []Recap {
	all := make([]Recap, 0, len(rn.hosts))
	for _, h := range rn.hosts {
		if h.recap == (Recap{}) {
			continue // its batch was never begun
		}
		h.recap.Host = h.name
		all = append(all, h.recap)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Host < all[j].Host })
	return all
}

func (rn *run) summary() Summary {
	var s Summary
	for _, h := range rn.hosts {
		s.Failed = s.Failed || h.failed
		s.Unreachable = s.Unreachable || h.unreachable
		s.Changes = s.Changes || h.recap.Changed+h.recap.WouldChange+h.recap.WouldRun > 0
	}
	return s
}

// emit hands an event on, one at a time and without secrets.
func (rn *run) emit(e Event) {
	e = rn.secrets.event(e)
	rn.emitting.Lock()
	defer rn.emitting.Unlock()
	rn.Emit(e)
}

// cluster opens the Kubernetes API once for all tasks.
func (rn *run) cluster(p *play) func(context.Context) (Cluster, error) {
	return func(ctx context.Context) (Cluster, error) {
		rn.opening.Lock()
		defer rn.opening.Unlock()
		if !rn.opened {
			conn, err := rn.Cluster(ctx, p.reach)
			if err != nil && ctx.Err() != nil {
				return nil, err // the task is out of time: that says nothing of the cluster
			}
			rn.opened, rn.clusterConn, rn.clusterErr = true, conn, err
		}
		return rn.clusterConn, rn.clusterErr
	}
}

// host is the run's record of a host, made when a play first has it.
func (rn *run) host(name string) *host {
	h := rn.hosts[name]
	if h == nil {
		h = &host{name: name, facts: playbooks.Layer{}, set: playbooks.Layer{}}
		rn.hosts[name] = h
		if !slices.Contains(rn.everyone, name) {
			rn.everyone = append(rn.everyone, name)
		}
	}
	return h
}

// learn keeps what a task found or set, for later tasks on the same host.
func learn(into playbooks.Layer, facts map[string]any) {
	for name, v := range facts {
		into[name] = jinja.FromGo(v)
	}
}

// count is how many tasks are written in a playbook, handlers aside.
func count(book *playbooks.Playbook) int {
	n := 0
	for _, p := range book.Plays {
		n += countNodes(p.PreTasks) + countNodes(p.Tasks) + countNodes(p.PostTasks)
	}
	return n
}

func countNodes(nodes []playbooks.Node) int {
	n := 0
	for _, node := range nodes {
		switch node := node.(type) {
		case *playbooks.Task:
			n++
		case *playbooks.Block:
			n += countNodes(node.Tasks) + countNodes(node.Rescue) + countNodes(node.Always)
		}
	}
	return n
}
