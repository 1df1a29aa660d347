package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// Process is the world of this process. It takes the operator's signals from now
// on; those that the process was started without (nohup) stay so.
func Process() Env {
	signals := make(chan os.Signal, 4)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	// Who reads our output may go; the run goes on. It is not ignored, because
	// the commands that we start would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Signals: signals, Exit: os.Exit,
	}
}

// interrupts are what the operator's signals come to. While a run is on, the
// first one stops it gently: no new tasks, and those at work may end. The next
// ends what is at work, and the one after that the program, at once. Without a
// run there is nothing to be gentle with: the first one ends the command.
type interrupts struct {
	stderr io.Writer
	cancel context.CancelCauseFunc
	exit   func(code int)

	mu       sync.Mutex
	stopping chan struct{}   // while a run is on and nobody has interrupted
	atWork   func() []string // the hosts that a run changes right now
	ended    bool            // the context is
}

// cause says which signal ended the context.
type cause struct{ os.Signal }

func (c cause) Error() string { return c.String() }

// listen heeds the signals until the command is over.
func (i *interrupts) listen(signals <-chan os.Signal, over <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			i.heed(s)
		case <-over:
			return
		}
	}
}

func (i *interrupts) heed(s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.stopping != nil:
		close(i.stopping)
		i.stopping = nil
		i.say("%s: no new tasks; %s. Once more ends what is at work.", name(s), working(i.atWork()))
	case !i.ended:
		i.ended = true
		i.cancel(cause{s})
		if i.atWork != nil {
			i.say("%s: ending what is at work. Once more leaves at once.", name(s))
		}
	default:
		i.exit(exitInterrupted)
	}
}

// say writes a line of its own, below whatever the overall line shows. A
// terminal that is gone is no reason to stop.
func (i *interrupts) say(format string, args ...any) {
	fmt.Fprintf(i.stderr, "\n"+format+"\n", args...)
}

// gently makes the first signal a request, until over is called. The channel is
// closed when it comes. A signal that came before has ended the context.
func (i *interrupts) gently(atWork func() []string) (stopping <-chan struct{}, over func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	ch := make(chan struct{})
	i.stopping, i.atWork = ch, atWork
	return ch, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.stopping, i.atWork = nil, nil
	}
}

func working(hosts []string) string {
	switch len(hosts) {
	case 0:
		return "nothing is being changed right now"
	case 1:
		return hosts[0] + " is at work and may end its task"
	}
	const most = 8
	shown, more := hosts, ""
	if len(hosts) > most {
		shown, more = hosts[:most], " ..."
	}
	return fmt.Sprintf("%d hosts are at work and may end their tasks (%s%s)", len(hosts), strings.Join(shown, ", "), more)
}

func name(s os.Signal) string {
	switch s {
	case os.Interrupt:
		return "Interrupted"
	case syscall.SIGTERM:
		return "Terminated"
	case syscall.SIGHUP:
		return "The terminal is gone"
	}
	return s.String()
}
