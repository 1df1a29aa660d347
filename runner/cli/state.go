package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"runbook/runner"
	"runbook/runner/project"
)

// state is where the project's directory is, and how long to wait for what
// another run has.
type state struct {
	dir      string
	patience time.Duration
}

const stateName = ".runbook"

func (s *state) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.dir, "state", "", "the project's `directory` of runs; else the nearest .runbook here or above")
	_ = cmd.MarkFlagDirname("state")
}

func (s *state) registerPatience(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&s.patience, "lock-timeout", 0, "how long to wait for a project or a target that another run has: 90s, 5m")
}

// find is the project's directory, whether or not it is there yet.
func (s *state) find() (dir string, there bool, err error) {
	if s.dir != "" {
		dir, err = filepath.Abs(s.dir)
		if err != nil {
			return "", false, err
		}
		_, err = os.Lstat(dir)
		return dir, err == nil, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", false, err
	}
	if dir, there = project.Find(here); there {
		return dir, true, nil
	}
	return filepath.Join(here, stateName), false, nil
}

// look opens the project; nil where there is none yet.
func (s *state) look() (*project.Project, error) {
	dir, there, err := s.find()
	if err != nil || !there {
		return nil, err
	}
	return project.Open(dir)
}

// need opens the project, which must be there.
func (s *state) need() (*project.Project, error) {
	p, err := s.look()
	if err == nil && p == nil {
		err = errors.New("there is no .runbook here or above, so no run has been made from here; go to the project's directory, or name its directory of runs with --state")
	}
	return p, err
}

// create opens the project, and makes it where there is none.
func (s *state) create() (*project.Project, error) {
	dir, _, err := s.find()
	if err != nil {
		return nil, err
	}
	return project.Create(dir)
}

// lock makes this process the only one that changes the project.
func (s *state) lock(ctx context.Context, env *Env, p *project.Project) (unlock func(), err error) {
	free, err := p.Lock(ctx, project.Info{Command: command(env)}, s.patience, func(by project.Info) {
		fmt.Fprintf(env.Stderr, "waiting up to %s for %s, which has this project since %s\n", s.patience, by.User+"@"+by.Host, by.Since.Local().Format(time.DateTime))
	})
	var locked *project.Locked
	switch {
	case errors.As(err, &locked):
		return nil, failure{err, exitLocked}
	case ctx.Err() != nil:
		return nil, status(exitInterrupted)
	case err != nil:
		return nil, err
	}
	return func() {
		if err := free(); err != nil {
			fmt.Fprintln(env.Stderr, "runbook:", err)
		}
	}, nil
}

// pending is the handlers that runs of a playbook left. Where a journal cannot be
// read, what it has to say of handlers is unknown: people are told.
func pending(env *Env, p *project.Project, playbook string) ([]runner.Notification, error) {
	all, err := p.State()
	if err != nil {
		return nil, err
	}
	for _, notice := range all.Notices {
		fmt.Fprintln(env.Stderr, "runbook:", notice)
	}
	return slices.DeleteFunc(all.Pending, func(n runner.Notification) bool { return n.Playbook != playbook }), nil
}

// key is the project's key: the file that RUNBOOK_KEY_FILE names, else the
// project's own, which is made on first use.
func key(env *Env, p *project.Project) (*project.Key, error) {
	if path := env.Getenv("RUNBOOK_KEY_FILE"); path != "" {
		return project.LoadKey(path)
	}
	return p.Key()
}

// command is the subcommand alone: its arguments may hold secrets.
func command(env *Env) string {
	if len(env.Args) == 0 {
		return "runbook"
	}
	return "runbook " + env.Args[0]
}

// who is the operator, for people: user@host.
func who(env *Env) string { return username(env) + "@" + hostname() }

func username(env *Env) string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	if name := env.Getenv("USER"); name != "" {
		return name
	}
	return fmt.Sprintf("uid%d", os.Getuid())
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
