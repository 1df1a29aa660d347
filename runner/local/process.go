package local

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"runbook/runner/shell"
)

// exitGrace is how long a shell may take to end after its input was closed and
// it was sent SIGKILL. One that sudo started may not take our signals.
const exitGrace = 2 * time.Second

// drainGrace is how long the last words of a shell that has ended may take.
const drainGrace = time.Second

// start runs the line in a process group of its own, so that an interrupt from
// the terminal reaches runbook only, which then decides what to end.
func start(ctx context.Context, line string) (shell.Streams, error) {
	if ctx.Err() != nil {
		return shell.Streams{}, context.Cause(ctx)
	}
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	stderr, errErr := cmd.StderrPipe()
	if err := errors.Join(errIn, errOut, errErr); err != nil {
		return shell.Streams{}, err
	}
	if err := cmd.Start(); err != nil {
		return shell.Streams{}, err
	}
	ended := make(chan struct{})
	stop := sync.OnceFunc(func() {
		_ = stdin.Close()
		select {
		case <-ended: // what is left of its group minds commands: they go on
		default:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gone already is as good
			select {
			case <-ended:
			case <-time.After(exitGrace):
			}
		}
		_ = stdout.Close()
		_ = stderr.Close()
	})
	go func() {
		_, _ = cmd.Process.Wait() // how it ended is of no use, only when
		close(ended)
		// A command that goes on may hold the streams of the dead shell open.
		time.AfterFunc(drainGrace, stop)
	}()
	return shell.Streams{
		Stdin:  stdin,
		Stdout: stdout,
		Stderr: stderr,
		Close:  func() error { stop(); return nil },
	}, nil
}
