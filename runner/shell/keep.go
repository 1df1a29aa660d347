package shell

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"runbook/modules"
)

// Fate is what became of a command that was to be carried out.
type Fate string

// The fates. Gone is that of a command of which the target cannot say how it
// ended: it was killed with its supervisor, or the machine went down.
const (
	Never    Fate = "never started"
	Finished Fate = "finished"
	Gone     Fate = "gone"
)

// ErrUnlocked is the error of a Do on a shell that does not have the lock: it was
// never asked for, or the shell was started again since.
var ErrUnlocked = errors.New("the target is not locked by this shell: nothing was done")

// commandID is what names of files can begin with.
var commandID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{7,63}$`)

func checkID(id string) error {
	if !commandID.MatchString(id) {
		return fmt.Errorf("%q is not the name of a command: 8 to 64 letters, digits, - and _ are wanted", clip(id))
	}
	return nil
}

// Do runs a command that changes the target, under a name of 8 to 64 letters and
// digits. A name that the target knows is not run again: Do waits for what it came
// to. A non-zero exit code is no error. When the context or the command's limit
// ends first, the command's process group is ended and what it had printed is
// returned with the error. When the connection or the shell is lost the error is a
// *Lost; the command goes on, and Collect or Do on another shell of the user says
// what it came to. The target keeps that until Forget, or for a week.
//
// SIGINT and SIGQUIT are ignored in commands, as in all that a POSIX shell runs in
// the background.
func (s *Shell) Do(ctx context.Context, id string, cmd modules.Run) (modules.Output, error) {
	if err := checkID(id); err != nil {
		return modules.Output{}, err
	}
	if s.grip() == nil {
		return modules.Output{}, ErrUnlocked
	}
	return s.run(ctx, request{Run: cmd, kind: kept, keep: maxOutput, id: id})
}

// Collect says what became of the command of that name, and waits while it runs.
// The context ends the wait only, not the command.
func (s *Shell) Collect(ctx context.Context, id string) (Fate, modules.Output, error) {
	if err := checkID(id); err != nil {
		return "", modules.Output{}, err
	}
	r := request{kind: kept, keep: maxOutput, id: id, label: "command " + id}
	f, err := s.ask(ctx, &r, func() string {
		return fmt.Sprintf("rb_home; ( rb_collect %s %d %s %d ) & jobs >/dev/null 2>&1\n", id, r.number, r.mark, r.keep+1)
	})
	if err != nil {
		return "", modules.Output{}, err
	}
	switch f.code {
	case "never":
		return Never, modules.Output{}, nil
	case "gone":
		return Gone, modules.Output{Stdout: string(f.stdout), Stderr: string(f.stderr), Truncated: f.cut}, nil
	}
	out, err := f.output(r)
	return Finished, out, err
}

// Forget drops what the target keeps of commands that have ended.
func (s *Shell) Forget(ctx context.Context, ids []string) error {
	const most = 500 // in one line
	for len(ids) > 0 {
		some := ids[:min(most, len(ids))]
		ids = ids[len(some):]
		for _, id := range some {
			if err := checkID(id); err != nil {
				return err
			}
		}
		var r request
		_, err := s.ask(ctx, &r, func() string {
			return fmt.Sprintf("rb_home; ( exec 7>&-; rb_drop %s %s ) & jobs >/dev/null 2>&1\n", r.mark, strings.Join(some, " "))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ask gives the shell a line of ours and waits for its frame. What it asks for is
// the shell's own work: when the context ends first, the shell is told and nobody
// waits for it.
func (s *Shell) ask(ctx context.Context, r *request, line func() string) (frame, error) {
	if err := s.board(ctx); err != nil {
		return frame{}, err
	}
	defer func() { <-s.flight }()
	s.enlist(r)
	p := &pending{keep: maxOutput, frame: make(chan frame, 1)}
	s.expect(r.mark, p)
	defer s.forget(r.mark)
	if err := s.give(ctx, order{text: line()}); err != nil {
		return frame{}, err
	}
	select {
	case f := <-p.frame:
		if f.code == "refused" {
			return frame{}, errors.New(oneLine(string(f.stdout)))
		}
		return f, nil
	case <-ctx.Done():
		s.tell(fmt.Sprintf("true >\"$rb_dir/%d.enough\"\n", r.number))
		return frame{}, context.Cause(ctx)
	case <-s.done:
		return frame{}, s.lost()
	}
}
