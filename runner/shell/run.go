package shell

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"runbook/modules"
)

// The bounds of one command.
const (
	maxOutput    = 16 << 20         // bytes of each stream that are kept
	defaultLimit = 10 * time.Minute // where Run.Limit is zero

	endGrace   = 5 * time.Second // from TERM to KILL
	floodEvery = 5 * time.Second // between two looks at how much was printed
	floodAt    = 256 << 20       // bytes on the target at which a command is ended
)

// Query runs a read-only command. It is ended when the connection is lost.
func (s *Shell) Query(ctx context.Context, cmd modules.Run) (modules.Output, error) {
	return s.run(ctx, request{Run: cmd, kind: query, keep: maxOutput})
}

func (s *Shell) run(ctx context.Context, r request) (modules.Output, error) {
	if err := r.check(); err != nil {
		return modules.Output{}, err
	}
	if err := s.board(ctx); err != nil {
		return modules.Output{}, err
	}
	defer func() { <-s.flight }()
	s.enlist(&r)
	inline, fits := printfFormat(r.Stdin, maxInline)
	if !fits {
		if err := s.upload(ctx, r.number, r.Stdin); err != nil {
			return modules.Output{}, err
		}
	}
	p := &pending{keep: r.keep, frame: make(chan frame, 1)}
	if r.kind == kept {
		p.note = r.note()
	}
	s.expect(r.mark, p)
	defer s.forget(r.mark)
	if err := s.give(ctx, order{text: r.line(inline, !fits)}); err != nil {
		return modules.Output{}, err
	}
	return s.result(ctx, r, p)
}

// board waits for a place among the commands in flight.
func (s *Shell) board(ctx context.Context) error {
	select {
	case s.flight <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return s.lost()
	}
}

// enlist gives the request what no other has.
func (s *Shell) enlist(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	r.number, r.mark = s.number, newMark()
}

// result waits for the command's end, or brings it about.
func (s *Shell) result(ctx context.Context, r request, p *pending) (modules.Output, error) {
	limit := r.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	expired := time.NewTimer(limit)
	defer expired.Stop()
	look := time.NewTicker(floodEvery)
	defer look.Stop()
	for {
		select {
		case f := <-p.frame:
			return f.output(r)
		case <-s.done:
			return modules.Output{}, s.lost()
		case <-look.C:
			s.tell(r.look())
		case <-expired.C:
			return s.stop(r, p, fmt.Errorf("%s: not done after its limit of %v, and ended", r.name(), limit))
		case <-ctx.Done():
			return s.stop(r, p, fmt.Errorf("%s: ended: %w", r.name(), context.Cause(ctx)))
		}
	}
}

// look is the line that ends a command which floods, and finds out whether
// anybody minds it still.
func (r request) look() string {
	line := fmt.Sprintf("rb_flood %s %s %d", r.base(), r.note(), floodAt/512)
	if r.kind == kept {
		line += fmt.Sprintf("; rb_mind %s %d %s %d", r.id, r.number, r.mark, r.keep+1)
	}
	return line + "\n"
}

// stop ends the command's process group: TERM, after a grace KILL. KILL is said
// twice, as the first may come before the command has started.
func (s *Shell) stop(r request, p *pending, why error) (modules.Output, error) {
	for _, signal := range []string{"TERM", "KILL", "KILL"} {
		s.tell("rb_kill " + signal + " " + r.note() + "\n")
		select {
		case f := <-p.frame:
			out, _ := f.output(r)
			return out, why
		case <-s.done:
			return modules.Output{}, why
		case <-time.After(endGrace):
		}
	}
	s.end(fmt.Errorf("%s cannot be ended", r.name()))
	return modules.Output{}, fmt.Errorf("%w; it goes on in spite of SIGKILL", why)
}

// Unknown is the error of a command of which the target cannot say how it ended.
type Unknown struct{ Command string } // for people

func (e *Unknown) Error() string {
	return e.Command + ": it was begun, and how it ended is not known: what minded it was killed"
}

// Unsettled tells the engine that the command may have done what it does.
func (e *Unknown) Unsettled() bool { return true }

// output is the frame as an answer.
func (f frame) output(r request) (modules.Output, error) {
	out := modules.Output{Stdout: string(f.stdout), Stderr: string(f.stderr), Truncated: f.cut}
	switch f.code {
	case "never", "gone":
		return out, &Unknown{Command: r.name()}
	case "lost":
		return out, fmt.Errorf("%s: its output cannot be kept: the directory for it is full or gone", r.name())
	case "flood":
		out.Truncated = true
		return out, fmt.Errorf("%s: ended, as it printed more than %d MiB: send its output to a file",
			r.name(), floodAt>>20)
	}
	code, err := strconv.Atoi(f.code)
	if err != nil {
		return out, fmt.Errorf("%s: the shell gave %q for an exit code", r.name(), f.code)
	}
	out.Code = code
	return out, nil
}

// order is what the one writer of stdin writes: a line, and after the shell has
// acknowledged it the bytes that belong to it.
type order struct {
	text string
	data string
	acks chan string
	sent chan error // of an upload; holds one
}

func (s *Shell) give(ctx context.Context, o order) error {
	select {
	case s.orders <- o:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return s.lost()
	}
}

// write carries out orders one after the other until the shell ends.
func (s *Shell) write() {
	for {
		select {
		case o := <-s.orders:
			if _, err := io.WriteString(s.streams.Stdin, o.text); err != nil {
				s.end(err)
				return
			}
			if o.acks != nil {
				o.sent <- s.send(o)
			}
		case <-s.done:
			return
		}
	}
}
