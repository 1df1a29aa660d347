package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"runbook/runner"
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
		sweep(p.dir, name)
	}
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	if err := p.save(&f.checkpoint, f.bad); err != nil {
		return nil, fmt.Errorf("keep the state: %w; nothing is lost: it is made again of the journals", err)
	}
	return f, nil
}

// folded is a checkpoint brought up to date.
type folded struct {
	checkpoint
	notices []string
	bad     bool // state.json is damaged
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
			deltas, to, err := p.catchUp(folder, was.Folded[folder])
			var damage *journal.Damage
			if errors.As(err, &damage) {
				f.notices = append(f.notices, fmt.Sprintf("run %s is not counted in what is known of hosts and pending handlers: %v", id, err))
			} else if err != nil {
				return nil, err
			}
			news = append(news, deltas...)
			if to != (mark{}) {
				f.Folded[folder] = to
				f.Turn = max(f.Turn, to.Turn)
			}
		}
	}
	if folders == 0 && !bad {
		f.notices = nil // nothing was ever done here
	}
	f.apply(news)
	return f, nil
}

// catchUp reads a journal beyond its mark. The mark stays what it was where the
// journal cannot be read.
func (p *Project) catchUp(folder string, from mark) ([]delta, mark, error) {
	dir := p.path(filepath.FromSlash(folder))
	info, err := os.Stat(filepath.Join(dir, journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, from, nil // it died before it began, or is being pruned
	}
	if err != nil {
		return nil, from, err
	}
	if info.Size() == from.Size {
		return nil, from, nil
	}
	c, err := journal.Read(dir)
	if errors.Is(err, journal.ErrNeverBegan) || errors.Is(err, fs.ErrNotExist) {
		return nil, from, nil
	}
	if err != nil {
		return nil, from, err
	}
	news, to := digest(c, from, info.Size())
	return news, to, nil
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
