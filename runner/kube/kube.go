// Package kube reaches a Kubernetes cluster: it finds the kubeconfig, knows the
// kinds that the API serves, reads objects and logs, previews and takes the
// steps of a change, and tells when objects change.
//
// It speaks plain objects. Typed clients are left out on purpose: they make the
// binary three times as big.
package kube

import (
	"context"
	"net"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Bounds of every conversation with the API.
const (
	callLimit    = 30 * time.Second // one request and its answer
	commandLimit = 10 * time.Minute // a command in a container, or a pod, that says no limit
	cleanupLimit = 30 * time.Second // removing what a cancelled step has left
	pageSize     = 500
	maxPages     = 2000     // one million objects; a server that never ends a list is broken
	maxText      = 16 << 20 // bytes of a log or of a command's output
	fieldManager = "runbook"
	strict       = "Strict" // fieldValidation: an unknown field is an error, not a warning
)

// Options say which cluster, and how to reach it. The zero Options are
// kubectl's: $KUBECONFIG or ~/.kube/config with its current context.
type Options struct {
	Kubeconfig []string // paths, merged as kubectl does; Find's where empty
	Config     []byte   // a kubeconfig's content instead of paths
	Origin     string   // where Config came from, for errors: "/etc/kubernetes/admin.conf of node001"
	Context    string   // the current context where empty
	Namespace  string   // the context's where empty

	// Dial, if set, makes every connection to the API, those of exec included.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client is one cluster. It is safe for concurrent use.
type Client struct {
	config    *rest.Config
	api       *dynamic.DynamicClient
	raw       rest.Interface // the same connections, for what is not an object
	namespace string         // of everything that names none
	server    string
	origin    string // the kubeconfig and the context, for errors
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	pace      pace

	mu    sync.Mutex
	kinds []kind // nil: not asked yet
}

// pace is how patiently the client asks again.
type pace struct {
	retries []time.Duration // pauses before a read that did not reach the server is tried again
	rewatch time.Duration   // the shortest pause between two watches of the same objects
	poll    time.Duration   // how often objects are looked at that may not be watched
}

// A control plane that restarts answers again after some seconds. Reads bridge
// that; writes are left to the engine, which looks before it tries again.
var defaultPace = pace{
	retries: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second},
	rewatch: time.Second,
	poll:    5 * time.Second,
}

// Open connects to a cluster and asks which kinds it serves, so a cluster that
// cannot be reached or does not know the user is an error here.
func Open(ctx context.Context, o Options) (*Client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	if _, err := c.discover(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newClient(o Options) (*Client, error) {
	loaded, err := load(o)
	if err != nil {
		return nil, err
	}
	config := dynamic.ConfigFor(loaded.config)
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, loaded.wrong(err)
	}
	api, err := dynamic.NewForConfigAndClient(config, web)
	if err != nil {
		return nil, loaded.wrong(err)
	}
	raw, err := rest.UnversionedRESTClientForConfigAndClient(config, web)
	if err != nil {
		return nil, loaded.wrong(err)
	}
	return &Client{
		config: config, api: api, raw: raw, namespace: loaded.namespace,
		server: config.Host, origin: loaded.origin, dial: o.Dial, pace: defaultPace,
	}, nil
}

// Close gives up the idle connections.
func (c *Client) Close() {
	if r, ok := c.raw.(*rest.RESTClient); ok && r.Client != nil {
		r.Client.CloseIdleConnections()
	}
}

// Namespace is the one of everything that names none.
func (c *Client) Namespace() string { return c.namespace }

// Server is the URL of the API.
func (c *Client) Server() string { return c.server }

func (c *Client) namespaceOf(namespace string) string {
	if namespace == "" {
		return c.namespace
	}
	return namespace
}
