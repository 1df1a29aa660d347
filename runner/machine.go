package runner

import (
	"context"
	"errors"
	"net"
	"time"

	"runbook/modules"
)

// Machine is a host that was reached. The engine defines it; the edges
// (runner/ssh, runner/local) satisfy it through runner/cli.
type Machine interface {
	Shell
	Files
	Keeper
	Wire
}

// Shell looks at the machine as one of its users.
type Shell interface {
	// Query runs a read-only command; it is ended with the connection.
	Query(ctx context.Context, cmd modules.Run) (modules.Output, error)
	ReadFile(ctx context.Context, path string) (modules.File, error)
}

// Keeper carries out the commands that change the machine. It stands on the
// machine itself, so that what it knows outlives the connection and this program.
type Keeper interface {
	// Lock makes the run the only writer on the machine, for this user, until
	// the connection ends. It returns at once where the run has the lock. The
	// error is a *Held where another has it.
	Lock(ctx context.Context, by Holder) (Grip, error)
	// Unlock gives the lock back, under which nothing has been done.
	Unlock(ctx context.Context) error
	// Do runs a command that changes the machine, under a name that no other
	// command has. A name that the machine knows already is not run again: Do
	// then waits for what it came to. The machine must be locked.
	Do(ctx context.Context, id string, cmd modules.Run) (modules.Output, error)
	// Collect says what became of a command, and waits while it runs.
	Collect(ctx context.Context, id string) (Fate, modules.Output, error)
	// Forget drops what the machine keeps of commands.
	Forget(ctx context.Context, ids []string) error
}

// Holder says who has a machine, or wants it.
type Holder struct {
	Run     string    // the run's id: what an earlier life of the run holds is taken over
	Session string    // this life of the run: what it holds, all its connections hold
	Who     string    // user@controller
	Since   time.Time // by the controller's clock
}

// Grip is a lock that was had.
type Grip struct {
	Boot  string // names the machine's boot; empty where it does not say
	Fresh bool   // it was not held before: what was looked at so far may have changed since
}

// ErrUnlocked is the error of Do on a machine that is not locked any more: its
// shell was started again since. Nothing was done.
var ErrUnlocked = errors.New("the lock was lost")

// Held is the error of a lock that another has.
type Held struct{ By Holder }

func (h *Held) Error() string {
	return "locked by run " + h.By.Run + " of " + h.By.Who + " since " + h.By.Since.Format(time.DateTime)
}

// Fate is what became of a command that was to be carried out.
type Fate string

// The fates. Gone is that of a command of which the machine cannot say how it
// ended: it was killed with its supervisor, or the machine went down.
const (
	Never    Fate = "never started"
	Finished Fate = "finished"
	Gone     Fate = "gone"
)

// Files changes files as one user of the machine.
type Files interface {
	Write(ctx context.Context, w modules.Write) error
	Remove(ctx context.Context, r modules.Remove) error
}

// Wire is the connection itself.
type Wire interface {
	// DialContext opens a connection from the machine.
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	// As is the same machine as another user, over the same connection.
	As(ctx context.Context, b Become) (Machine, error)
	// Lost says that the connection is over: nothing can be done through it any more.
	Lost() bool
	Close() error
}

// Become says whose rights a task needs.
type Become struct {
	User     string // root where empty
	Method   string // sudo where empty
	Flags    string
	Password string
}

// Address says how to reach a host.
type Address struct {
	Name       string // in the inventory
	Connection string // ssh or local
	Host       string
	Port       int // 0: ssh_config's, or 22
	User       string
	Key        string // a private key file
	Password   string
	Args       string // ansible_ssh_common_args and ansible_ssh_extra_args
	HostKeys   string // strict, accept-new or off; strict where empty
}

// Cluster is the Kubernetes API as the engine needs it: looking, acting, and
// hearing of changes.
type Cluster interface {
	modules.Cluster
	// Take carries out an APIStep or PodExec.
	Take(ctx context.Context, s modules.Step) (modules.Output, error)
	// Run carries out a PodRun. A pod that has ended carries the mark and stays
	// until Clear, so that whoever resumes the run can ask how it ended.
	Run(ctx context.Context, s modules.PodRun, mark string) (modules.Output, error)
	// Collect waits until the pod of a Run has ended, and says how. Where there
	// is none, ran is false.
	Collect(ctx context.Context, namespace, mark string) (out modules.Output, ran bool, err error)
	// Clear removes what a Run has left: its result is written down.
	Clear(ctx context.Context, namespace, mark string) error
	// Hold takes a lease for a run: one that is free, that has ended, or that an
	// earlier life of the run has. The error is a *modules.LeaseHeld where another
	// has it.
	Hold(ctx context.Context, h modules.Hold, by modules.RunName) error
	// Renew is Hold of a lease that this life of the run has.
	Renew(ctx context.Context, h modules.Hold, by modules.RunName) error
	// Release gives a lease back, if the run has it.
	Release(ctx context.Context, h modules.Hold, by modules.RunName) error
	// Watch ticks whenever one of the objects changes, until ctx ends.
	Watch(ctx context.Context, refs []modules.Ref) (<-chan struct{}, error)
}

// unreachable is how an edge marks an error that says the machine cannot be
// reached, as opposed to one that the machine gave.
type unreachable interface{ Unreachable() bool }

// unsettled is how an edge marks an error that leaves open whether a command did
// what it does. The work is then neither done nor to be done again unasked.
type unsettled interface{ Unsettled() bool }
