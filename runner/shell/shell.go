// Package shell speaks to a POSIX shell through its standard streams: any
// number of commands at the same time, their stdout, stderr and exit codes
// apart, without a program of ours on the target.
//
// The shell runs every command in the background, in a process group of its own,
// with its output in files below a private directory. When the command has ended,
// its frame is printed whole: a mark of 128 random bits that the command has not
// seen, the exit code, stdout, the mark, stderr, the mark. So a command cannot
// forge the end of its output, cannot read the protocol, cannot hold up another
// command, and one that leaves a child behind ends all the same. As the shell
// itself never waits for a command, it can be told to end one.
//
// A command that changes the target (Do) has a supervisor there, which minds it
// without the shell, in a directory that only the user can enter: /run/runbook for
// root, /var/tmp/runbook-UID for others, $RUNBOOK_RUNS/runbook-UID in tests. There
// too is the lock (Lock), which the shells and supervisors of one run have.
package shell

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// The bounds of a shell's life.
const (
	startLimit = 20 * time.Second // sudo may ask a directory service about the user
	closeGrace = 2 * time.Second  // from TERM to KILL, and from the last word to the end
	maxNoise   = 64 << 10         // what a login may print before the shell speaks
	inFlight   = 64               // commands that one shell runs at the same time
	beatEvery  = time.Minute      // a fifth of the silence that the shell puts up with
)

// Streams are the ends of a program that was started on the target.
type Streams struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.Reader
	// Close ends the program and makes pending reads and writes return.
	Close func() error
}

// Opener starts a command line on the target. The login shell of the user may be
// any: the lines given to it are valid in sh, csh and fish alike.
type Opener func(ctx context.Context, line string) (Streams, error)

// Shell is a shell on the target. It is safe for concurrent use.
type Shell struct {
	streams Streams
	orders  chan order    // to the one writer of stdin
	flight  chan struct{} // holds a token for every command in flight
	said    *voice

	mu      sync.Mutex
	pending map[string]*pending // by mark
	number  int
	holder  *Holder       // for whom the shell has the target's lock; nil if it has not
	boot    string        // of the target, since holder is set
	asking  chan struct{} // holds a token while the lock is asked for

	once sync.Once
	done chan struct{}
	err  error // set before done is closed
}

// errSlowStart is the error of a shell that did not start in time.
var errSlowStart = fmt.Errorf("the shell did not start within %v", startLimit)

// Lost is the error of a command whose shell has ended. Whether the command was
// carried out is not known.
type Lost struct {
	Err  error
	Said string // the last of what the shell printed on stderr
}

func (e *Lost) Error() string {
	if e.Said == "" {
		return "the shell has ended: " + e.Err.Error()
	}
	return fmt.Sprintf("the shell has ended: %v (it said: %s)", e.Err, e.Said)
}

func (e *Lost) Unwrap() error { return e.Err }

var errClosed = errors.New("it was closed")

//go:embed prelude.sh
var prelude string

//go:embed supervise.sh
var supervise string

//go:embed lock.sh
var locking string

// New starts a shell as the user that is asked for, within twenty seconds.
// The context bounds the start only.
func New(ctx context.Context, open Opener, as Become) (*Shell, error) {
	mark := newMark()
	line, err := as.line(mark)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errSlowStart)
	defer cancel()
	streams, err := open(ctx, line)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = streams.Close() })
	s := &Shell{
		streams: streams,
		orders:  make(chan order),
		flight:  make(chan struct{}, inFlight),
		said:    newVoice(mark),
		pending: map[string]*pending{},
		asking:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	go s.said.listen(streams.Stderr)
	stdout := bufio.NewReaderSize(streams.Stdout, maxNoise)
	if err := s.greet(ctx, stdout, as, mark); err != nil {
		_ = streams.Close()
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	go s.write()
	go s.read(stdout)
	go s.beat(beatEvery)
	return s, nil
}

// Done is closed when the shell has ended.
func (s *Shell) Done() <-chan struct{} { return s.done }

// Close ends the commands that still run and then the shell.
func (s *Shell) Close() error {
	for _, signal := range []string{"TERM", "KILL"} {
		notes, busy := s.busy()
		if !busy {
			break
		}
		line := "rb_kills " + signal + " query step"
		for _, note := range notes {
			line += "; rb_kill " + signal + " " + note
		}
		s.tell(line + "\n")
		s.idle(closeGrace)
	}
	s.tell("exit\n")
	select {
	case <-s.done:
	case <-time.After(closeGrace):
	}
	s.end(errClosed)
	return nil
}

// end records why the shell is over, once.
func (s *Shell) end(why error) {
	s.once.Do(func() {
		s.err = why
		close(s.done)
		_ = s.streams.Close()
	})
}

// lost is the error for those who wait when the shell has ended.
func (s *Shell) lost() error { return &Lost{Err: s.err, Said: s.said.last()} }

// tell gives the shell a line that nobody waits for.
func (s *Shell) tell(line string) {
	select {
	case s.orders <- order{text: line}:
	case <-s.done:
	case <-time.After(closeGrace): // the writer hangs: the line would not arrive either
	}
}

// busy says whether requests are in flight, and where the kept commands among
// them are noted.
func (s *Shell) busy() (notes []string, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		if p.note != "" {
			notes = append(notes, p.note)
		}
	}
	return notes, len(s.pending) > 0
}

// idle waits, within the limit, until no command is in flight.
func (s *Shell) idle(limit time.Duration) {
	timeout := time.After(limit)
	for range inFlight {
		select {
		case s.flight <- struct{}{}:
			defer func() { <-s.flight }()
		case <-s.done:
			return
		case <-timeout:
			return
		}
	}
}

// beat tells the shell now and then that somebody is there, until it ends.
func (s *Shell) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.done:
			return
		}
		select {
		case s.orders <- order{text: "rb_beat\n"}: // after an upload, however long
		case <-s.done:
			return
		}
	}
}

func newMark() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails
	return hex.EncodeToString(bits[:])
}
