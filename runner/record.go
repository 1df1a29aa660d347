package runner

import (
	"context"
	"encoding/json"
	"time"

	"runbook/modules"
)

// Key names one piece of work: a task of a play on a host, or one item of its
// loop. A run, its resumption and its plan give the same work the same key.
type Key struct {
	Play  int    `json:"play"`            // from 1
	Task  string `json:"task"`            // its place in the play: tasks/2, tasks/0/rescue/1, handlers/0, facts
	Host  string `json:"host"`            //
	Visit int    `json:"visit,omitempty"` // how often the host has come to the task before: a handler may run again
	Item  int    `json:"item,omitempty"`  // from 1; 0 for a task without a loop
}

// Record is something that a run must not forget. The set is sealed; how
// records are written is the journal's business (runner/journal).
type Record interface{ record() }

// Journal keeps the records of a run, in the order in which they are put. Put
// returns when the record is written; with durable, when it and all before it
// are on stable storage. After an error nothing more is put: the run stops.
type Journal interface {
	Put(ctx context.Context, r Record, durable bool) error
}

// BatchBegun says that a play begins on a batch of its hosts.
type BatchBegun struct {
	Play    int       `json:"play"`
	Name    string    `json:"name"`
	Batch   int       `json:"batch"` // from 1
	Batches int       `json:"batches"`
	Hosts   []string  `json:"hosts"`
	At      time.Time `json:"at"`
}

// Intent says that a step is about to be taken. It is durable before the step.
type Intent struct {
	Key
	Name    string          `json:"name"`            // the task's
	Label   string          `json:"label,omitempty"` // of the loop item
	Step    int             `json:"step"`            // from 0, of the change's steps
	Of      int             `json:"of"`              // how many steps the change has
	Command string          `json:"command"`         // the step, for people
	ID      string          `json:"id,omitempty"`    // under which the target keeps the command; empty for steps that no target keeps
	Boot    string          `json:"boot,omitempty"`  // the target's boot, where it says one
	Pod     KeptPod         `json:"pod,omitzero"`    // that the step makes, and that stays until its result is written down
	Opaque  bool            `json:"opaque,omitempty"`
	Seen    json.RawMessage `json:"seen,omitempty"`  // what the module saw first (modules.Rememberer)
	Calls   []Called        `json:"calls,omitempty"` // the handlers that the task notifies if it changes anything
	At      time.Time       `json:"at"`
}

// KeptPod is where the pod of a step is found again.
type KeptPod struct {
	Namespace string `json:"namespace,omitempty"` // as the step has it; the kubeconfig's where empty
	Mark      string `json:"mark"`
}

// Outcome is what a piece of work came to. In a plan it is the verdict.
type Outcome struct {
	Key
	Name     string          `json:"name"`              // the task's, as people see it
	Written  string          `json:"written,omitempty"` // the name as it stands in the playbook, where it is a template
	Module   string          `json:"module"`            //
	Pos      string          `json:"pos"`               // file:line:col
	Handler  bool            `json:"handler,omitempty"`
	Label    string          `json:"label,omitempty"`    // of the loop item
	Delegate string          `json:"delegate,omitempty"` // the host it ran on, where that is another
	Status   Status          `json:"status"`
	Changed  bool            `json:"changed,omitempty"`
	Ignored  bool            `json:"ignored,omitempty"`
	Rescued  bool            `json:"rescued,omitempty"` // failed where a rescue stood by
	Msg      string          `json:"msg,omitempty"`
	Diffs    []modules.Diff  `json:"diffs,omitempty"` // without secrets
	Steps    []string        `json:"steps,omitempty"` // for people, without secrets
	Opaque   bool            `json:"opaque,omitempty"`
	Once     bool            `json:"once,omitempty"`   // what it did is not to be done again: a reboot
	Looked   bool            `json:"looked,omitempty"` // nothing was to be done: it is what was found at that time
	Holds    bool            `json:"holds,omitempty"`  // what it holds ends with the life of the run, and is taken again by the next
	Notes    []string        `json:"notes,omitempty"`
	Digest   Digest          `json:"digest,omitzero"`
	Notified []Called        `json:"notified,omitempty"` // the handlers that this calls for
	Value    json.RawMessage `json:"value,omitempty"`    // what register gets (jinja.Encode), where it is needed again
	Facts    json.RawMessage `json:"facts,omitempty"`    // likewise
	Sealed   string          `json:"sealed,omitempty"`   // value and facts instead, where they hold a secret
	Settled  string          `json:"settled,omitempty"`  // how it was learned, where who took the steps did not live to say
	// Unsettled: the connection or the run ended while a step was at work. The
	// intents before it stand: a resumed run asks what became of them.
	Unsettled bool `json:"unsettled,omitempty"`

	Took time.Duration `json:"took"`
	At   time.Time     `json:"at"`

	// What the steps printed, without secrets; empty with no_log. The journal
	// keeps it in files beside the records.
	Stdout string `json:"-"`
	Stderr string `json:"-"`
}

// Called names a handler that a task notified.
type Called struct {
	Task string `json:"task"` // its place in the play: handlers/0
	Name string `json:"name"`
	May  bool   `json:"may,omitempty"` // in a plan: it is not known whether the task changes anything
}

// Digest says what a change was, so that two can be told apart without their
// secrets. The zero Digest is that of nothing to do.
type Digest struct {
	Steps []string `json:"steps,omitempty"` // one for each step
	Diffs []string `json:"diffs,omitempty"` // one for each difference
}

// Adopted says which handlers, that earlier runs left, this one takes over.
type Adopted struct {
	Pending []Notification `json:"pending"`
	At      time.Time      `json:"at"`
}

// Halted says why a run took no more tasks: interrupted, a play's end, an error
// of the run itself.
type Halted struct {
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Ended closes a run that came to its end, whatever became of its hosts.
type Ended struct {
	Recap   []Recap       `json:"recap"`
	Summary Summary       `json:"summary"`
	Took    time.Duration `json:"took"`
	At      time.Time     `json:"at"`
}

func (BatchBegun) record() {}
func (Intent) record()     {}
func (Outcome) record()    {}
func (Adopted) record()    {}
func (Halted) record()     {}
func (Ended) record()      {}

// Notification is a handler that was notified on a host and has not run since.
type Notification struct {
	Playbook string    `json:"playbook"` // as the run's header has it
	Play     string    `json:"play"`     // the play's name
	Handler  string    `json:"handler"`  // its name
	Host     string    `json:"host"`
	By       string    `json:"by"`  // the task that notified it
	Run      string    `json:"run"` // the run's id
	At       time.Time `json:"at"`
}

// Seal keeps what must not be readable in a journal or a plan.
type Seal interface {
	Seal(plain []byte) (string, error)
	Open(sealed string) ([]byte, error)
	// Digest names data so that nobody without the key can guess at it.
	Digest(data []byte) string
}
