package modules

import "context"

func init() {
	register(Def{
		Name: "meta",
		Doc:  "Tell the engine what to do next",
		New:  func() Module { return &meta{} },
	})
}

type meta struct {
	Action string `arg:"action,free,required" enum:"flush_handlers end_play end_host end_batch clear_host_errors reset_connection noop" doc:"What to do: run the handlers that are due, end the play, this host or the batch, take failed hosts back, connect anew, or nothing."`
}

// Check finds nothing: the engine acts on the action itself.
func (m *meta) Check(context.Context, Target) (Change, error) { return Change{}, nil }
