// Package cli is the command line: commands, flags, exit codes, and the wiring
// of the engine to its edges.
//
// Three rules: stdout carries the result, stderr everything else; colour and
// the progress line are for terminals only, and NO_COLOR is obeyed; every way
// to end has its own exit code.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"runbook/runner/source"
)

// Env is the world that a command runs in.
type Env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Signals        <-chan os.Signal // what the operator sends; nil: nothing comes
	Exit           func(code int)   // ends the program at once; os.Exit where nil

	interrupts *interrupts
	lines      *bufio.Reader // of Stdin, once something was asked
}

// The exit codes; `runbook help` lists them.
const (
	exitDone        = 0
	exitUsage       = 1 // bad usage, playbook or inventory: no host was contacted
	exitFailed      = 2 // a host failed
	exitChanges     = 3 // plan --detailed-exitcode: there is something to do
	exitUnreachable = 4 // a host was unreachable, others may have failed
	exitLocked      = 5 // another run has the project
	exitInterrupted = 130
)

// status ends the program with a code and nothing more to say.
type status int

func (s status) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// failure is an error with an exit code of its own.
type failure struct {
	error
	code int
}

func (f failure) Unwrap() error { return f.error }

// Main runs the command that the arguments name and returns its exit code.
func Main(ctx context.Context, env Env) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if env.Exit == nil {
		env.Exit = os.Exit
	}
	env.interrupts = &interrupts{stderr: env.Stderr, cancel: cancel, exit: env.Exit}
	over := make(chan struct{})
	defer close(over)
	go env.interrupts.listen(env.Signals, over)
	return execute(ctx, &env)
}

func execute(ctx context.Context, env *Env) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	var code status
	var failed failure
	var mistakes source.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &failed):
		fmt.Fprintln(env.Stderr, "runbook:", err)
		return failed.code
	case errors.As(err, &mistakes):
		mistakes.Print(env.Stderr)
	default:
		fmt.Fprintln(env.Stderr, "runbook:", err)
	}
	return exitUsage
}

const about = `runbook carries out declared steps on many machines and on the Kubernetes
cluster they form. It reads Ansible's playbooks and inventories, and needs
nothing on a target but sshd and a POSIX shell.

Exit codes: 0 done, 1 bad usage, playbook or inventory, 2 a host failed,
3 plan --detailed-exitcode found changes, 4 a host was unreachable,
5 another run has the project, 130 interrupted (runbook resume goes on).`

func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "runbook",
		Short:         "Plan and apply playbooks on many machines and their cluster",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newPlan(env), newApply(env), newResume(env), newRuns(env), newShow(env), newStatus(env),
		newValidate(env), newDoc(env), newInventory(env), newVersion(env))
	return root
}

// terminal says whether a stream is one, and how wide.
func terminal(stream any) (width int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return width, true
}
