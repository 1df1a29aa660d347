package runner

import (
	"context"
	"net"
	"time"

	"runbook/modules"
)

// queryLimit bounds a look at a machine: what takes longer is hung, not slow.
const queryLimit = 2 * time.Minute

// target is one machine as modules see it and, for take, as the engine does.
type target struct {
	name      string                                 // of the machine
	user      string                                 // the machine, and whose rights the task has there
	open      func(context.Context) (Machine, error) // reaches it, the first time
	reopen    func(context.Context) (Machine, error) // reaches it anew: the connection was lost
	cluster   func(context.Context) (Cluster, error)
	env       map[string]string
	predicted *predictions // of a plan; nil: an apply
	run       modules.RunName
}

var _ modules.Target = (*target)(nil)

func (t *target) Query(ctx context.Context, cmd modules.Run) (modules.Output, error) {
	if cmd.Limit == 0 {
		cmd.Limit = queryLimit
	}
	cmd.Env = merged(t.env, cmd.Env)
	machine, err := t.open(ctx)
	if err != nil {
		return modules.Output{}, err
	}
	return machine.Query(ctx, cmd)
}

func (t *target) ReadFile(ctx context.Context, path string) (modules.File, error) {
	if t.predicted != nil {
		return t.predicted.readFile(ctx, t.name, path, t.readFile)
	}
	return t.readFile(ctx, path)
}

func (t *target) readFile(ctx context.Context, path string) (modules.File, error) {
	machine, err := t.open(ctx)
	if err != nil {
		return modules.File{}, err
	}
	return machine.ReadFile(ctx, path)
}

func (t *target) Fetch(ctx context.Context, req modules.Request) (modules.Response, error) {
	if req.ViaHost {
		machine, err := t.open(ctx)
		if err != nil {
			return modules.Response{}, err
		}
		return fetch(ctx, machine.DialContext, req)
	}
	return fetch(ctx, new(net.Dialer).DialContext, req)
}

func (t *target) Cluster(ctx context.Context) (modules.Cluster, error) {
	c, err := t.cluster(ctx)
	if err != nil {
		return nil, err // not c: a nil Cluster in the interface would not be nil
	}
	return c, nil
}

func (t *target) Run() modules.RunName { return t.run }

func (t *target) Predicted(thing modules.Thing, name string) (modules.Effect, bool) {
	if t.predicted == nil {
		return modules.Effect{}, false
	}
	return t.predicted.of(t.name)(thing, name)
}
