package runner

import (
	"context"
	"net"

	"runbook/modules"
)

// Machine is a host that was reached. The engine defines it; the edges
// (runner/ssh, runner/local) satisfy it through runner/cli.
type Machine interface {
	Shell
	Files
	Wire
}

// Shell runs commands and reads files as one user of the machine.
type Shell interface {
	Run(ctx context.Context, cmd modules.Run) (modules.Output, error)
	ReadFile(ctx context.Context, path string) (modules.File, error)
}

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
	// Take carries out an APIStep, PodExec or PodRun.
	Take(ctx context.Context, s modules.Step) (modules.Output, error)
	// Watch ticks whenever one of the objects changes, until ctx ends.
	Watch(ctx context.Context, refs []modules.Ref) (<-chan struct{}, error)
}

// unreachable is how an edge marks an error that says the machine cannot be
// reached, as opposed to one that the machine gave.
type unreachable interface{ Unreachable() bool }
