package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"runbook/modules"
)

// stepLimit bounds a step that names no limit of its own: longer than any
// package upgrade seen, short enough that a hung one is noticed the same night.
const stepLimit = 30 * time.Minute

// StepError says which step did not succeed, and what it printed.
type StepError struct {
	Step   modules.Step
	Output modules.Output
	Err    error // nil where the step ran and ended with a bad exit code
}

func (e *StepError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", brief(e.Step.String()), e.Err)
	}
	s := fmt.Sprintf("%s: exit code %d", brief(e.Step.String()), e.Output.Code)
	if text := lastLines(e.Output, 5); text != "" {
		s += ": " + text
	}
	return s
}

func (e *StepError) Unwrap() error { return e.Err }

// take carries out one step, which the machine or the cluster knows by the id if
// it keeps it.
// It is the only function of the program that changes anything.
func (l *loop) take(ctx context.Context, id string, s modules.Step) (modules.Output, error) {
	t := l.target
	var out modules.Output
	var err error
	switch s := s.(type) {
	case modules.Pause:
		err = sleep(ctx, s.For)
	case modules.APIStep, modules.PodExec, modules.PodRun:
		out, err = t.takeInCluster(ctx, id, s)
	case modules.Hold:
		err = l.hold(ctx, s)
	default:
		out, err = l.takeOnMachine(ctx, id, s)
	}
	if err != nil || (out.Code != 0 && !expected(s, out.Code)) {
		return out, &StepError{Step: s, Output: out, Err: err}
	}
	return out, nil
}

func (l *loop) takeOnMachine(ctx context.Context, id string, s modules.Step) (modules.Output, error) {
	t := l.target
	m, err := t.open(ctx)
	if err != nil {
		return modules.Output{}, err
	}
	switch s := s.(type) {
	case modules.Run:
		if s.Limit == 0 {
			s.Limit = stepLimit
		}
		s.Env = merged(t.env, s.Env)
		return l.do(ctx, m, id, s)
	case modules.Write:
		if s.Backup { // done again it would keep the new content too
			return modules.Output{}, m.Write(ctx, s)
		}
		return modules.Output{}, l.whole(ctx, m, func(m Machine) error { return m.Write(ctx, s) })
	case modules.Remove:
		return modules.Output{}, l.whole(ctx, m, func(m Machine) error { return m.Remove(ctx, s) })
	case modules.Reboot:
		return l.reboot(ctx, m, id, s)
	}
	return modules.Output{}, fmt.Errorf("the engine does not know the step %T", s)
}

// expected says whether the step itself calls this exit code success.
func expected(s modules.Step, code int) bool {
	r, ok := s.(modules.Run)
	return ok && slices.Contains(r.Exits, code)
}

func (t *target) takeInCluster(ctx context.Context, id string, s modules.Step) (modules.Output, error) {
	c, err := t.cluster(ctx)
	if err != nil {
		return modules.Output{}, err
	}
	if pod, ok := s.(modules.PodRun); ok {
		return c.Run(ctx, pod, id)
	}
	return c.Take(ctx, s)
}

// hold takes a lease for the run.
func (l *loop) hold(ctx context.Context, s modules.Hold) error {
	c, err := l.target.cluster(ctx)
	if err != nil {
		return err
	}
	rn := l.work.x.play.run
	return rn.leases.take(ctx, c, s, rn.name())
}

// opaque says whether nobody can foresee or verify what the step does.
func opaque(s modules.Step) bool {
	switch s := s.(type) {
	case modules.Run:
		return s.Opaque
	case modules.PodExec, modules.PodRun:
		return true
	}
	return false
}

// onMachine says whether the step changes the machine itself.
func onMachine(s modules.Step) bool {
	switch s.(type) {
	case modules.Run, modules.Write, modules.Remove, modules.Reboot:
		return true
	}
	return false
}

// isEvent says whether the step is not to happen again where it has happened.
func isEvent(s modules.Step) bool {
	_, reboot := s.(modules.Reboot)
	return reboot
}

// acts says whether the step changes anything at all: a pause does not, and a lease
// is given back.
func acts(s modules.Step) bool {
	_, pause := s.(modules.Pause)
	return !pause && !isHold(s)
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// lastLines is the end of what a command printed, which is where commands say
// why they failed: of stderr, or of stdout where stderr is empty.
func lastLines(out modules.Output, n int) string {
	text := strings.TrimSpace(out.Stderr)
	if text == "" {
		text = strings.TrimSpace(out.Stdout)
	}
	lines := strings.Split(text, "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// brief is the first line of a command, cut to a width that fits a message.
func brief(s string) string {
	const width = 120
	line, rest, _ := strings.Cut(s, "\n")
	if r := []rune(line); len(r) > width {
		return string(r[:width]) + "..."
	}
	if rest != "" {
		return line + " ..."
	}
	return line
}

func merged(base, over map[string]string) map[string]string {
	if len(base) == 0 {
		return over
	}
	m := make(map[string]string, len(base)+len(over))
	for k, v := range base {
		m[k] = v
	}
	for k, v := range over {
		m[k] = v
	}
	return m
}

// isUnreachable says whether an edge marked the error as its own.
func isUnreachable(err error) bool {
	var u unreachable
	return errors.As(err, &u) && u.Unreachable()
}
