package modules

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Cluster is the Kubernetes API, read-only, in plain objects: modules know no
// client library.
type Cluster interface {
	// Get reads one object; nil where there is none.
	Get(ctx context.Context, ref Ref) (Object, error)
	// List reads the objects that a Ref without a name selects, sorted by
	// namespace and name. An empty list is an answer.
	List(ctx context.Context, ref Ref) ([]Object, error)
	// Resolve gives a Ref in the server's own words, so that two that mean the
	// same are equal: Kind as "Deployment.apps" or "Pod", APIVersion, and the
	// namespace, which is empty for kinds that have none. It returns *KindError
	// where the server serves no such kind.
	Resolve(ctx context.Context, ref Ref) (Ref, error)
	// Preview asks the server what the step would make of the object (a dry run
	// with strict field validation); nil for a delete and an eviction. It returns
	// *FieldError where the server does not know a field, and *BudgetError where a
	// budget would hold an eviction back.
	Preview(ctx context.Context, s APIStep) (Object, error)
	// Logs reads what one container of a pod has logged, whole, up to 16 MiB.
	Logs(ctx context.Context, req LogRequest) (string, error)
	// Query runs a read-only command in a container. A non-zero exit is an answer.
	Query(ctx context.Context, in PodCommand) (Output, error)
}

// Object is one API object as JSON has it: map[string]any, []any, string,
// float64 or int64, bool, nil.
type Object = map[string]any

// Ref names an object, or selects some.
type Ref struct {
	Kind       string // as kubectl takes it: pod, pods, po, deploy, Deployment.apps, ...
	APIVersion string // only where Kind alone is ambiguous
	Namespace  string // the kubeconfig's where empty; "*" is every namespace
	Name       string // empty: select
	Selector   string // label selector
	Fields     string // field selector
}

// LogRequest says which log to read.
type LogRequest struct {
	Namespace, Pod, Container string
	Since                     time.Time // by the node's clock; whole log where zero
	Previous                  bool      // of the container's last run
}

// PodCommand is a command in a container of a running pod.
type PodCommand struct {
	Namespace, Pod, Container string
	Argv                      []string
	Stdin                     string
	Limit                     time.Duration
}

// Verb is what an APIStep does.
type Verb string

// The verbs of an APIStep.
const (
	Create Verb = "create"
	Apply  Verb = "apply" // server-side apply, field manager runbook
	Patch  Verb = "patch"
	Delete Verb = "delete" // carries the UID: never deletes a replacement
	Evict  Verb = "evict"  // likewise; *BudgetError where a disruption budget holds the pod back
)

// APIStep changes one API object. Field validation is strict.
type APIStep struct {
	Verb      Verb
	Ref       Ref    // one object, by name
	Body      Object // the object or the patch
	PatchType string // merge, strategic or json; merge where empty
	JSONPatch []any  // the operations, where PatchType is json
	UID       string // of the object that is meant, for delete and evict
	Force     bool   // apply: take over fields that others own
	Grace     *int64 // delete and evict: seconds
	Command   string // the equivalent kubectl command line
	// PartOf is what the step is a part of, in the words of whoever approves it
	// ("kubectl drain node001"): a plan and its apply are compared by that alone,
	// as which pods a node has changes from hour to hour.
	PartOf string
	// Event says that the body holds the time or the run (a restart): a plan and
	// its apply then differ in it, and are compared without it.
	Event bool
}

// Hold takes a Lease and keeps it: the engine renews it until the run ends, and
// before every step that the run takes makes sure that it is still the run's.
type Hold struct {
	Lease    Ref           // of the kind Lease
	Duration time.Duration // for how long it outlives a holder that does not renew it
	Kured    []KuredLock   // taken and kept with the lease
	Command  string        // for people
}

// PodExec runs a command in a container. It is opaque.
type PodExec struct {
	PodCommand
	Command string // the equivalent kubectl command line
}

// PodRun creates a pod, waits until it ends, collects its exit code and output,
// and removes it, whatever happens in between. It is opaque.
type PodRun struct {
	Pod     Object
	Limit   time.Duration // until the pod has ended
	Command string        // the equivalent kubectl command line
}

func (APIStep) step() {}
func (Hold) step()    {}
func (PodExec) step() {}
func (PodRun) step()  {}

func (s APIStep) String() string { return s.Command }
func (h Hold) String() string    { return h.Command }
func (s PodExec) String() string { return s.Command }
func (s PodRun) String() string  { return s.Command }

// FieldError is the server's refusal of a field that it does not know.
type FieldError struct{ Message string }

func (e *FieldError) Error() string { return e.Message }

// BudgetError says that a disruption budget does not allow an eviction now.
// Nothing was done; it may be allowed later.
type BudgetError struct{ Message string }

func (e *BudgetError) Error() string { return e.Message }

// StaleError says that an object was changed since it was looked at. Nothing was
// done; whoever looks again sees what it is now.
type StaleError struct{ Message string }

func (e *StaleError) Error() string { return e.Message }

// LeaseHeld is the error of a lease that another has.
type LeaseHeld struct {
	Lease string // "lease NAMESPACE/NAME", or the daemonset of kured
	By    string // as the lease names its holder
	Until string // when it ends if it is not renewed
}

func (e *LeaseHeld) Error() string {
	return fmt.Sprintf("%s is held by %s until %s, unless it is renewed", e.Lease, e.By, e.Until)
}

// KindError says that the server serves no such kind (yet).
type KindError struct{ Message string }

func (e *KindError) Error() string { return e.Message }

// ErrNoCluster is returned by Target.Cluster where none can be found.
var ErrNoCluster = errors.New("no Kubernetes cluster: no kubeconfig here, and no control-plane host with /etc/kubernetes/admin.conf")
