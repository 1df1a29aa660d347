package source

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Carried begins the names of files that the program carries with it, among those
// of files that lie on a disk.
const Carried = "runbook:"

// Files remembers which files of the controller were read, and what they held.
// Everything that a run is computed from is read through one, so that a plan can
// name it. The zero Files is empty; a nil one remembers nothing. It is safe for
// concurrent use.
type Files struct {
	mu   sync.Mutex
	kept map[string]Kept
}

// Kept is one file as it was read.
type Kept struct {
	Path string // absolute, or a name that begins with Carried
	Data []byte // as it was first read; must not change
	// Unread says that the file is named, but nobody has read it yet.
	Unread bool
	// Unsteady says that it held something else when it was read again.
	Unsteady bool
}

// Read is the function Read, remembered.
func (fs *Files) Read(path string) (*File, error) {
	f, err := Read(path)
	if err != nil {
		return nil, err
	}
	fs.Add(path, f.Data)
	return f, nil
}

// Add remembers what a file held.
func (fs *Files) Add(path string, data []byte) {
	fs.Keep(Kept{Path: path, Data: data})
}

// Name remembers a file that will be read later, or not at all.
func (fs *Files) Name(path string) {
	fs.Keep(Kept{Path: path, Unread: true})
}

// Keep remembers what another Files does of a file.
func (fs *Files) Keep(k Kept) {
	if fs == nil {
		return
	}
	if !strings.HasPrefix(k.Path, Carried) {
		if absolute, err := filepath.Abs(k.Path); err == nil {
			k.Path = absolute
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.kept == nil {
		fs.kept = map[string]Kept{}
	}
	was, known := fs.kept[k.Path]
	switch {
	case !known || was.Unread:
	case k.Unread:
		k = was
	default:
		k.Unsteady = k.Unsteady || was.Unsteady || !bytes.Equal(was.Data, k.Data)
		k.Data = was.Data
	}
	fs.kept[k.Path] = k
}

// All lists the files in the order of their paths.
func (fs *Files) All() []Kept {
	if fs == nil {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	all := make([]Kept, 0, len(fs.kept))
	for _, k := range fs.kept {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Kept) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// Clone is a new Files that remembers what fs does, and goes its own way.
func (fs *Files) Clone() *Files {
	out := &Files{kept: map[string]Kept{}}
	for _, k := range fs.All() {
		out.kept[k.Path] = k
	}
	return out
}
