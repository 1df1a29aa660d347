package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func init() {
	register(Def{
		Name: "ping",
		Doc:  "Show that the host can be reached and runs commands",
		New:  func() Module { return &ping{Data: "pong"} },
	})
}

type ping struct {
	Data string `arg:"data" doc:"What to answer; \"crash\" fails instead."`
}

func (m *ping) Check(ctx context.Context, t Target) (Change, error) {
	if m.Data == "crash" {
		return Change{}, errors.New("data is \"crash\": failed as asked")
	}
	out, err := t.Query(ctx, Run{Shell: ":"})
	if err != nil {
		return Change{}, err
	}
	if out.Code != 0 {
		return Change{}, fmt.Errorf("the shell answers, but cannot even do nothing: exit code %d: %s",
			out.Code, strings.TrimSpace(out.Stderr))
	}
	return Change{Vars: map[string]any{"ping": m.Data}}, nil
}
