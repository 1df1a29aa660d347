// Package plan is a plan as a file: what a run would do, what that was computed
// from, and who said so, under one digest and one signature. It knows nothing of
// how a plan is made or carried out.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"runbook/runner"
)

// Format is what a plan file begins with.
const Format = "runbook plan 1"

// Key is the project's key: it seals what a plan must not show, and signs.
type Key interface {
	Seal(plain []byte) (string, error)
	Open(sealed string) ([]byte, error)
	// Digest names data so that nobody without the key can guess at it.
	Digest(data []byte) string
	MAC(data []byte) string
	Verify(data []byte, mac string) bool
	// ID names the key, and tells nothing else of it.
	ID() string
}

// Plan is a plan file. Nothing in it is a secret, but for what is sealed.
type Plan struct {
	Format   string                `json:"format"`
	Header   Header                `json:"header"`
	Digests  map[string]string     `json:"inputs"` // what it was computed from (Inputs.Digests)
	Summary  Counts                `json:"summary"`
	Complete bool                  `json:"complete"`          // false: it can be looked at, not applied
	Missing  []string              `json:"missing,omitempty"` // why it is not complete, for people
	Work     []runner.Outcome      `json:"work"`              // the verdicts, task by task
	Pending  []runner.Notification `json:"pending,omitempty"` // handlers of earlier runs that it includes
	Sealed   string                `json:"sealed"`            // the Inputs
	Digest   string                `json:"digest"`            // "sha256:" and 64 hexadecimal digits, over all but itself and the signature
	MAC      string                `json:"mac"`               // the signature: of the digest, with the project's key
}

// Header says what the plan is about and where it comes from.
type Header struct {
	Playbook string          `json:"playbook"` // as runs know it
	Created  time.Time       `json:"created"`
	By       string          `json:"by"`                 // user@host
	Version  string          `json:"version"`            // of the program
	Key      string          `json:"key"`                // the id of the project's key
	Settings json.RawMessage `json:"settings,omitempty"` // the command's, for people; no secret may be in it
	Hosts    []string        `json:"hosts"`              // in the order of the batches
	Batches  []Batch         `json:"batches"`
}

// Batch is the hosts of a play that have their tasks together.
type Batch struct {
	Play    int      `json:"play"` // from 1
	Name    string   `json:"name"` // the play's
	Batch   int      `json:"batch"`
	Batches int      `json:"batches"`
	Hosts   []string `json:"hosts"`
}

// Counts is how many tasks of how many hosts have which verdict. The items of a
// loop count as one task.
type Counts struct {
	OK          int      `json:"ok"`
	Change      int      `json:"change"`
	Run         int      `json:"run"` // what they change cannot be foreseen
	Wait        int      `json:"wait"`
	Unknown     int      `json:"unknown"`
	Skipped     int      `json:"skipped"`
	Done        int      `json:"done"`   // while planning: check_mode is off for them
	Failed      int      `json:"failed"` // those that are ignored too
	Unreachable int      `json:"unreachable"`
	Hosts       int      `json:"hosts"`
	Batches     int      `json:"batches"`
	Handlers    []string `json:"handlers,omitempty"` // those that would be notified, or may be
}

// Inputs opens the seal: all that the plan was computed from, once the signature
// is found good.
func (p *Plan) Inputs(key Key) (Inputs, error) {
	if err := p.Verify(key); err != nil {
		return Inputs{}, err
	}
	data, err := key.Open(p.Sealed)
	if err != nil {
		return Inputs{}, fmt.Errorf("the sealed part of the plan cannot be opened: %w", err)
	}
	in := Inputs{key: key}
	if err := json.Unmarshal(data, &in); err != nil {
		return Inputs{}, fmt.Errorf("the sealed part of the plan: %w", err)
	}
	return in, nil
}

// Signed is the plan as the engine carries it out.
func (p *Plan) Signed() *runner.Signed {
	s := &runner.Signed{Work: make(map[runner.Key]runner.Outcome, len(p.Work))}
	for _, o := range p.Work {
		s.Work[o.Key] = o
	}
	return s
}

// Check says whether the plan may be carried out: it is as it was signed, this
// project signed it, it is complete, and what it was computed from is still what
// is here. The error names everything that is not so, and what to do. The inputs
// are those of now, gathered before anything runs.
func (p *Plan) Check(key Key, now Inputs) error {
	if err := p.Verify(key); err != nil {
		return err
	}
	var wrong []error
	if !sameMajor(p.Header.Version, now.Version) {
		wrong = append(wrong, fmt.Errorf("the plan was made by runbook %s, and this is %s: plan again", p.Header.Version, now.Version))
	}
	if !p.Complete {
		wrong = append(wrong, fmt.Errorf("the plan is not complete: %s: see to that, or leave the hosts out with --limit, and plan again", strings.Join(p.Missing, "; ")))
	}
	if changed := now.Since(p.Digests); len(changed) > 0 {
		wrong = append(wrong, fmt.Errorf("the plan was computed from something else than what is here now: plan again\n  %s", strings.Join(changed, "\n  ")))
	}
	return errors.Join(wrong...)
}

// Verify says whether the plan is as it was signed, by the project of this key.
func (p *Plan) Verify(key Key) error {
	if p.Header.Key != key.ID() {
		return fmt.Errorf("the plan is of another project: it is signed with the key %q, and the key of this one is %q: "+
			"apply it in the project that made it, or plan again here", p.Header.Key, key.ID())
	}
	if !key.Verify([]byte(p.Digest), p.MAC) {
		return errors.New("the plan was edited: the signature is not that of its digest: plan again")
	}
	return nil
}
