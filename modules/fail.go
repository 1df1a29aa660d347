package modules

import (
	"context"
	"errors"
)

func init() {
	register(Def{
		Name: "fail",
		Doc:  "Fail with a message",
		New:  func() Module { return &fail{Msg: "Failed as requested from task"} },
	})
}

type fail struct {
	Msg string `arg:"msg" doc:"Why the play cannot go on."`
}

func (m *fail) Check(context.Context, Target) (Change, error) {
	return Change{}, errors.New(m.Msg)
}
