package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"runbook/runner"
	"runbook/runner/durable"
	"runbook/runner/failpoint"
)

const (
	stateFile    = "state.json"
	copyFile     = "state.json.bak"
	badFile      = "state.json.bad" // a damaged one, kept for whoever wonders
	stateVersion = 1
)

// checkpoint is what state.json says: the fold of the journals, each up to its
// mark. Journals that were pruned stay counted.
type checkpoint struct {
	V       int             `json:"v"`
	Turn    int             `json:"turn"` // the highest that any life has had
	Written time.Time       `json:"written"`
	Hosts   map[string]Host `json:"hosts"`
	Pending []waiting       `json:"pending"` // in the order in which they came
	Folded  map[string]mark `json:"folded"`  // by folder: runs/ID, drops/ID
}

// errDamaged is a state.json that is not as it was written. It is made again of
// the journals.
var errDamaged = errors.New("damaged")

// encode is two lines of JSON: what is kept, and the checksum of that line.
func encode(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	line = append(line, '\n')
	return append(line, checksum(line)...), nil
}

func checksum(line []byte) []byte {
	return fmt.Appendf(nil, "{\"sha256\":\"%x\"}\n", sha256.Sum256(line))
}

// whole is the line that was encoded, if it is as it was.
func whole(data []byte) ([]byte, error) {
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 || !bytes.Equal(data[end:], checksum(data[:end])) {
		return nil, errDamaged
	}
	return data[:end], nil
}

func decode(data []byte) (*checkpoint, error) {
	line, err := whole(data)
	if err != nil {
		return nil, err
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, errDamaged
	}
	if head.V > stateVersion {
		return nil, fmt.Errorf("it has version %d, and this runbook knows version %d: use the newer runbook that wrote it", head.V, stateVersion)
	}
	c := &checkpoint{}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, errDamaged
	}
	return c, nil
}

// load reads state.json, or else its copy. Where neither can be used, the
// checkpoint is empty, and what it says is to be had from the journals again.
// The notices say what was wrong.
func (p *Project) load() (c *checkpoint, notices []string, bad bool, err error) {
	for _, name := range []string{stateFile, copyFile} {
		data, err := os.ReadFile(p.path(name))
		if err == nil {
			c, err = decode(data)
		}
		switch {
		case err == nil:
			if len(notices) > 0 {
				notices = append(notices, fmt.Sprintf("%s is used in its place", p.path(name)))
			}
			return c, notices, bad, nil
		case errors.Is(err, errDamaged):
			notices = append(notices, fmt.Sprintf("%s is damaged: its checksum is not that of its content", p.path(name)))
			bad = bad || name == stateFile
		case errors.Is(err, fs.ErrNotExist):
			notices = append(notices, fmt.Sprintf("%s is missing", p.path(name)))
		default:
			return nil, nil, false, fmt.Errorf("%s: %w", p.path(name), err)
		}
	}
	notices = append(notices, "the state is made again of the journals; what only pruned runs could say is lost")
	return &checkpoint{}, notices, bad, nil
}

// copied is where a test build dies: the copy is newer than the checkpoint.
var copied = failpoint.New("project.checkpoint.copied")

// save replaces state.json and its copy, the copy first.
func (p *Project) save(c *checkpoint, bad bool) error {
	c.V, c.Written = stateVersion, time.Now().Round(0)
	data, err := encode(c)
	if err != nil {
		return err
	}
	if bad {
		if err := os.Rename(p.path(stateFile), p.path(badFile)); err != nil {
			return err
		}
	}
	if err := durable.Replace(p.path(copyFile), data); err != nil {
		return err
	}
	copied.Hit()
	return durable.Replace(p.path(stateFile), data)
}

// apply adds what the lives of runs say, in the order of their turns.
func (c *checkpoint) apply(deltas []delta) {
	c.Hosts = maps.Clone(c.Hosts)
	if c.Hosts == nil {
		c.Hosts = map[string]Host{}
	}
	slices.SortStableFunc(deltas, func(a, b delta) int { return a.turn - b.turn })
	pending := queue{at: map[identity]int{}}
	for _, w := range c.Pending {
		pending.put(w)
	}
	for _, d := range deltas {
		for _, n := range d.notices {
			pending.take(n)
		}
		for _, h := range d.hosts {
			c.Hosts[h.Name] = h
		}
	}
	c.Pending = pending.all()
}

// waiting is a pending notification.
type waiting struct {
	runner.Notification
	Sure   bool     `json:"sure"`             // somebody changed something
	Doubts []string `json:"doubts,omitempty"` // work that may have, or may have not
}

// queue is notifications in the order in which they came, each once.
type queue struct {
	line []*waiting // nil where one was removed
	at   map[identity]int
}

func (q *queue) put(w waiting) {
	q.at[identify(w.Notification)] = len(q.line)
	q.line = append(q.line, &w)
}

// take does what a notice says. Of several that are the same, the first says
// since when the handler is due.
func (q *queue) take(n notice) {
	id := identify(n.Notification)
	i, there := q.at[id]
	switch {
	case there:
	case n.what == notified:
		q.put(waiting{Notification: n.Notification, Sure: true})
		return
	case n.what == doubted:
		q.put(waiting{Notification: n.Notification, Doubts: []string{n.doubt}})
		return
	default:
		return
	}
	w := q.line[i]
	switch n.what {
	case notified:
		w.Sure = true
	case doubted:
		w.Doubts = append(w.Doubts, n.doubt)
	case withdrawn:
		w.Doubts = slices.DeleteFunc(slices.Clone(w.Doubts), func(d string) bool { return d == n.doubt })
	}
	if n.what == settled || !w.Sure && len(w.Doubts) == 0 {
		q.line[i] = nil
		delete(q.at, id)
	}
}

func (q *queue) all() []waiting {
	all := []waiting{}
	for _, w := range q.line {
		if w != nil {
			all = append(all, *w)
		}
	}
	return all
}

// pending is the notifications alone.
func (c *checkpoint) pending() []runner.Notification {
	all := make([]runner.Notification, len(c.Pending))
	for i, w := range c.Pending {
		all[i] = w.Notification
	}
	return all
}
