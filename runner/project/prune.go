package project

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"runbook/runner/durable"
)

const goingPrefix = ".pruned-"

// Prune removes old runs, under the lock, and gives back their ids, the oldest
// first; dry only says which, and needs no lock. The newest keep runs stay, and so does what ended
// at or after before (the zero time keeps nothing for its age). Never removed are
// a run that is at work, one that can be resumed (Resumable), one whose journal is
// damaged, and one that is not in the checkpoint, which is made first. What the
// removed runs left pending stays pending.
func (p *Project) Prune(keep int, before time.Time, dry bool) ([]string, error) {
	if err := p.held(); err != nil && !dry {
		return nil, err
	}
	f, err := p.settled(dry)
	if err != nil {
		return nil, err
	}
	runs, err := p.Runs()
	if err != nil {
		return nil, err
	}
	var gone []string
	for i := range max(0, len(runs)-max(0, keep)) {
		r := runs[i]
		young := !before.IsZero() && !r.Last.Before(before)
		if young || r.Damage != nil || r.State == Running || resumable(runs, i) {
			continue
		}
		if f.Folded[runsDir+"/"+r.ID].Turn == 0 {
			continue
		}
		gone = append(gone, r.ID)
	}
	if dry {
		return gone, nil
	}
	for i, id := range gone {
		if err := p.discard(runsDir, id); err != nil {
			return gone[:i], fmt.Errorf("prune run %s: %w", id, err)
		}
	}
	return gone, p.tidy(f, runs, gone)
}

// Remove removes one run, under the lock: whatever became of it, unless it is at
// work. The id is as for Contents.
func (p *Project) Remove(id string) (string, error) {
	if err := p.held(); err != nil {
		return "", err
	}
	id, err := p.resolve(id)
	if err != nil {
		return "", err
	}
	if by, busy := p.holder(); busy && by.Run == id {
		return "", fmt.Errorf("run %s is at work: end it first", id)
	}
	if _, err := p.settled(false); err != nil {
		return "", err
	}
	return id, p.discard(runsDir, id)
}

// settled is a checkpoint that has all there is.
func (p *Project) settled(dry bool) (*folded, error) {
	if dry {
		return p.fold()
	}
	return p.checkpoint()
}

// discard removes a folder so that no half of it is ever taken for a run.
func (p *Project) discard(kind, id string) error {
	going := p.path(kind, goingPrefix+id)
	if err := os.Rename(p.path(kind, id), going); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(p.path(kind)), os.RemoveAll(going))
}

// tidy removes what an earlier prune did not get to the end of, runs that never
// began, and drops that are older than every run that is left: nothing that they
// dropped can come back.
func (p *Project) tidy(f *folded, runs []Run, gone []string) error {
	oldest := f.Turn + 1
	for _, r := range runs {
		if !slices.Contains(gone, r.ID) {
			oldest = min(oldest, r.Header.Turn) // 0 where it is damaged: nothing is older
		}
	}
	drops, err := p.list(dropsDir)
	for _, id := range drops {
		if m := f.Folded[dropsDir+"/"+id]; m.Turn > 0 && m.Turn < oldest {
			err = errors.Join(err, p.discard(dropsDir, id))
		}
	}
	left, listed := p.list(runsDir)
	for _, id := range left {
		if !slices.ContainsFunc(runs, func(r Run) bool { return r.ID == id }) {
			err = errors.Join(err, p.discard(runsDir, id))
		}
	}
	return errors.Join(err, listed, p.sweepOut(runsDir), p.sweepOut(dropsDir))
}

func (p *Project) sweepOut(kind string) error {
	entries, err := os.ReadDir(p.path(kind))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), goingPrefix) {
			err = errors.Join(err, os.RemoveAll(p.path(kind, e.Name())))
		}
	}
	return err
}
