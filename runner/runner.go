// Package runner carries plays out: it checks, takes the steps and checks
// again. The loop is the product, and plan is the same loop, stopped before the
// steps.
package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
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
	Journal   Journal         // of an apply: what happens; of a plan: its verdicts
	Seal      Seal            // for what no journal and no plan may show
	Past      *Past           // of a run that is resumed
	Pending   []Notification  // handlers that earlier runs of this playbook left
	Signed    *Signed         // the plan that is carried out, and nothing else
	Stopping  <-chan struct{} // closed: take no new tasks, let those at work end
	Holder    Holder          // for the targets' locks
	Patience  time.Duration   // how long to wait for a target that another run has
	Reconnect time.Duration   // how long a machine that was lost in the middle of a command may take to come back; a minute where zero
	// Doubt decides what becomes of a command that may have run and cannot be
	// foreseen or verified, when nobody knows how it ended. Where nil, the task fails.
	Doubt func(context.Context, Intent) (Doubt, error)
}

// Past is what a run did in its earlier lives.
type Past struct {
	Outcomes map[Key]Outcome  // the last of each
	Begun    map[Key][]Intent // those that no outcome followed, in order
	Kept     map[Key][]string // the names of all its commands, which the target may still keep
	Pods     []KeptPod        // of all its steps, which the cluster may still keep
	Adopted  []Notification
	Seen     map[Key][]byte // what modules saw first, before the steps of their last attempt

	at      map[Key]int            // which record the outcome is: later ones have higher numbers
	stepped int                    // which record was the last intent
	ended   int                    // which record said that a life had come to its end, and not died
	adopted []int                  // likewise of Adopted
	labels  map[Key]map[int]string // of a loop's items, by their numbers
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
	left      leavings
	locks     locks
	leases    leases
	aims      []string // the hosts of all plays, this machine aside
	secrets   secrets
	hosts     map[string]*host // that a play has had
	everyone  []string         // whose variables hostvars shows: the inventory's hosts and the plays'
	over      bool             // no later play runs
	playNames []string         // rendered
	predicted predictions      // of a plan: what earlier tasks would have done

	background context.Context       // of records: written even while the run is interrupted
	broken     atomic.Pointer[error] // the first record that could not be kept
	seeds      []seed                // handlers that earlier runs and lives left
	owing      sync.Mutex
	owed       map[debt]Notification

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
	cleaning    bool // out of the run, and what a rescue or always does without it is under way
	ended       bool // end_host: out of the play, with honour
	drifted     bool // out of the run, as it is not what the signed plan says
	pending     bool // a plan: an earlier task would change it
	recap       Recap
	latest      int // when the latest result of the block at work came about: a record's number, or lately
	fell        int // likewise, of what failed last
	since       int // what is recalled must have come about later
	recheck     int // likewise, where a Check can see whether it still holds
	retry       int // likewise, of what failed where a rescue stood by
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
	rn := &run{Runner: r, book: book, inventory: inv, extra: extra, hosts: map[string]*host{},
		owed: map[debt]Notification{}, background: context.WithoutCancel(ctx)}
	rn.machines.dial = r.Dial
	rn.everyone = slices.Clone(inv.Groups()["all"])
	if err := rn.prepare(); err != nil {
		return Summary{}, err
	}
	defer rn.machines.closeAll()
	rn.emit(RunStarted{Playbook: book.Path, Plan: r.Plan, Tasks: count(book), Resumed: r.Past != nil, Pending: r.Pending, At: started})
	err := rn.plays(ctx)
	s := rn.summary()
	s.Interrupted = rn.halted(ctx)
	rn.giveBack(ctx)
	done := RunDone{Recap: rn.recaps(), Plan: r.Plan, Pending: rn.debts(), Took: time.Since(started), At: time.Now()}
	if r.Plan {
		done.Rescues = rescues(book)
	}
	if err == nil {
		err = rn.close(s, done)
	}
	rn.emit(done)
	return s, err
}

func (rn *run) plays(ctx context.Context) error {
	for i := range rn.book.Plays {
		if err := rn.play(ctx, i+1); err != nil {
			return err
		}
		if broken := rn.broken.Load(); broken != nil {
			return *broken
		}
		if rn.over || rn.halted(ctx) {
			return nil
		}
	}
	return nil
}

// prepare finds mistakes that no host needs to be asked about, and takes over
// what earlier runs left.
func (rn *run) prepare() error {
	if err := rn.patterns(); err != nil {
		return err
	}
	for _, written := range rn.book.Plays {
		name, err := (&play{run: rn, play: written}).name()
		if err != nil {
			return err
		}
		rn.playNames = append(rn.playNames, rn.secrets.text(name))
	}
	if rn.Holder.Run == "" {
		rn.Holder.Run = newID()
	}
	if rn.Holder.Session == "" {
		rn.Holder.Session = newID()
	}
	return rn.adopt()
}

// giveBack leaves nothing of the run with others: no lease, no pod, no results of
// commands. It comes before the end is written down: a run that dies meanwhile has
// not ended, and gives back when it is resumed.
func (rn *run) giveBack(ctx context.Context) {
	rn.leases.release(rn.background, rn.name())
	rn.sweepPods()
	rn.left.clear(rn.background, !rn.halted(ctx))
}

// close writes down how the run ended: an interrupted one has not.
func (rn *run) close(s Summary, done RunDone) error {
	if s.Interrupted {
		return rn.put(rn.background, Halted{Reason: "interrupted", At: done.At}, true)
	}
	return rn.put(rn.background, Ended{Recap: done.Recap, Summary: s, Took: done.Took, At: done.At}, true)
}

// halted says that the run takes no more tasks.
func (rn *run) halted(ctx context.Context) bool {
	select {
	case <-rn.Stopping:
		return true
	default:
	}
	return ctx.Err() != nil || rn.broken.Load() != nil
}

// interruptible is ctx with an end that says to the tasks at work what it means
// for them.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cancel(&interruption{context.Cause(ctx)})
	})
	return inner, func() {
		stop()
		cancel(nil)
	}
}

// interruption is why the tasks at work were ended with the run.
type interruption struct{ cause error }

func (i *interruption) Error() string {
	return fmt.Sprintf("interrupted (%v): how far it came is not known", i.cause)
}

func (i *interruption) Unwrap() error { return i.cause }

func isInterruption(err error) bool {
	var i *interruption
	return errors.As(err, &i)
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
		r := h.recap
		s.Changes = s.Changes || r.Changed+r.WouldChange+r.WouldRun+r.WouldWait+r.Unknown > 0
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

// rescues is how many tasks run only where another fails.
func rescues(book *playbooks.Playbook) int {
	n := 0
	for _, p := range book.Plays {
		for place := range maps.Values(places(p)) {
			if strings.Contains(place, "/rescue/") {
				n++
			}
		}
	}
	return n
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
