package shell

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"runbook/modules"
)

// Holder says who has a target, or wants it.
type Holder struct {
	Run     string    // what an earlier life of the run holds is taken over
	Session string    // this life of the run: all its shells share the lock
	Who     string    // user@controller
	Since   time.Time // by the controller's clock; to the second
}

// Grip is a lock that was had.
type Grip struct {
	Boot  string // names the target's boot; empty where it does not say
	Fresh bool   // this shell did not have it before
}

// Held is the error of a lock that another run has.
type Held struct {
	By Holder // zero where the target's note of it cannot be read
}

func (h *Held) Error() string {
	if h.By.Run == "" {
		return "locked by another run, and the note that says by whom cannot be read"
	}
	return fmt.Sprintf("locked by run %s of %s since %s", h.By.Run, h.By.Who, h.By.Since.Format(time.DateTime))
}

// check refuses what would not be read back as it was.
func (h Holder) check() error {
	for what, text := range map[string]string{"run": h.Run, "session": h.Session, "who": h.Who} {
		if text == "" || len(text) > 256 || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool {
			return r == unicode.ReplacementChar || !unicode.IsPrint(r)
		}) {
			return fmt.Errorf("holder of the lock: %s is %q: up to 256 bytes of printable text are wanted", what, clip(text))
		}
	}
	return nil
}

// Lock makes the run the only one that changes the target as this user, until the
// last of the run's shells and commands there has ended. It does not wait: another
// run's lock is a *Held. What an earlier life of the same run has left is taken
// over: its shells are ended, and its commands that still run share the lock. A
// shell that has the lock answers without asking the target.
func (s *Shell) Lock(ctx context.Context, by Holder) (Grip, error) {
	if err := by.check(); err != nil {
		return Grip{}, err
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return Grip{}, context.Cause(ctx)
	}
	select {
	case <-s.done:
		return Grip{}, s.lost()
	default:
	}
	if has := s.grip(); has != nil {
		if has.Run != by.Run || has.Session != by.Session {
			return Grip{}, &Held{By: *has}
		}
		return Grip{Boot: s.boot}, nil
	}
	var r request
	f, err := s.ask(ctx, &r, func() string { return lockLine(r.mark, by) })
	if err != nil {
		return Grip{}, fmt.Errorf("lock: %w", err)
	}
	boot, holder := parseLock(string(f.stdout))
	if f.code == "held" {
		return Grip{}, &Held{By: holder}
	}
	if f.code != "got" && f.code != "shared" {
		return Grip{}, fmt.Errorf("lock: the shell answered %q", clip(f.code))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holder, s.boot = &by, boot
	return Grip{Boot: boot, Fresh: true}, nil
}

// Unlock gives the lock back, as far as this shell has it: other shells of the run
// and its commands still may. It can be asked for again.
func (s *Shell) Unlock(ctx context.Context) error {
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.grip() == nil {
		return nil
	}
	s.mu.Lock()
	s.holder = nil
	s.mu.Unlock()
	var r request
	_, err := s.ask(ctx, &r, func() string {
		return fmt.Sprintf("exec 7>&-; rm -f \"$rb_entry\"; ( rb_answer %s free '' ) & jobs >/dev/null 2>&1\n", r.mark)
	})
	return err
}

func (s *Shell) grip() *Holder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holder
}

// lockLine opens the lock in the shell itself, which is to have it, and asks for
// it beside the shell, which must not wait.
func lockLine(mark string, by Holder) string {
	return fmt.Sprintf("rb_grab; ( rb_code=refused; trap 'rb_said %s' 0; rb_lock %s %s %s %s 2>/dev/null ) & jobs >/dev/null 2>&1\n",
		mark, modules.Quote(by.Run), modules.Quote(by.Session), modules.Quote(by.Who),
		modules.Quote(by.Since.UTC().Format(time.RFC3339)))
}

// parseLock reads the boot and the five lines of a holder. A holder that is not
// whole is none.
func parseLock(text string) (boot string, by Holder) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if boot = lines[0]; boot == "-" {
		boot = ""
	}
	if len(lines) != 5 {
		return boot, Holder{}
	}
	since, err := time.Parse(time.RFC3339, lines[4])
	by = Holder{Run: lines[1], Session: lines[2], Who: lines[3], Since: since}
	if err != nil || by.check() != nil {
		return boot, Holder{}
	}
	return boot, by
}
