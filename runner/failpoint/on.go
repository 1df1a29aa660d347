//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Enabled says whether this build has points.
const Enabled = true

// Point is a place where a test may end the process. The zero Point is none.
type Point struct{ name string }

func point(name string) Point { return Point{name: name} }

// Hit says that the process has come to the point. If this is the hit that was
// asked for, it does not return.
func (p Point) Hit() {
	if p.name != "" {
		asked.hit(p.name)
	}
}

// asked is what the environment wants.
var asked = fromEnvironment()

type hits struct {
	mu   sync.Mutex
	fall string // the point at which to die
	at   int    // at which of its hits, from 1
	seen string // the file of the points that were hit; none where empty
	hits map[string]int
}

func fromEnvironment() *hits {
	h := &hits{seen: os.Getenv("RUNBOOK_FAILPOINTS_FILE"), hits: map[string]int{}}
	want := os.Getenv("RUNBOOK_FAILPOINT")
	if want == "" {
		return h
	}
	name, number, _ := strings.Cut(want, "@")
	at, err := strconv.Atoi(number)
	if err != nil || at < 1 || name == "" {
		stop(fmt.Errorf("RUNBOOK_FAILPOINT is %q; wanted NAME@N, with N from 1", want))
	}
	h.fall, h.at = name, at
	return h
}

func (h *hits) hit(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hits[name]++
	if h.seen != "" && h.hits[name] == 1 {
		if err := note(h.seen, name); err != nil {
			stop(err)
		}
	}
	if name == h.fall && h.hits[name] == h.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// note appends a line in one write, so that processes can share the file.
func note(path, name string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(name + "\n")
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// stop ends a process whose test would otherwise prove nothing.
func stop(err error) {
	fmt.Fprintln(os.Stderr, "failpoint:", err)
	os.Exit(70)
}
