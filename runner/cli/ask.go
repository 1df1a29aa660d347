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
func password(ctx context.Context, env *Env) (string, error) {
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

// canAsk says whether there is somebody to ask.
func canAsk(env *Env) bool {
	_, tty := terminal(env.Stdin)
	return tty
}

// ask puts a question and reads the line that answers it. Where the program is
// interrupted the error is its exit code; the end of the input is no answer.
func ask(ctx context.Context, env *Env, question string) (string, error) {
	fmt.Fprint(env.Stderr, question)
	text, err := answer(ctx, func() (string, error) { return env.line() })
	if ctx.Err() != nil {
		fmt.Fprintln(env.Stderr)
		return "", err
	}
	return strings.TrimSpace(text), nil
}

// line reads one line of the input. The reader stays, because it may have read
// the answer to the next question too.
func (env *Env) line() (string, error) {
	if env.lines == nil {
		env.lines = bufio.NewReader(env.Stdin)
	}
	return env.lines.ReadString('\n')
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
