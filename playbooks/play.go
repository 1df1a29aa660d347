// Package playbooks is the language: it reads plays, blocks and tasks with their
// positions, and finds what is wrong with them before a host is contacted.
package playbooks

import (
	"time"

	"runbook/modules"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// Playbook is one file of plays, without mistakes that can be seen before a
// host is contacted.
type Playbook struct {
	Path  string // as the user wrote it
	Dir   string // absolute; relative files are looked for here
	Plays []*Play

	read *source.Files // by the playbook and, so far, by its tasks
}

// Files are those of the controller that the playbook is made of, that its tasks
// name, and that its tasks have read so far.
func (b *Playbook) Files() []source.Kept { return b.read.All() }

// Play maps hosts to what is to be done on them.
type Play struct {
	Name              *Text
	Pos               source.Pos
	Hosts             *Text // a host pattern; a list is joined by commas
	GatherFacts       *Flag // nil: not given, which means yes
	Serial            []Batch
	MaxFailPercentage *Text   // nil: not given
	Vars              []Layer // vars, then vars_files, lowest first
	PreTasks          []Node
	Tasks             []Node
	PostTasks         []Node
	Handlers          []*Task
	Keywords
}

// Batch is one entry of serial: a count, a percentage of the play's hosts, or a
// template that gives either, or a list (Play.Batches).
type Batch struct {
	Count   int
	Percent float64
	Text    *Text
}

// Node is what a list of tasks holds: *Task or *Block.
type Node interface{ node() }

func (*Task) node()  {}
func (*Block) node() {}

// Block is tasks with what to do when one of them fails, and what to do in any case.
type Block struct {
	Name                  *Text
	Pos                   source.Pos
	Tasks, Rescue, Always []Node
	Keywords
}

// Task is one module with its arguments, and how its result is judged.
type Task struct {
	Name        *Text // empty: the module's name is shown
	Pos         source.Pos
	Def         modules.Def
	Args        *Args  // compiled; Task.Module makes the module of them
	Action      string // of a meta task: flush_handlers, end_play, ...
	Loop        *Value // nil: no loop
	LoopControl LoopControl
	Register    string
	Until       *Conditions
	Retries     *Text
	Delay       *Text
	ChangedWhen *Conditions
	FailedWhen  *Conditions
	Notify      []*Text
	Listen      []string // of a handler
	Keywords
}

// Keywords are those that plays, blocks and tasks share. In a Block or Task the
// chain of its parents is already merged in: conditions AND-ed outermost first,
// tags united, environment and vars layered, the nearest of all others.
type Keywords struct {
	When           []*Conditions
	Tags           []string
	Layers         []Layer // block and task vars, outermost first
	Environment    []*Value
	Become         *Flag
	BecomeUser     *Text
	BecomeMethod   *Text
	BecomeFlags    *Text
	Connection     *Text
	RemoteUser     *Text
	Port           *Text
	DelegateTo     *Text
	RunOnce        *Flag
	IgnoreErrors   *Flag
	AnyErrorsFatal *Flag
	NoLog          *Flag
	CheckMode      *Flag         // nil: as the run
	Timeout        time.Duration // zero: none
}

// LoopControl names the variables of a loop.
type LoopControl struct {
	Var, Index string // item and none where empty
	Label      *Text
	Pause      time.Duration
}

// Layer is one mapping of variables, as written: trusted and not yet rendered.
type Layer = vars.Layer

// Title is the task's name as written, or the module's name.
func (t *Task) Title() string {
	if name := t.Name.String(); name != "" {
		return name
	}
	return t.Def.Name
}
