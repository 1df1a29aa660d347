package cli

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/render"
)

// view is how a run is shown.
type view struct {
	verbosity int
	diff      bool
	output    string
}

func (v *view) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.CountVarP(&v.verbosity, "verbose", "v", "say more; twice for more still")
	fs.BoolVarP(&v.diff, "diff", "D", false, "show what differs")
	v.registerOutput(cmd, "text, or json for the events as JSON Lines")
}

func (v *view) registerOutput(cmd *cobra.Command, doc string) {
	cmd.Flags().StringVar(&v.output, "output", "text", doc)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (v *view) validate() error {
	if v.output != "text" && v.output != "json" {
		return fmt.Errorf("--output is %q, want text or json", v.output)
	}
	return nil
}

// options are how text is shown on stdout.
func (v *view) options(env *Env) render.Options {
	width, tty := terminal(env.Stdout)
	return render.Options{Width: width, Verbosity: v.verbosity, Diff: v.diff, Color: tty && env.Getenv("NO_COLOR") == ""}
}

// screen is where events go. Err is the first error of writing them; after it
// nothing more is written, and the run goes on.
type screen interface {
	Event(runner.Event)
	Err() error
}

func (v *view) screen(env *Env) screen {
	if v.output == "json" {
		return render.NewJSON(env.Stdout)
	}
	o := v.options(env)
	_, tty := terminal(env.Stdout)
	if _, live := terminal(env.Stderr); live && tty && env.Getenv("CI") == "" && env.Getenv("TERM") != "dumb" {
		o.Progress = env.Stderr
	}
	return render.NewTerminal(env.Stdout, o)
}

// unread says whether an error of writing only means that the reader of a pipe
// has seen enough.
func unread(err error) bool { return err == nil || errors.Is(err, syscall.EPIPE) }
