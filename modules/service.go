package modules

import (
	"context"
	"errors"
)

func init() {
	register(Def{
		Name: "service",
		Doc:  "Start, stop, restart or reload a service, and say whether it starts at boot",
		New:  func() Module { return &service{} },
	})
	register(Def{
		Name: "systemd",
		Doc:  "Control a unit of systemd: running, started at boot, masked, its file read again",
		New:  func() Module { return &systemd{} },
	})
}

// service is the part of systemd that other init systems have too.
type service struct {
	Name    string `arg:"name,required" doc:"The service, as systemctl takes it."`
	State   string `arg:"state" enum:"started stopped restarted reloaded" doc:"started and stopped are states; restarted and reloaded happen once in each run."`
	Enabled *bool  `arg:"enabled" doc:"Whether it starts at boot."`

	first *unitState
}

// systemd is one unit, or with daemon_reload alone, all of them.
type systemd struct {
	Name         string `arg:"name" alias:"service unit" doc:"The unit; a service where it has no suffix."`
	State        string `arg:"state" enum:"started stopped restarted reloaded" doc:"started and stopped are states; restarted and reloaded happen once in each run."`
	Enabled      *bool  `arg:"enabled" doc:"Whether it starts at boot."`
	Masked       *bool  `arg:"masked" doc:"Whether it cannot be started at all."`
	DaemonReload bool   `arg:"daemon_reload" alias:"daemon-reload" doc:"Have systemd read changed unit files again, where there are any."`

	first *unitState
}

func (s *service) Validate() error {
	if s.State == "" && s.Enabled == nil {
		return errors.New("one of state or enabled is needed")
	}
	return validUnitName(s.Name)
}

func (s *service) Check(ctx context.Context, t Target) (Change, error) {
	now, err := lookAtUnit(ctx, t, s.Name, false)
	if err != nil {
		return Change{}, err
	}
	if s.first == nil {
		s.first = &now
	}
	return unitWish{name: s.Name, state: s.State, enabled: s.Enabled}.compare(t, *s.first, now)
}

// Seen and Recall make service a Rememberer: a restart is told by what the unit
// was before it.
func (s *service) Seen() []byte { return s.first.seen() }

// Recall takes what Seen gave.
func (s *service) Recall(seen []byte) (err error) {
	s.first, err = recallUnit(seen)
	return err
}

func (s *systemd) Validate() error {
	switch {
	case s.Name != "" && s.State == "" && s.Enabled == nil && s.Masked == nil && !s.DaemonReload:
		return errors.New("one of state, enabled, masked or daemon_reload is needed")
	case s.Name != "":
		return validUnitName(s.Name)
	case !s.DaemonReload:
		return errors.New("one of name or daemon_reload is needed")
	case s.State != "" || s.Enabled != nil || s.Masked != nil:
		return errors.New("name is needed with state, enabled and masked")
	}
	return nil
}

func (s *systemd) Check(ctx context.Context, t Target) (Change, error) {
	if s.Name == "" {
		return rereadUnits(ctx, t)
	}
	now, err := lookAtUnit(ctx, t, s.Name, s.DaemonReload)
	if err != nil {
		return Change{}, err
	}
	if s.first == nil {
		s.first = &now
	}
	wish := unitWish{name: s.Name, state: s.State, enabled: s.Enabled, masked: s.Masked, reread: s.DaemonReload}
	return wish.compare(t, *s.first, now)
}

// Seen and Recall make systemd a Rememberer, as service is one.
func (s *systemd) Seen() []byte { return s.first.seen() }

// Recall takes what Seen gave.
func (s *systemd) Recall(seen []byte) (err error) {
	s.first, err = recallUnit(seen)
	return err
}
