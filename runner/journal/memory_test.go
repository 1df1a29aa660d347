package journal

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// memory is a disk that a test can make fail at its k-th call, and whose power
// it can cut. It forgets what a real disk may forget: bytes that were not synced,
// names whose directory was not synced, and bytes whose sync failed.
type memory struct {
	mu     sync.Mutex
	names  map[string]*node
	stable map[string]*node // the names that outlive a power cut
	calls  int
	syncs  int

	failFrom, failTo int   // the calls that fail
	failure          error // how; a write leaves half of its bytes
	cutAfter         int   // the power is gone after this call; 0: never
	held             chan struct{}
}

type node struct {
	dir    bool
	data   []byte
	synced int      // so many bytes are on the disk
	lost   [][2]int // except these, whose sync failed
}

var errPower = errors.New("the power is gone")

func newMemory(dirs ...string) *memory {
	m := &memory{names: map[string]*node{".": {dir: true}}}
	for _, d := range dirs {
		m.names[d] = &node{dir: true}
	}
	m.stable = maps.Clone(m.names)
	return m
}

// call counts, and says whether this one fails.
func (m *memory) call() error {
	m.calls++
	if m.cutAfter > 0 && m.calls > m.cutAfter {
		return errPower
	}
	if m.calls >= m.failFrom && m.calls <= m.failTo {
		return m.failure
	}
	return nil
}

// open is an opener.
func (m *memory) open(dir string) (folder, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call(); err != nil {
		return nil, err
	}
	if n := m.names[dir]; n == nil || !n.dir {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	return &memoryFolder{m, dir}, nil
}

type memoryFolder struct {
	m    *memory
	base string
}

func (f *memoryFolder) do(name string, act func(full string) error) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.call(); err != nil {
		return err
	}
	return act(path.Join(f.base, name))
}

func (f *memoryFolder) mkdir(name string) error {
	return f.do(name, func(full string) error {
		if f.m.names[full] == nil {
			f.m.names[full] = &node{dir: true}
		}
		return nil
	})
}

func (f *memoryFolder) create(name string) (file, error) {
	var n *node
	err := f.do(name, func(full string) error {
		if f.m.names[full] != nil {
			return &fs.PathError{Op: "create", Path: full, Err: fs.ErrExist}
		}
		if f.m.names[path.Dir(full)] == nil {
			return &fs.PathError{Op: "create", Path: full, Err: fs.ErrNotExist}
		}
		n = &node{}
		f.m.names[full] = n
		return nil
	})
	return &memoryFile{f.m, n}, err
}

func (f *memoryFolder) read(name string) (data []byte, err error) {
	err = f.do(name, func(full string) error {
		n := f.m.names[full]
		if n == nil || n.dir {
			return &fs.PathError{Op: "read", Path: full, Err: fs.ErrNotExist}
		}
		data = append([]byte(nil), n.data...)
		return nil
	})
	return data, err
}

func (f *memoryFolder) rename(from, to string) error {
	return f.do(from, func(full string) error {
		f.m.names[path.Join(f.base, to)] = f.m.names[full]
		delete(f.m.names, full)
		return nil
	})
}

func (f *memoryFolder) remove(name string) error {
	return f.do(name, func(full string) error {
		if f.m.names[full] == nil {
			return &fs.PathError{Op: "remove", Path: full, Err: fs.ErrNotExist}
		}
		delete(f.m.names, full)
		return nil
	})
}

func (f *memoryFolder) sync(name string) error {
	return f.do(name, func(dir string) error {
		for name := range f.m.stable {
			if name != "." && path.Dir(name) == dir && f.m.names[name] == nil {
				delete(f.m.stable, name)
			}
		}
		for name, n := range f.m.names {
			if path.Dir(name) == dir {
				f.m.stable[name] = n
			}
		}
		return nil
	})
}

func (f *memoryFolder) close() error { return f.do(".", func(string) error { return nil }) }

type memoryFile struct {
	m *memory
	n *node
}

func (f *memoryFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	switch err := f.m.call(); {
	case errors.Is(err, errPower):
		return 0, err
	case err != nil:
		f.n.data = append(f.n.data, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *memoryFile) sync() error {
	f.m.mu.Lock()
	held := f.m.held
	f.m.mu.Unlock()
	if held != nil {
		<-held
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.syncs++
	switch err := f.m.call(); {
	case errors.Is(err, errPower):
		return err
	case err != nil:
		// The kernel takes the pages for written from now on.
		f.n.lost = append(f.n.lost, [2]int{f.n.synced, len(f.n.data)})
		f.n.synced = len(f.n.data)
		return err
	}
	f.n.synced = len(f.n.data)
	return nil
}

func (f *memoryFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.m.call()
}

// loss is what becomes of what was not synced when a machine or a process dies.
type loss struct {
	name  string
	names bool // names that were not synced are there all the same
	bytes func(unsynced []byte) []byte
}

var (
	killed = loss{"the process is killed", true, nil}
	losses = []loss{
		killed,
		{"all is lost", false, func([]byte) []byte { return nil }},
		{"names are kept", true, func([]byte) []byte { return nil }},
		{"half of the bytes are kept", true, func(b []byte) []byte { return b[:len(b)/2] }},
		{"zeros instead of bytes", true, func(b []byte) []byte { return make([]byte, len(b)) }},
	}
)

// after is the disk that is found after the loss. The old one is not touched.
func (m *memory) after(l loss) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.stable
	if l.names {
		from = m.names
	}
	found := newMemory()
	for name, n := range from {
		if !there(from, name) {
			continue
		}
		c := &node{dir: n.dir, data: append([]byte(nil), n.data...)}
		if l.bytes != nil {
			for _, r := range n.lost {
				clear(c.data[r[0]:r[1]])
			}
			c.data = append(c.data[:n.synced:n.synced], l.bytes(n.data[n.synced:])...)
		} else {
			c.lost = n.lost // the kernel that shows them lives on
		}
		c.synced = len(c.data)
		found.names[name] = c
	}
	found.stable = maps.Clone(found.names)
	return found
}

// there says whether all the directories above a name are.
func there(names map[string]*node, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if names[dir] == nil {
			return false
		}
	}
	return true
}

// put makes a file with the content, as if it had been there for long.
func (m *memory) put(name string, data []byte) {
	n := &node{data: append([]byte(nil), data...), synced: len(data)}
	m.names[name], m.stable[name] = n, n
}

func (m *memory) listing() string {
	var all []string
	for name, n := range m.names {
		all = append(all, name+"="+string(n.data))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// A disk is full or broken.
var failures = map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO}

func TestTheDiskOfTheTestsForgets(t *testing.T) {
	m := newMemory("runs")
	dir, _ := m.open("runs")
	f, _ := dir.create("a")
	_, _ = f.Write([]byte("one"))
	if len(m.after(losses[1]).names) != 2 || len(m.after(losses[2]).names["runs/a"].data) != 0 {
		t.Fatal("what was not synced is still there")
	}
	_ = f.sync()
	_ = dir.sync(".")
	if got := string(m.after(losses[1]).names["runs/a"].data); got != "one" {
		t.Fatalf("what was synced is not there: %q", got)
	}
}
