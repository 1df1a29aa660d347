// Package modules defines the words of a change (Module, Target, Change, Step)
// and holds every module. A module looks at a target and returns what it would
// change as data; it has no way to act.
//
// A new module is three new files and no edited one:
//
//  1. modules/NAME.go: one unexported struct whose tagged fields are the
//     arguments, one Check, one register in init. Defaults are field values in
//     the constructor. Look with as few queries as possible (one for all items)
//     and return the smallest set of steps.
//  2. modules/NAME_test.go: a table of what the target answers and the change
//     that follows. Always: as asked, absent, different, query fails.
//  3. examples/NAME.yaml: a runnable play; it is the documentation, the parse
//     test and the integration test.
//
// The struct tags are read by the decoder, by `runbook doc` and by completion:
//
//	arg:"name,required"   the key in YAML; options are
//	    required          must be given
//	    free              takes the free-form text (command: echo hi)
//	    expr              an expression, not a template; the field is Expr or []Expr
//	    file              a path on the controller; the field is Local. With free the
//	                      first word is the path and the rest is Local.Args
//	    secret            never shown
//	    rest              a map[string]any that takes every other key (set_fact)
//	alias:"pkg package"   other keys that mean the same
//	enum:"a b c"          the values that are allowed
//	doc:"..."             one sentence, with units
package modules

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// Module is one task's work on one target, its arguments already decoded.
type Module interface {
	// Check looks at the target and says what stands between it and what was
	// asked. It must not change anything, and an error means that it could not
	// tell (or that what was asked can never be had), never "not yet".
	Check(ctx context.Context, t Target) (Change, error)
}

// Validator is a Module whose arguments depend on each other: two that exclude
// one another, one of several that must be given. Validate is called after the
// arguments are decoded: when the playbook is loaded if nothing in them is a
// template, and again for each host before Check. It looks at the arguments
// only, and its error names the ones to change.
type Validator interface {
	Validate() error
}

// Target is what a module may look at. It is safe for concurrent use.
type Target interface {
	// Query runs a read-only command. A non-zero exit is an answer, not an error.
	Query(ctx context.Context, cmd Run) (Output, error)
	// ReadFile reads a file with its mode and owner. A missing file is an answer
	// (File.Exists is false).
	ReadFile(ctx context.Context, path string) (File, error)
	// Fetch makes one HTTP request, or opens one TCP connection.
	Fetch(ctx context.Context, req Request) (Response, error)
	// Cluster is the Kubernetes API, read-only.
	Cluster(ctx context.Context) (Cluster, error)
	// Predicted is what earlier tasks of the same plan would have made of a
	// thing by now. Only a plan predicts; an apply looks at what is there.
	Predicted(thing Thing, name string) (Effect, bool)
	// Run is the run that looks: for what belongs to a run (a cordon, a lease).
	Run() RunName
}

// RunName names a run. A plan has none: it is not the run that will carry it out.
type RunName struct {
	ID   string // the same in all lives of the run
	Life string // of this life alone: a resumed run has another one
	Who  string // user@controller
}

// Rememberer is a Module whose Check compares with what it saw first (a unit's
// invocation, a workload's generation). The engine keeps that with the intent,
// and gives it to the module of a resumed run before its first Check.
type Rememberer interface {
	// Seen is what the first Check saw, as JSON; nil before it.
	Seen() []byte
	// Recall makes seen what the first Check saw.
	Recall(seen []byte) error
}

// Change is what stands between the target and what was asked.
// The zero Change is "nothing to do".
//
//	Diffs  Steps  meaning
//	none   none   as asked
//	some   some   must change: the engine takes the steps and checks again
//	some   none   a condition that nobody here can bring about: the engine waits
//	              until the Check comes back without diffs, or fails with the
//	              last diffs when Wait.Timeout is over
type Change struct {
	Diffs []Diff         // what, have, want: for people
	Steps []Step         // what to do, in order: for the engine
	Vars  map[string]any // what `register:` gets, beside changed, failed and what the steps printed
	Notes []string       // what people should know and no diff says: warnings, kept-back packages
	Wait  Wait           // how long and how often to look again
	// Effects are what the steps would leave behind, for the Checks that follow
	// in the same plan. Those of Write and Remove steps need not be given.
	Effects []Effect
}

// Effect is what a change would make of one thing on the target.
type Effect struct {
	Thing Thing
	Name  string // a path, a package, "namespace/name" of an object...
	Gone  bool   // it would not be there any more
	State any    // what it would be, in the words of its kind; nil: it is there, and no more is known
	By    string // the task that would bring it about; the engine sets it
}

// Thing is a kind of thing that tasks bring about and later tasks look at.
type Thing string

