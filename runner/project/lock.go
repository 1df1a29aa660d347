package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"runbook/runner/durable"
)

const (
	lockFile = "lock"
	infoFile = "lock.json"

	firstLook = 10 * time.Millisecond
	lastLook  = 250 * time.Millisecond // between two looks at a lock that another has
	// briefly is how long even the impatient look: somebody who lists the runs
	// touches the lock for a moment to see whether it is held.
	briefly = 50 * time.Millisecond
)

// Info says who has the lock. What the caller leaves empty, Lock fills in.
type Info struct {
	Run     string    `json:"run,omitempty"` // its id; empty until Begin or Resume
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	User    string    `json:"user"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"` // without secrets
}

// Locked is the error of a lock that another process has.
type Locked struct {
	By    Info // zero where it could not be read
	Alive bool // the process that took it is there, on this machine
	Here  bool // it was taken on this machine
}

func (l *Locked) Error() string {
	var b strings.Builder
	b.WriteString("another run has the lock of this project")
	if l.By.PID != 0 {
		b.WriteString(": ")
		if l.By.Run != "" {
			fmt.Fprintf(&b, "run %s of ", l.By.Run)
		}
		fmt.Fprintf(&b, "%s@%s, process %d, since %s", l.By.User, l.By.Host, l.By.PID, l.By.Since.Local().Format(time.DateTime))
		if l.By.Command != "" {
			fmt.Fprintf(&b, " (%s)", l.By.Command)
		}
	}
	switch {
	case l.By.PID != 0 && l.Here && !l.Alive:
		b.WriteString("; that process has ended, and one that it started still holds the lock: fuser " + Name + "/" + lockFile + " names it")
	default:
		b.WriteString("; wait for it with --lock-timeout 10m, or end that run")
	}
	return b.String()
}

// errUnlocked is a mistake of the caller.
var errUnlocked = errors.New("the project is not locked by this process: Lock comes first")

// Lock makes this process the only one that runs or records anything in the
// project. While another has the lock, it tries again until patience is over;
// waiting, if given, is then told who has it, again whenever that changes. The
// error is a *Locked where it was not to be had, or that of ctx. The kernel frees
// the lock when the process ends, however it ends; processes that it starts do
// not inherit it. Calling unlock twice does no harm.
func (p *Project) Lock(ctx context.Context, info Info, patience time.Duration, waiting func(Info)) (unlock func() error, err error) {
	end := time.Now().Add(max(patience, briefly))
	var told *Info
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		f, err := p.seize()
		if err != nil {
			return nil, fmt.Errorf("lock the project: %w", err)
		}
		if f != nil {
			return p.hold(f, info)
		}
		by := p.readInfo()
		if patience > 0 && waiting != nil && (told == nil || *told != by) {
			waiting(by)
			told = &by
		}
		left := time.Until(end)
		if left <= 0 {
			return nil, locked(by)
		}
		if err := pausing(ctx, min(pause, left)); err != nil {
			return nil, err
		}
	}
}

func pausing(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func locked(by Info) *Locked {
	l := &Locked{By: by}
	if host, err := os.Hostname(); err == nil && host == by.Host && by.PID > 0 {
		l.Here = true
		err := syscall.Kill(by.PID, 0)
		l.Alive = err == nil || errors.Is(err, syscall.EPERM)
	}
	return l
}

// seize takes the lock if it is free; nil and no error where it is not.
func (p *Project) seize() (*os.File, error) {
	name := p.path(lockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) // Go opens everything close-on-exec
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %w; the filesystem must know flock", name, err)
	}
	if ok, err := stands(f, name); ok {
		return f, nil
	} else if err != nil {
		_ = f.Close()
		return nil, err
	}
	_ = f.Close() // somebody has put another file in its place: that one counts
	return nil, nil
}

// stands says whether the open file is the one that others find by its name.
func stands(f *os.File, name string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// hold says in lock.json who has the lock now.
func (p *Project) hold(f *os.File, info Info) (func() error, error) {
	if err := p.say(info.filled()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("say who has the lock: %w", err)
	}
	p.mu.Lock()
	p.lock = f
	p.mu.Unlock()
	return sync.OnceValue(func() error { return p.release(f) }), nil
}

func (p *Project) release(f *os.File) error {
	p.mu.Lock()
	p.lock = nil
	p.mu.Unlock()
	err := os.Remove(p.path(infoFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, flock(f, syscall.LOCK_UN), f.Close())
}

// name puts the run's id into lock.json.
func (p *Project) name(run string) error {
	p.mu.Lock()
	info := p.info
	p.mu.Unlock()
	info.Run = run
	return p.say(info)
}

func (p *Project) say(info Info) error {
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := durable.Replace(p.path(infoFile), append(data, '\n')); err != nil {
		return err
	}
	p.mu.Lock()
	p.info = info
	p.mu.Unlock()
	return nil
}

// filled is info with what this process knows of itself.
func (i Info) filled() Info {
	if i.PID == 0 {
		i.PID = os.Getpid()
	}
	if i.Host == "" {
		i.Host, _ = os.Hostname()
	}
	if i.User == "" {
		i.User = strconv.Itoa(os.Getuid())
		if u, err := user.Current(); err == nil {
			i.User = u.Username
		}
	}
	if i.Since.IsZero() {
		i.Since = time.Now().Round(0)
	}
	return i
}

// readInfo is the zero Info where nothing can be read: the lock counts, not the file.
func (p *Project) readInfo() Info {
	var info Info
	data, err := os.ReadFile(p.path(infoFile))
	if err != nil || json.Unmarshal(data, &info) != nil {
		return Info{}
	}
	return info
}

// held says whether this Project has the lock.
func (p *Project) held() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock == nil {
		return errUnlocked
	}
	return nil
}

// holder is who has the lock at this moment, if anybody has.
func (p *Project) holder() (Info, bool) {
	p.mu.Lock()
	info, mine := p.info, p.lock != nil
	p.mu.Unlock()
	if mine {
		return info, true
	}
	if info = p.readInfo(); info.PID == 0 {
		return Info{}, false
	}
	f, err := os.Open(p.path(lockFile))
	if err != nil {
		return Info{}, false
	}
	defer func() { _ = f.Close() }()
	err = flock(f, syscall.LOCK_SH|syscall.LOCK_NB)
	return info, errors.Is(err, syscall.EWOULDBLOCK)
}
