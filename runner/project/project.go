// Package project keeps a project's .runbook directory: the journals of its
// runs, the lock that only one of them holds, the key that seals what they must
// not show, and what the runs say together: how each host was last found, and
// which handlers were notified and have not run.
//
//	.runbook/           0700, ignored by git
//	    lock            locked by the run that is at work; the kernel frees it
//	    lock.json       who that is
//	    key             seals secrets, signs plans
//	    runs/ID/        a run's journal and what belongs to it
//	    drops/ID/       notifications that people have dropped
//	    state.json      the fold of all journals up to a turn; state.json.bak its copy
//
// Every life of a run (its beginning, each resumption) has a turn, a number that
// rises through the whole project, so that the order of what happened does not
// hang on clocks.
package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"runbook/runner/durable"
)

// Name is what the directory is called.
const Name = ".runbook"

const (
	runsDir  = "runs"
	dropsDir = "drops"
)

// Project is an open .runbook directory. It is safe for concurrent use.
type Project struct {
	dir string

	mu   sync.Mutex
	lock *os.File // while this Project holds the lock
	info Info     // what lock.json says then
}

// Find looks for the nearest .runbook at or above a directory. What it finds may
// still be refused by Open.
func Find(start string) (dir string, ok bool) {
	at, err := filepath.Abs(start)
	if err != nil {
		return "", false
	}
	for {
		dir := filepath.Join(at, Name)
		if _, err := os.Lstat(dir); err == nil {
			return dir, true
		}
		up := filepath.Dir(at)
		if up == at {
			return "", false
		}
		at = up
	}
}

// Open opens an existing .runbook. One that other users could have a hand in is
// refused: what is recorded there decides what later runs do.
func Open(dir string) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("%w; the first apply in a project makes it", err)
	}
	if err := private(dir, info, os.Geteuid()); err != nil {
		return nil, err
	}
	return &Project{dir: dir}, nil
}

// Create opens a .runbook, and makes it where there is none.
func Create(dir string) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	made := os.Mkdir(dir, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, fmt.Errorf("make the project's directory: %w", made)
	}
	p, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if err := p.furnish(); err != nil {
		return nil, fmt.Errorf("make the project's directory: %w", err)
	}
	if made == nil {
		if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
			return nil, fmt.Errorf("make the project's directory: %w", err)
		}
	}
	return p, nil
}

// furnish makes what a project has from its first moment. A crash in the middle
// is made good by the next call.
func (p *Project) furnish() error {
	if missing(p.path(".gitignore")) {
		if err := durable.Replace(p.path(".gitignore"), []byte("*\n")); err != nil {
			return err
		}
	}
	used := false
	for _, kind := range []string{runsDir, dropsDir} {
		if err := p.ready(kind); err != nil {
			return err
		}
		entries, err := os.ReadDir(p.path(kind))
		if err != nil {
			return err
		}
		used = used || len(entries) > 0
	}
	if used || !missing(p.path(stateFile)) {
		return nil
	}
	c, _, _, err := p.load()
	if err != nil {
		return err
	}
	return p.save(c, false) // from now on a missing one was lost
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// Dir is the .runbook directory, as an absolute path.
func (p *Project) Dir() string { return p.dir }

// RunDir is where a run of that full id keeps its journal, and what else is to
// live and be pruned with it.
func (p *Project) RunDir(id string) string { return p.path(runsDir, id) }

func (p *Project) path(names ...string) string {
	return filepath.Join(append([]string{p.dir}, names...)...)
}

// private refuses a directory that others can change or read, and says what to do.
func private(dir string, info fs.FileInfo, me int) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, and runs are kept in a real directory only: remove the link, or name the directory it points to", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: move it away", dir)
	}
	if owner, known := ownerOf(info); known && owner != me {
		return fmt.Errorf("%s belongs to user %d, and you are user %d: run as its owner, or keep the runs in a directory of your own", dir, owner, me)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, and other users must not reach it: look whether they have changed anything, then chmod 700 %[1]s", dir, mode)
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
