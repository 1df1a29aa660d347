package modules

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Run is a command on the target. As a query it must be read-only; as a step it
// may change the target.
type Run struct {
	Argv   []string          // the program and its arguments; never a secret
	Shell  string            // instead of Argv: text for /bin/sh -c
	Env    map[string]string // added to the environment; never a secret
	Dir    string
	Stdin  string        // may hold secrets: it is never shown
	Limit  time.Duration // how long it may take; the engine's default where zero
	Exits  []int         // as a step: codes that are success beside 0
	Opaque bool          // as a step: what it changes cannot be foreseen or verified
	Exe    string        // the shell for Shell; /bin/sh where empty
	Show   string        // the equivalent command line for people, where Shell is longer than its meaning; never a secret
	// KeepEnds, as an opaque step: register what it prints with the line ends
	// at its end, which are dropped otherwise.
	KeepEnds bool
}

// Write puts a whole file in place, atomically.
type Write struct {
	Path         string
	Data         []byte
	Mode         fs.FileMode // permission bits; those of the old file, or 0644, where zero
	Owner, Group string      // kept where empty
	Backup       bool        // keep the old content beside it
	Secret       bool        // never show the content
	// Event says that path and content name the moment (a backup): a plan and
	// its apply then differ in them, and are compared without.
	Event bool
}

// Remove deletes a path, with everything below it if Recursive.
type Remove struct {
	Path      string
	Recursive bool
}

// Pause waits. It is not a change.
type Pause struct{ For time.Duration }

// Reboot has the machine start anew. The engine lets it do so a moment later, so
// that the connection ends in order, and comes back over a new one, whose host key
// is checked again: the step is over when the machine tells of another boot.
type Reboot struct {
	Boot    string        // the id of the boot that is to end
	Command string        // shell text that reboots the machine; its own way where empty
	Timeout time.Duration // until it is back; ten minutes where zero
}

func (Run) step()    {}
func (Reboot) step() {}
func (Write) step()  {}
func (Remove) step() {}
func (Pause) step()  {}

func (r Run) String() string {
	if r.Show != "" {
		return r.Show
	}
	if r.Shell != "" {
		return strings.TrimSpace(r.Shell)
	}
	words := make([]string, len(r.Argv))
	for i, w := range r.Argv {
		words[i] = Quote(w)
	}
	return strings.Join(words, " ")
}

func (w Write) String() string {
	s := "write " + Quote(w.Path) + " (" + strconv.Itoa(len(w.Data)) + " bytes"
	if w.Mode != 0 {
		s += ", mode " + strconv.FormatUint(uint64(w.Mode.Perm()), 8)
	}
	return s + ")"
}

func (r Remove) String() string {
	if r.Recursive {
		return "rm -r " + Quote(r.Path)
	}
	return "rm " + Quote(r.Path)
}

func (r Reboot) String() string {
	if r.Command != "" {
		return r.Command
	}
	return "reboot"
}

func (p Pause) String() string { return "pause " + p.For.String() }

// Command is a Run of these words.
func Command(argv ...string) Run { return Run{Argv: argv} }

// Quote makes a word safe for a POSIX shell. Plain words stay as they are.
func Quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
