package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"runbook/modules"
)

const pingPeriod = 5 * time.Second // finds a dead connection under a silent command

// Query runs a read-only command in a container. A non-zero exit is an answer.
func (c *Client) Query(ctx context.Context, in modules.PodCommand) (modules.Output, error) {
	return c.exec(ctx, in)
}

func (c *Client) exec(ctx context.Context, in modules.PodCommand) (modules.Output, error) {
	namespace := c.namespaceOf(in.Namespace)
	what := fmt.Sprintf("exec in pod %s/%s", namespace, in.Pod)
	if len(in.Argv) == 0 {
		return modules.Output{}, fmt.Errorf("%s: no command given", what)
	}
	limit := in.Limit
	if limit <= 0 {
		limit = commandLimit
	}
	var stdout, stderr capped
	streams := remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}
	if in.Stdin != "" {
		streams.Stdin = strings.NewReader(in.Stdin)
	}
	executor, err := c.executor(c.execURL(namespace, in))
	if err != nil {
		return modules.Output{}, fmt.Errorf("%s: %w", what, err)
	}
	limited, stop := context.WithTimeout(quiet(ctx), limit)
	defer stop()
	err = executor.StreamWithContext(limited, streams)
	out := modules.Output{Stdout: stdout.String(), Stderr: stderr.String(), Truncated: stdout.cut() || stderr.cut()}
	var ended exec.CodeExitError
	switch {
	case errors.As(err, &ended):
		out.Code = ended.Code
		return out, nil
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return out, fmt.Errorf("%s: the command has not ended after %s", what, limit)
	}
	return out, c.explain(what, err)
}

func (c *Client) execURL(namespace string, in modules.PodCommand) *url.URL {
	query := url.Values{"command": in.Argv, "stdout": {"true"}, "stderr": {"true"}}
	if in.Container != "" {
		query.Set("container", in.Container)
	}
	if in.Stdin != "" {
		query.Set("stdin", "true")
	}
	u := c.raw.Get().AbsPath("/api/v1/namespaces", namespace, "pods", in.Pod, "exec").URL()
	u.RawQuery = query.Encode()
	return u
}

// executor speaks websocket, and SPDY with servers and proxies that cannot.
// Client-go's websockets always dial for themselves, so a client with its own
// Dial speaks SPDY only.
func (c *Client) executor(u *url.URL) (remotecommand.Executor, error) {
	if c.dial != nil {
		return c.dialled(u)
	}
	websocket, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, u.String())
	if err != nil {
		return nil, err
	}
	old, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, u)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(websocket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

func (c *Client) dialled(u *url.URL) (remotecommand.Executor, error) {
	tls, err := rest.TLSConfigFor(c.config)
	if err != nil {
		return nil, err
	}
	connect, err := streamspdy.NewRoundTripperWithConfig(streamspdy.RoundTripperConfig{
		UpgradeTransport: &http.Transport{DialContext: c.dial, TLSClientConfig: tls},
		PingPeriod:       pingPeriod,
	})
	if err != nil {
		return nil, err
	}
	authenticated, err := rest.HTTPWrappersForConfig(c.config, connect)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutorForTransports(authenticated, spdy.NewUpgraderForStreaming(connect), http.MethodPost, u)
}

// capped keeps the first maxText bytes and drops the rest. The lock is needed
// because a cancelled command may still be writing when its output is read.
type capped struct {
	mu      sync.Mutex
	kept    bytes.Buffer
	dropped bool
}

func (b *capped) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := min(maxText-b.kept.Len(), len(p))
	b.kept.Write(p[:room])
	b.dropped = b.dropped || room < len(p)
	return len(p), nil
}

func (b *capped) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.String()
}

func (b *capped) cut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
