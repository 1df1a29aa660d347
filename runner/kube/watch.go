package kube

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"runbook/modules"
)

// watchLimit ends a watch that says nothing, so that a connection which died
// unseen is made anew.
const watchLimit = 4 * time.Minute

// Watch gives a tick when an object that the refs select has changed, come or
// gone; many changes at once are one tick. The first tick comes when the watch
// stands, for what changed before. Where watching is forbidden a tick comes
// every few seconds. The channel is closed when ctx has ended.
func (c *Client) Watch(ctx context.Context, refs []modules.Ref) (<-chan struct{}, error) {
	places := make([]place, len(refs))
	for i, ref := range refs {
		p, err := c.place(ctx, ref)
		if err != nil {
			return nil, err
		}
		places[i] = p
	}
	ticks := make(chan struct{}, 1)
	tick := func() {
		select {
		case ticks <- struct{}{}:
		default: // one that nobody has taken yet tells the same
		}
	}
	var watching sync.WaitGroup
	for i, p := range places {
		watching.Go(func() { c.follow(ctx, p, selection(refs[i]), tick) })
	}
	go func() {
		if len(refs) == 0 {
			<-ctx.Done()
		}
		watching.Wait()
		close(ticks)
	}()
	return ticks, nil
}

// follow watches until ctx ends. A watch goes on from the version where the last
// one ended; without a version it lists first, as after 410 Gone.
func (c *Client) follow(ctx context.Context, p place, options metav1.ListOptions, tick func()) {
	version := ""
	for ctx.Err() == nil {
		if version == "" {
			version = c.version(ctx, p, options)
			tick() // also where nothing can be watched: then this is a poll
		}
		pause := c.pace.rewatch
		var err error
		if version != "" {
			version, err = p.until(ctx, options, version, tick)
		}
		if version == "" && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			pause = c.pace.poll
		}
		// Spread, so that many waits do not come back at the same moment.
		if sleep(ctx, pause+rand.N(pause/2+1)) != nil {
			return
		}
	}
}

// version is where a watch of the objects starts; empty where it cannot be told now.
func (c *Client) version(ctx context.Context, p place, options metav1.ListOptions) string {
	options.Limit = 1
	var version string
	_ = within(ctx, callLimit, func(ctx context.Context) error {
		list, err := p.objects.List(ctx, options)
		if err == nil {
			version = list.GetResourceVersion()
		}
		return err
	})
	return version
}

// until watches from a version until the watch ends, and gives the version to go
// on from; empty where the server has forgotten it.
func (p place) until(ctx context.Context, options metav1.ListOptions, version string, tick func()) (string, error) {
	ctx, stop := context.WithTimeout(quiet(ctx), watchLimit+callLimit)
	defer stop()
	seconds := int64(watchLimit / time.Second)
	options.ResourceVersion, options.AllowWatchBookmarks, options.TimeoutSeconds = version, true, &seconds
	stream, err := p.objects.Watch(ctx, options)
	if err != nil {
		if unreached(err) {
			return version, err
		}
		return "", err
	}
	defer stream.Stop()
	for {
		select {
		case <-ctx.Done():
			return version, ctx.Err()
		case event, open := <-stream.ResultChan():
			if !open {
				return version, nil
			}
			object, ok := event.Object.(*unstructured.Unstructured)
			if event.Type == watch.Error || !ok {
				// Mostly 410 Gone, which comes inside the stream of a 200.
				return "", apierrors.FromObject(event.Object)
			}
			version = object.GetResourceVersion()
			if event.Type != watch.Bookmark {
				tick()
			}
		}
	}
}
