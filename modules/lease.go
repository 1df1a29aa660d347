package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "lease",
		Doc:  "Hold a Lease of the cluster until the run ends, so that nobody else does maintenance at the same time",
		New: func() Module {
			return &lease{Namespace: "kube-system", Duration: time.Minute, Kured: true, now: time.Now}
		},
	})
}

// lease is held by the run, not by the task: the engine renews it until the run
// ends, takes no step of the run any more once it is another's, and gives it back.
// One that a dead run has left ends after its duration; the same run, resumed,
// takes it over at once.
type lease struct {
	Name      string        `arg:"name,required" doc:"The name of the Lease."`
	Namespace string        `arg:"namespace" doc:"Its namespace."`
	Duration  time.Duration `arg:"duration" doc:"For how long it outlives a run that does not renew it, in seconds; at least 15."`
	Kured     bool          `arg:"kured" doc:"Whether kured, where it is in the cluster, is kept from rebooting nodes meanwhile, and is waited for where it does."`
	Timeout   time.Duration `arg:"timeout" doc:"How long to wait for whoever has it, in seconds; 0 fails at once."`

	now func() time.Time
}

// shortestLease leaves time for three renewals that fail.
const shortestLease = 15 * time.Second

func (l *lease) Validate() error {
	switch {
	case l.Duration < shortestLease:
		return fmt.Errorf("duration is %s; at least %s is needed, so that a renewal that fails can be tried again", l.Duration, shortestLease)
	case l.Timeout < 0:
		return errors.New("timeout cannot be negative")
	}
	return nil
}

func (l *lease) Check(ctx context.Context, t Target) (Change, error) {
	cluster, err := t.Cluster(ctx)
	if err != nil {
		return Change{}, err
	}
	ref := Ref{Kind: "lease", APIVersion: "coordination.k8s.io/v1", Namespace: l.Namespace, Name: l.Name}
	object, err := cluster.Get(ctx, ref)
	if err != nil {
		return Change{}, err
	}
	state := LeaseOf(object)
	run := t.Run()
	title := "lease " + l.Namespace + "/" + l.Name
	change := Change{Vars: map[string]any{"holder": state.Holder, "transitions": state.Transitions}, Wait: Wait{On: []Ref{ref}}}
	if run.ID != "" && state.Holder == run.String() && !state.Over(l.now()) {
		return change, nil
	}
	locks, held, err := l.kured(ctx, cluster, run)
	if err != nil {
		return Change{}, err
	}
	diff := Diff{What: title, Have: state.words(l.now()), Want: "held by this run", Passing: true}
	if state.TakenFrom(run, l.now()) {
		change.Diffs = append(change.Diffs, diff)
	} else {
		held = append([]Diff{diff}, held...)
	}
	if len(held) > 0 {
		change.Diffs = held
		return awaiting(change, l.Timeout)
	}
	change.Steps = []Step{Hold{Lease: ref, Duration: l.Duration, Kured: locks, Command: "hold " + title + kuredWords(locks)}}
	return change, nil
}

// kured finds the locks of kured, and those that somebody else has.
func (l *lease) kured(ctx context.Context, cluster Cluster, run RunName) (locks []KuredLock, held []Diff, err error) {
	if !l.Kured {
		return nil, nil, nil
	}
	all, err := cluster.List(ctx, Ref{Kind: "daemonsets", APIVersion: "apps/v1", Namespace: "*"})
	if err != nil {
		return nil, nil, err
	}
	for _, ds := range all {
		lock, is := kuredLockOf(ds)
		if !is {
			continue
		}
		locks = append(locks, lock)
		if by := lock.Held(dig[map[string]any](ds, "metadata", "annotations"), run, l.now()); by != "" {
			held = append(held, Diff{What: "the lock of kured (" + objectTitle(ds) + ")", Have: "held by " + by, Want: "held by this run", Passing: true})
		}
	}
	return locks, held, nil
}

func kuredWords(locks []KuredLock) string {
	words := ""
	for _, k := range locks {
		words += " and the lock of kured in " + k.DaemonSet.Namespace + "/" + k.DaemonSet.Name
	}
	return words
}

// String is the run as a lease names its holder.
func (r RunName) String() string {
	return strings.Join([]string{leaseHolder, r.ID, r.Life, r.Who}, "/")
}

const leaseHolder = "runbook"

// Has says whether the run has a lease, in this life or an earlier one.
func (r RunName) Has(s LeaseState) bool { return r.owns(s.Holder) }

// owns says whether a holder is the run, in this life or an earlier one.
func (r RunName) owns(holder string) bool {
	return r.ID != "" && strings.HasPrefix(holder, leaseHolder+"/"+r.ID+"/")
}

// LeaseState is what a Lease says of its holder.
type LeaseState struct {
	Holder      string
	Renewed     time.Time
	Duration    time.Duration
	Transitions int64 // how often the holder has changed: who fences by it knows a late one
}

// LeaseOf reads a Lease; the zero state where there is none.
func LeaseOf(object Object) LeaseState {
	s := LeaseState{
		Holder:      dig[string](object, "spec", "holderIdentity"),
		Duration:    time.Duration(dig[int64](object, "spec", "leaseDurationSeconds")) * time.Second,
		Transitions: dig[int64](object, "spec", "leaseTransitions"),
	}
	s.Renewed, _ = time.Parse(time.RFC3339Nano, dig[string](object, "spec", "renewTime")) // one that cannot be read was never renewed
	return s
}

// Over says whether the lease has ended without being renewed.
func (s LeaseState) Over(now time.Time) bool { return now.After(s.Until()) }

// Until is when it ends.
func (s LeaseState) Until() time.Time { return s.Renewed.Add(s.Duration) }

// TakenFrom says whether a run may take the lease from whoever has it.
func (s LeaseState) TakenFrom(run RunName, now time.Time) bool {
	return s.Holder == "" || run.owns(s.Holder) || s.Over(now)
}

func (s LeaseState) words(now time.Time) string {
	switch {
	case s.Holder == "":
		return "free"
	case s.Over(now):
		return "left by " + s.Holder + ", which has not renewed it since " + s.Renewed.Format(time.RFC3339)
	}
	return fmt.Sprintf("held by %s, last renewed at %s", s.Holder, s.Renewed.Format(time.RFC3339))
}