// The things, with the State that their effects have.
const (
	APath    Thing = "path"    // File, with the meanings that predicted.go gives
	APackage Thing = "package" // string: its version
	AUnit    Thing = "unit"    // Unit; the name has its suffix: web.service
	AUser    Thing = "user"    // User
	AGroup   Thing = "group"   // Group
	ASet     Thing = "set"     // of ipset: IPSet
	AnObject Thing = "object"  // Object, as the server would have it; the name is "Kind.group/namespace/name"
)

// User is an account, as /etc/passwd has it.
type User struct {
	Name, Home, Shell string
	UID, GID          int // -1 where the target would choose
	Groups            []string
}

// Group is a group, as /etc/group has it.
type Group struct {
	Name string
	GID  int // -1 where the target would choose
}

// Diff is one difference, for people.
type Diff struct {
	What string `json:"what"` // what differs: "package ipset", "/etc/motd", "mode of /etc/motd"
	Have string `json:"have"`
	Want string `json:"want"`
	Text bool   `json:"text,omitempty"` // Have and Want are whole contents, to be shown as a unified diff
	// Passing says that Have is of the moment (the pods that a node has just now):
	// a plan and its apply are compared without it.
	Passing bool `json:"passing,omitempty"`
}

// Wait bounds the looking again. Zero values are the engine's defaults
// (five minutes, every two seconds, once).
type Wait struct {
	Delay       time.Duration // before the first look
	Timeout     time.Duration // in all
	Interval    time.Duration // between two looks
	Consecutive int           // how many looks in a row must find nothing
	On          []Ref         // objects whose change is worth a look at once
	Message     string        // the error when the time is over; the last diffs where empty
	// Gradual says that steps come up while others make room for them (evictions
	// that a disruption budget holds back): they are taken whenever they do, until
	// Timeout, which then counts from the first look.
	Gradual bool
}

// Step is one thing to do. The set is sealed: the engine knows every kind.
type Step interface {
	fmt.Stringer // the equivalent command line, for plans; never a secret
	step()
}

// Output is what a command printed and how it ended.
type Output struct {
	Stdout, Stderr string
	Code           int  // exit code; 128+n when signal n ended it
	Truncated      bool // output beyond the cap was dropped
}

// File is what stands at a path of the target. Symbolic links are followed;
// Link says where the path itself pointed, if it was one.
type File struct {
	Exists       bool
	Data         []byte // of a regular file, up to 16 MiB
	Size         int64
	Mode         fs.FileMode // type and permission bits
	Owner, Group string      // names, or numbers where there is no name
	UID, GID     int
	ModTime      time.Time
	Link         string
}

// Request is one HTTP request, or with the scheme tcp one connection.
type Request struct {
	Method   string // GET where empty
	URL      string // http, https, or tcp://host:port
	Header   map[string]string
	Body     string
	Timeout  time.Duration // of the whole request; ten seconds where zero
	Insecure bool          // do not verify the certificate
	ViaHost  bool          // connect from the target instead of from the controller
	Follow   bool          // follow redirects
}

// Response is the answer to a Request. For tcp only the connection matters.
type Response struct {
	Status int
	Header map[string]string
	Body   string // up to 1 MiB
	TLS    string // "verified", "not verified", or empty without TLS
}

// Expr is an argument written as an expression (assert's `that`, debug's `var`).
type Expr struct {
	Text  string `arg:"text"`  // as the user wrote it
	Value any    `arg:"value"` // what it came to
	True  bool   `arg:"true"`  // its truth, as `when` sees it
}

// Local is an argument that names a file of the controller, with its content.
type Local struct {
	Path string      `arg:"path"`
	Args string      `arg:"args"` // free text after the path, as the user wrote it (script)
	Data []byte      `arg:"data"`
	Mode fs.FileMode `arg:"mode"`
}

// Def describes a module.
type Def struct {
	Name   string
	Doc    string        // one line that begins with a verb, no full stop
	New    func() Module // a pointer to the argument struct with its defaults
	Opaque bool          // its steps cannot be foreseen or verified (command, shell)
	Facts  Rank          // where the ansible_facts of its Vars go
	Shows  bool          // its result is what people want to see (debug)
}

// Rank says which level of variables a module's ansible_facts have.
type Rank int

// The ranks: no facts, what was found on the host, what the play has set.
const (
	NoFacts Rank = iota
	HostFacts
	SetFacts
)

var registry = map[string]Def{}

// register makes a module known. It is called from init and nowhere else.
func register(d Def) {
	if _, twice := registry[d.Name]; twice {
		panic("modules: " + d.Name + " is registered twice")
	}
	registry[d.Name] = d
}

// Lookup finds a module by its short name or by ansible.builtin.NAME. The newer
// name systemd_service is systemd.
func Lookup(name string) (Def, bool) {
	name = strings.TrimPrefix(name, "ansible.builtin.")
	if name == "systemd_service" {
		name = "systemd"
	}
	d, ok := registry[name]
	return d, ok
}

// Names lists every module, sorted.
func Names() []string {
	return slices.Sorted(maps.Keys(registry))
}
