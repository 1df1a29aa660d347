package project

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"runbook/runner/durable"
	"runbook/runner/journal"
)

// Begin opens the journal of a new run, under the lock. It gives the run its id
// and its turn; what else the header says is the caller's. A header without a
// time gets the present one.
func (p *Project) Begin(h journal.Header) (*journal.Writer, string, error) {
	w, err := p.begin(runsDir, &h)
	if err != nil {
		return nil, "", fmt.Errorf("begin the run's journal: %w", err)
	}
	return w, h.Run, nil
}

func (p *Project) begin(kind string, h *journal.Header) (*journal.Writer, error) {
	if err := p.held(); err != nil {
		return nil, err
	}
	f, err := p.fold()
	if err != nil {
		return nil, err
	}
	h.Turn = f.Turn + 1
	if h.At.IsZero() {
		h.At = time.Now().Round(0)
	}
	if h.Run, err = p.newID(kind, h.At); err != nil {
		return nil, err
	}
	if err := p.ready(kind); err != nil {
		return nil, err
	}
	if kind == runsDir {
		if err := p.name(h.Run); err != nil {
			return nil, err
		}
	}
	return journal.Create(p.path(kind, h.Run), *h)
}

// ready sees to a folder that somebody has removed.
func (p *Project) ready(kind string) error {
	if err := os.Mkdir(p.path(kind), 0o700); err == nil {
		return durable.SyncDir(p.dir)
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

const (
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz" // without those that look like others
	idTries  = 20
)

// newID is an id that sorts by time and can be told over the phone:
// 20261123-004512-k3f9, in UTC.
func (p *Project) newID(kind string, at time.Time) (string, error) {
	for range idTries {
		var bits [4]byte
		_, _ = rand.Read(bits[:]) // never fails
		for i, b := range bits {
			bits[i] = idDigits[int(b)%len(idDigits)]
		}
		id := at.UTC().Format("20060102-150405-") + string(bits[:])
		_, err := os.Lstat(p.path(kind, id))
		if errors.Is(err, fs.ErrNotExist) {
			return id, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no id is free at %s", at.UTC().Format(time.DateTime))
}

// Resume opens a run's journal for another life, under the lock, and gives that
// life its turn. The contents are those of the lives before. The id is as for
// Contents.
func (p *Project) Resume(id string, r journal.Resumed) (*journal.Writer, *journal.Contents, error) {
	if err := p.held(); err != nil {
		return nil, nil, err
	}
	id, err := p.resolve(id)
	if err != nil {
		return nil, nil, err
	}
	f, err := p.fold()
	if err != nil {
		return nil, nil, err
	}
	r.Turn = f.Turn + 1
	if r.At.IsZero() {
		r.At = time.Now().Round(0)
	}
	if err := p.name(id); err != nil {
		return nil, nil, err
	}
	return journal.Reopen(p.RunDir(id), r)
}
