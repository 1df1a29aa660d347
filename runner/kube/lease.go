package kube

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"runbook/modules"
)

// Hold takes a lease for a run: one that is free, that an earlier life of the run
// has, or that has ended. One that has ended by our clock is watched for a moment
// first: the clock of its holder may be another, and who renews it lives.
func (c *Client) Hold(ctx context.Context, h modules.Hold, by modules.RunName) error {
	return c.lease(ctx, h, by, func(s modules.LeaseState, again bool) error {
		switch {
		case !s.TakenFrom(by, time.Now()):
			return c.held(h, s)
		case s.Holder == "", by.Has(s), !again:
			return nil
		}
		return errWatch
	})
}

// Renew is Hold of a lease that this life of the run has.
func (c *Client) Renew(ctx context.Context, h modules.Hold, by modules.RunName) error {
	return c.lease(ctx, h, by, func(s modules.LeaseState, _ bool) error {
		if s.Holder != by.String() {
			return c.held(h, s)
		}
		return nil
	})
}

// errWatch says that a lease has ended by our clock alone so far.
var errWatch = fmt.Errorf("the lease is to be looked at once more")

func (c *Client) held(h modules.Hold, s modules.LeaseState) error {
	by, until := s.Holder, s.Until().Format(time.RFC3339)
	if by == "" {
		by, until = "nobody", "now"
	}
	return &modules.LeaseHeld{Lease: "lease " + h.Lease.Namespace + "/" + h.Lease.Name, By: by, Until: until}
}

// lease writes that the run has the lease, where may allows it; what another has
// written meanwhile is not written over. The locks of kured go with it.
func (c *Client) lease(ctx context.Context, h modules.Hold, by modules.RunName, may func(modules.LeaseState, bool) error) error {
	p, err := c.place(ctx, h.Lease)
	if err != nil {
		return err
	}
	what := p.what("hold", h.Lease)
	now, err := p.read(ctx, h.Lease.Name)
	if err != nil {
		return c.explain(what, err)
	}
	state := modules.LeaseOf(objectOf(now))
	err = may(state, true)
	if err == errWatch {
		if now, state, err = p.unmoved(ctx, h, now); err == nil {
			err = may(state, false)
		}
	}
	if err != nil {
		return err
	}
	for _, k := range h.Kured {
		if err := c.kured(ctx, k, by, h.Duration); err != nil {
			return err
		}
	}
	return c.explain(what, p.hold(ctx, h, by, now, state))
}

func objectOf(u *unstructured.Unstructured) modules.Object {
	if u == nil {
		return nil
	}
	return u.Object
}

// read is an object, or nil where there is none.
func (p place) read(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	var found *unstructured.Unstructured
	err := within(ctx, callLimit, func(ctx context.Context) (err error) {
		found, err = p.objects.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// unmoved waits for as long as a holder takes to renew its lease, and says whether
// it has: then somebody has it, whatever the clocks say.
func (p place) unmoved(ctx context.Context, h modules.Hold, before *unstructured.Unstructured) (*unstructured.Unstructured, modules.LeaseState, error) {
	if err := sleep(ctx, h.Duration/3); err != nil {
		return nil, modules.LeaseState{}, err
	}
	now, err := p.read(ctx, h.Lease.Name)
	state := modules.LeaseOf(objectOf(now))
	if err == nil && now != nil && now.GetResourceVersion() != before.GetResourceVersion() {
		return now, state, &modules.LeaseHeld{Lease: "lease " + h.Lease.Namespace + "/" + h.Lease.Name, By: state.Holder,
			Until: "its clock, which differs from ours, says so"}
	}
	return now, state, err
}

// hold writes the holder and the time.
func (p place) hold(ctx context.Context, h modules.Hold, by modules.RunName, now *unstructured.Unstructured, state modules.LeaseState) error {
	const micro = "2006-01-02T15:04:05.000000Z07:00" // as the API has it
	at := time.Now().UTC().Format(micro)
	fresh := now == nil
	if fresh {
		now = p.body(modules.APIStep{Ref: h.Lease, Body: modules.Object{}})
	}
	spec, _ := now.Object["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{"leaseTransitions": int64(0)}
	}
	if state.Holder != by.String() {
		spec["holderIdentity"], spec["acquireTime"] = by.String(), at
		if !fresh {
			spec["leaseTransitions"] = state.Transitions + 1
		}
	}
	spec["renewTime"], spec["leaseDurationSeconds"] = at, int64(h.Duration/time.Second)
	now.Object["spec"] = spec
	return within(ctx, callLimit, func(ctx context.Context) (err error) {
		if fresh {
			_, err = p.objects.Create(ctx, now, metav1.CreateOptions{FieldManager: fieldManager})
		} else {
			_, err = p.objects.Update(ctx, now, metav1.UpdateOptions{FieldManager: fieldManager})
		}
		return err
	})
}

// Release gives a lease back, if the run has it, and kured its lock.
func (c *Client) Release(ctx context.Context, h modules.Hold, by modules.RunName) error {
	for _, k := range h.Kured {
		if err := c.kured(ctx, k, by, 0); err != nil {
			return err
		}
	}
	p, err := c.place(ctx, h.Lease)
	if err != nil {
		return err
	}
	now, err := p.read(ctx, h.Lease.Name)
	if err != nil || now == nil || modules.LeaseOf(now.Object).Holder != by.String() {
		return err
	}
	spec, _ := now.Object["spec"].(map[string]any)
	delete(spec, "holderIdentity")
	delete(spec, "renewTime")
	return c.explain(p.what("release", h.Lease), within(ctx, callLimit, func(ctx context.Context) error {
		_, err := p.objects.Update(ctx, now, metav1.UpdateOptions{FieldManager: fieldManager})
		return err
	}))
}

// kured takes the lock of kured for so long, or gives it back where that is zero.
// It is written over what was read, and nothing else: kured may take it meanwhile.
func (c *Client) kured(ctx context.Context, k modules.KuredLock, by modules.RunName, ttl time.Duration) error {
	p, err := c.place(ctx, k.DaemonSet)
	if err != nil {
		return err
	}
	ds, err := p.read(ctx, k.DaemonSet.Name)
	if err != nil || ds == nil {
		return c.explain(p.what("read", k.DaemonSet), err) // kured that is gone reboots nothing
	}
	annotations := map[string]any{}
	for key, value := range ds.GetAnnotations() {
		annotations[key] = value
	}
	if other := k.Held(annotations, by, time.Now()); other != "" {
		if ttl == 0 {
			return nil
		}
		return &modules.LeaseHeld{Lease: "the lock of kured", By: other, Until: "it is given back"}
	}
	patch := modules.APIStep{Verb: modules.Patch, Ref: k.DaemonSet, Body: modules.Object{"metadata": map[string]any{
		"resourceVersion": ds.GetResourceVersion(), "annotations": k.Taken(by, time.Now(), ttl),
	}}}
	return c.explain(p.what("patch", k.DaemonSet), within(ctx, callLimit, func(ctx context.Context) error {
		_, err := p.patch(ctx, patch, nil)
		return err
	}))
}
