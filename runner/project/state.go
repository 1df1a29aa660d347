package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"runbook/runner"
	"runbook/runner/durable"
	"runbook/runner/journal"
)

// State is what all runs say together.
type State struct {
	Turn    int                   // the highest that any life of a run has had
	Hosts   map[string]Host       // by name
	Pending []runner.Notification // in the order in which they came
	Notices []string              // what people should know: what was damaged, and what that means
}

// State folds the journals of all runs, in the order of the turns of their lives.
// Journals that have not grown since the last Checkpoint are not read again. A
// damaged journal is passed over with a notice.
func (p *Project) State() (*State, error) {
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	return &State{Turn: f.Turn, Hosts: f.Hosts, Pending: f.pending(), Notices: f.notices}, nil
}

// Checkpoint keeps the fold, so that it need not be done again. It is called
// under the lock when a run has closed its journal.
func (p *Project) Checkpoint() error {
	if err := p.held(); err != nil {
		return err
	}
	_, err := p.checkpoint()
	return err
}

func (p *Project) checkpoint() (*folded, error) {
	for _, name := range []string{stateFile, copyFile, infoFile} {
		durable.Sweep(p.path(name))
	}
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	if err := p.save(&f.checkpoint, f.bad); err != nil {
		return nil, fmt.Errorf("keep the state: %w; nothing is lost: it is made again of the journals", err)
	}
	for _, r := range f.rows {
		p.keepRow(r)
	}
	return f, nil
}

// folded is a checkpoint brought up to date.
type folded struct {
	checkpoint
	notices []string
	bad     bool // state.json is damaged
	rows    []row
}

func (p *Project) fold() (*folded, error) {
	was, notices, bad, err := p.load()
	if err != nil {
		return nil, fmt.Errorf("the project's state: %w", err)
	}
	f := &folded{checkpoint: *was, notices: notices, bad: bad}
	f.Folded = map[string]mark{}
	var news []delta
	folders := 0
	for _, kind := range []string{runsDir, dropsDir} {
		ids, err := p.list(kind)
		if err != nil {
			return nil, err
		}
		folders += len(ids)
		for _, id := range ids {
			folder := kind + "/" + id
			g, err := p.catchUp(folder, was.Folded[folder])
			var damage *journal.Damage
			if errors.As(err, &damage) {
				f.notices = append(f.notices, fmt.Sprintf("run %s is not counted in what is known of hosts and pending handlers: %v", id, err))
			} else if err != nil {
				return nil, err
			}
			news = append(news, g.news...)
			if g.to != (mark{}) {
				f.Folded[folder] = g.to
				f.Turn = max(f.Turn, g.to.Turn)
			}
			if g.row.Run != nil && kind == runsDir {
				f.rows = append(f.rows, g.row)
			}
		}
	}
	if folders == 0 && !bad {
		f.notices = nil // nothing was ever done here
	}
	f.apply(news)
	return f, nil
}

// growth is what a journal says beyond its mark.
type growth struct {
	news []delta
	to   mark
	row  row // zero where there is nothing new
}

// catchUp reads a journal beyond its mark. The mark stays what it was where the
// journal cannot be read.
func (p *Project) catchUp(folder string, from mark) (growth, error) {
	same := growth{to: from}
	dir := p.path(filepath.FromSlash(folder))
	info, err := os.Stat(filepath.Join(dir, journalFile))
	if err == nil && info.Size() == from.Size {
		return same, nil
	}
	var sum string
	var size int64
	if err == nil {
		sum, size, err = sumOf(dir)
	}
	var c *journal.Contents
	if err == nil {
		c, err = journal.Read(dir)
	}
	if errors.Is(err, journal.ErrNeverBegan) || errors.Is(err, fs.ErrNotExist) {
		return same, nil // it died before it began, or is being pruned
	}
	if err != nil {
		return same, err
	}
	g := growth{row: row{V: rowVersion, Sum: sum, Run: summarize(filepath.Base(dir), c)}}
	g.news, g.to = digest(c, from, size)
	return g, nil
}

const journalFile = "journal.jsonl"

// list is the folders of a kind, by name. Those that begin with a dot are on
// their way out.
func (p *Project) list(kind string) ([]string, error) {
	entries, err := os.ReadDir(p.path(kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}
