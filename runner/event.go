package runner

import (
	"time"

	"runbook/modules"
	"runbook/runner/source"
)

// Event is something that happened in a run. Events reach Runner.Emit one at a
// time, in order, with secrets already replaced. The set is sealed.
type Event interface{ event() }

// RunStarted opens the run.
type RunStarted struct {
	Playbook string
	Plan     bool
	Tasks    int // in all plays, each counted once
	Resumed  bool
	Pending  []Notification // handlers that earlier runs left, and that this one will run
	At       time.Time
}

// PlayStarted opens a play on one batch of its hosts.
type PlayStarted struct {
	Name    string
	Hosts   []string // of this batch
	Batch   int      // from 1
	Batches int
	At      time.Time
}

// TaskStarted opens a task on the hosts that still run.
type TaskStarted struct {
	Name    string
	Module  string
	Handler bool
	Pos     source.Pos
	At      time.Time
}

// TaskDone is one task's result on one host, or that of one loop item.
type TaskDone struct {
	Task     string
	Host     string
	Delegate string // the host it ran on, where that is another
	Pos      source.Pos
	Item     *string // the label of the loop item
	Part     bool    // of a loop: the result of the whole task follows
	Looped   bool    // the task has a loop
	Handler  bool
	Recalled bool // by an earlier life of the run: nothing was done now
	Result   Result
	Took     time.Duration
	At       time.Time
}

// TaskRetried says that an attempt was not enough.
type TaskRetried struct {
	Task, Host string
	Left       int
	At         time.Time
}

// TaskWaiting says what a task waits for, each time that changes.
type TaskWaiting struct {
	Task, Host string
	For        []modules.Diff
	At         time.Time
}

// PlayStopped says why a play ended before its last task.
type PlayStopped struct {
	Reason string // "no hosts matched", "no more hosts left", "interrupted"
	At     time.Time
}

// RunDone closes the run.
type RunDone struct {
	Recap   []Recap // by host, sorted
	Plan    bool
	Rescues int            // of a plan: tasks that run only where another fails
	Pending []Notification // handlers that were notified and have not run
	Took    time.Duration
	At      time.Time
}

func (RunStarted) event()  {}
func (PlayStarted) event() {}
func (TaskStarted) event() {}
func (TaskDone) event()    {}
func (TaskRetried) event() {}
func (TaskWaiting) event() {}
func (PlayStopped) event() {}
func (RunDone) event()     {}

// Status is the outcome of one task on one host.
type Status string

// The outcomes. WouldChange, WouldRun, WouldWait and Unknown occur in plans only.
const (
	OK          Status = "ok"
	Changed     Status = "changed"
	Skipped     Status = "skipped"
	Failed      Status = "failed"
	Unreachable Status = "unreachable"
	WouldChange Status = "change"            // known, and would be done
	WouldRun    Status = "run"               // would be run; what it changes cannot be foreseen
	WouldWait   Status = "wait"              // a condition that does not hold yet
	Unknown     Status = "known after apply" // hangs on something that only apply brings about
)

// Result is what one task came to on one host.
type Result struct {
	Status  Status
	Changed bool           // something was changed, or in a plan would be; also where the task failed after that
	Ignored bool           // failed, and ignore_errors says to go on
	Msg     string         // of a failure, a skip or an unknown: the reason
	Change  modules.Change // what the Check found first
	Vars    map[string]any // what `register:` gets, nil for unknown keys in a plan
	Shown   bool           // the result is the point of the task (debug)
	Err     error          // of a failure: the cause; an event has only its words, in Msg
}

// Recap counts one host's results.
type Recap struct {
	Host        string `json:"host"`
	OK          int    `json:"ok,omitempty"`
	Changed     int    `json:"changed,omitempty"`
	Unreachable int    `json:"unreachable,omitempty"`
	Failed      int    `json:"failed,omitempty"`
	Skipped     int    `json:"skipped,omitempty"`
	Rescued     int    `json:"rescued,omitempty"`
	Ignored     int    `json:"ignored,omitempty"`
	WouldChange int    `json:"would_change,omitempty"`
	WouldRun    int    `json:"would_run,omitempty"`
	WouldWait   int    `json:"would_wait,omitempty"`
	Unknown     int    `json:"unknown,omitempty"`
}

func (r *Recap) add(res Result) {
	switch res.Status {
	case OK:
		r.OK++
	case Changed:
		r.OK++
		r.Changed++
	case Skipped:
		r.Skipped++
	case Unreachable:
		r.Unreachable++
	case Failed:
		if res.Ignored {
			r.OK++
			r.Ignored++
			if res.Changed {
				r.Changed++
			}
			return
		}
		r.Failed++
	case WouldChange:
		r.WouldChange++
	case WouldRun:
		r.WouldRun++
	case WouldWait:
		r.WouldWait++
	case Unknown:
		r.Unknown++
	}
}
