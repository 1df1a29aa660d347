// Package journal keeps what a run must not forget in one append-only file,
// runs/ID/journal.jsonl: a line of JSON for each record, checksummed and chained
// to the line before. What a record is, is the engine's business (runner.Record);
// how it outlives a crash is this package's. `runbook doc journal` describes the file.
//
// A run has a life for each process that carried it out: the first begins with
// its Header, a later one with Resumed. One process writes at a time; whoever
// calls Create or Reopen holds the project's lock.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"runbook/runner"
)

// Header opens the journal, and with it the run's first life.
type Header struct {
	Run       string            `json:"run"`                 // the run's id
	Turn      int               `json:"turn"`                // numbers the lives of all runs of the project, rising
	Playbook  string            `json:"playbook"`            // its path
	Args      json.RawMessage   `json:"args,omitempty"`      // the command line's settings, for the resumption
	Inputs    map[string]string `json:"inputs,omitempty"`    // the files that were read, with their digests
	Inventory string            `json:"inventory,omitempty"` // digest of what the inventory said
	Plan      string            `json:"plan,omitempty"`      // digest of the signed plan, where one is carried out
	Version   string            `json:"version"`             // of runbook
	Who       string            `json:"who"`                 // user@host
	PID       int               `json:"pid"`
	At        time.Time         `json:"at"`
}

// Resumed opens a later life of the run.
type Resumed struct {
	Turn    int       `json:"turn"`
	Who     string    `json:"who"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`
}

// Dropped says that a notification was dropped by name: its handler will not
// run for it any more.
type Dropped struct {
	Playbook string    `json:"playbook"`
	Play     string    `json:"play"` // its name
	Handler  string    `json:"handler"`
	Host     string    `json:"host"`
	Who      string    `json:"who"` // dropped it
	At       time.Time `json:"at"`
}

// ErrNeverBegan is the error of a run whose first line was not written whole: it
// died before it did anything, and its folder can be removed.
var ErrNeverBegan = errors.New("the run never began: its first line was not written whole; it did nothing, and its folder can be removed")

// Damage is the error of a journal that does not say what was written to it.
// Nothing of it can be trusted from that line on.
type Damage struct {
	Path    string
	Line    int // from 1
	Problem string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s:%d: %s; the journal cannot be trusted from this line on: restore the file from a copy, or start a new run, which looks before it acts",
		d.Path, d.Line, d.Problem)
}

// fileName is the journal's, in the run's folder.
const fileName = "journal.jsonl"

// kind is the word for a record in its line.
type kind string

const (
	aHeader   kind = "run"
	aResumed  kind = "resumed"
	aDropped  kind = "dropped"
	anAdopted kind = "adopted"
	aBatch    kind = "batch"
	anIntent  kind = "intent"
	anOutcome kind = "outcome"
	aHalted   kind = "halted"
	anEnded   kind = "ended"
)

// kindOf names a record of the engine.
func kindOf(r runner.Record) (kind, error) {
	switch r.(type) {
	case runner.Adopted:
		return anAdopted, nil
	case runner.BatchBegun:
		return aBatch, nil
	case runner.Intent:
		return anIntent, nil
	case runner.Outcome:
		return anOutcome, nil
	case runner.Halted:
		return aHalted, nil
	case runner.Ended:
		return anEnded, nil
	}
	return "", fmt.Errorf("journal: a %T is not a record that can be kept", r)
}
