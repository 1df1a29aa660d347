package modules

import (
	"context"
	"errors"
	"time"
)

func init() {
	register(Def{
		Name: "pause",
		Doc:  "Wait for some time",
		New:  func() Module { return &pause{} },
	})
}

type pause struct {
	Seconds *time.Duration `arg:"seconds" doc:"How long to wait, in seconds."`
	Minutes *float64       `arg:"minutes" doc:"How long to wait, in minutes."`
	Prompt  string         `arg:"prompt" doc:"What to say meanwhile; nothing is asked, so a time must be given too."`
}

func (m *pause) Validate() error {
	switch {
	case m.Seconds != nil && m.Minutes != nil:
		return errors.New("seconds and minutes exclude each other; keep one of them")
	case m.Seconds == nil && m.Minutes == nil:
		return errors.New("neither seconds nor minutes given: waiting for an answer needs a terminal and is not supported")
	case m.length() < 0:
		return errors.New("the time to wait must not be negative")
	}
	return nil
}

func (m *pause) length() time.Duration {
	if m.Seconds != nil {
		return *m.Seconds
	}
	if m.Minutes != nil {
		return time.Duration(*m.Minutes * float64(time.Minute))
	}
	return 0
}

func (m *pause) Check(context.Context, Target) (Change, error) {
	d := m.length()
	change := Change{
		Steps: []Step{Pause{For: d}},
		Vars:  map[string]any{"stdout": "Paused for " + d.String(), "delta": int64(d / time.Second)},
	}
	if m.Prompt != "" {
		change.Notes = []string{m.Prompt}
	}
	return change, nil
}
