package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// password asks for -K's password, once for all hosts. It is read without echo,
// and so from a terminal only.
func (f *runFlags) password(ctx context.Context, env *Env) (string, error) {
	if !f.askPassword {
		return "", nil
	}
	in, isFile := env.Stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return "", errors.New("--ask-become-pass needs a terminal to ask on; without one, set ansible_become_password in the inventory")
	}
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	fmt.Fprint(env.Stderr, "BECOME password: ")
	text, err := answer(ctx, func() (string, error) {
		text, err := term.ReadPassword(int(in.Fd()))
		return string(text), err
	})
	fmt.Fprintln(env.Stderr)
	if ctx.Err() != nil {
		_ = term.Restore(int(in.Fd()), before) // the program ends: there is nobody left to tell
	}
	return text, err
}

// confirm asks before an apply on a terminal; only "yes" is yes.
func (f *runFlags) confirm(ctx context.Context, env *Env, path string) error {
	if _, tty := terminal(env.Stdin); !tty || f.yes || f.check {
		return nil
	}
	fmt.Fprintf(env.Stderr, "Apply %s? What it would change: runbook plan %s. Only \"yes\" goes on: ", path, path)
	text, err := answer(ctx, func() (string, error) { return bufio.NewReader(env.Stdin).ReadString('\n') })
	if ctx.Err() != nil {
		return err
	}
	if err != nil || strings.TrimSpace(text) != "yes" {
		return errors.New("not applied")
	}
	return nil
}

// answer reads what a person types, or ends when the program is interrupted.
// The read itself cannot be: it is left behind, to end with the program.
func answer(ctx context.Context, read func() (string, error)) (string, error) {
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := read()
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return l.text, l.err
	case <-ctx.Done():
		return "", status(exitInterrupted)
	}
}
