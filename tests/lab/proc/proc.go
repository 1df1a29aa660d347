// Package proc starts processes that outlive their starter and stops them
// later, from this or another program, without ever signalling a stranger: a
// process is known by its pid together with the time at which it started.
package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollEvery is how often Stop looks whether a process has ended: short beside
// the time that a process needs to end, long beside the cost of a look.
const pollEvery = 5 * time.Millisecond

// Record names one process for good: pids are used again, the pair of pid and
// start time is not.
type Record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
}

// Start runs cmd in its own session, so that it outlives this program, and
// writes its record into dir as NAME.json.
func Start(dir, name string, cmd *exec.Cmd) (Record, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", name, err)
	}
	// While this program lives it is the parent, and a parent has to collect.
	go func() { _ = cmd.Wait() }()

	return Write(dir, name, cmd.Process.Pid)
}

// Write writes the record of a process that runs into dir as NAME.json.
func Write(dir, name string, pid int) (Record, error) {
	start, err := startTime(pid)
	if err != nil {
		return Record{}, fmt.Errorf("%s ended as soon as it was started: %w", name, err)
	}
	r := Record{Name: name, PID: pid, Start: start}
	return r, r.save(dir)
}

// save replaces what was there in one step: somebody may be reading it.
func (r Record) save(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, r.Name+".json")
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Load reads every record in dir, by name. A folder that is not there has none,
// and a record that was cut short by a crash is left out.
func Load(dir string) ([]Record, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	var out []Record
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		var r Record
		if json.Unmarshal(data, &r) == nil && r.PID > 1 {
			out = append(out, r)
		}
	}
	return out, nil
}

// Alive says whether the very process that was recorded still runs.
func (r Record) Alive() bool {
	start, err := startTime(r.PID)
	return err == nil && start == r.Start
}

// Stop asks the process to end, kills it when grace is over, and returns when it
// has gone. A process that has already gone, or whose pid belongs to another one
// by now, is left alone.
func (r Record) Stop(ctx context.Context, grace time.Duration) error {
	p, err := os.FindProcess(r.PID) // holds on to this process, whatever becomes of the number
	if err != nil {
		return fmt.Errorf("%s: find process %d: %w", r.Name, r.PID, err)
	}
	defer func() { _ = p.Release() }()
	if !r.Alive() {
		return nil
	}
	if grace > 0 {
		if err := signal(p, syscall.SIGTERM); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if r.waitGone(ctx, grace) == nil {
			return nil
		}
	}
	if err := signal(p, syscall.SIGKILL); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return r.waitGone(ctx, 10*time.Second)
}

func signal(p *os.Process, s os.Signal) error {
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s to process %d: %w", s, p.Pid, err)
	}
	return nil
}

func (r Record) waitGone(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for r.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: process %d is still there after %s", r.Name, r.PID, limit)
		case <-tick.C:
		}
	}
	return nil
}

// startTime is field 22 of /proc/PID/stat. A zombie counts as gone.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	return parseStat(string(data))
}

func parseStat(stat string) (uint64, error) {
	// The second field is the name in parentheses and may hold anything.
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("a stat line of 22 fields is wanted, found %q", stat)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// EndWithUs lets a command that is no daemon end when this program is killed.
func EndWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
