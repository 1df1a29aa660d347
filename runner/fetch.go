package runner

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"runbook/modules"
)

const (
	fetchTimeout = 10 * time.Second // of a request that names none
	fetchBody    = 1 << 20          // bytes of a body that are kept
)

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// fetch makes one request over connections of its own, so that no answer comes
// from a connection that outlived the state it was made in.
func fetch(ctx context.Context, dial dialer, req modules.Request) (modules.Response, error) {
	if req.Timeout == 0 {
		req.Timeout = fetchTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, req.Timeout,
		fmt.Errorf("no answer within %s", req.Timeout))
	defer cancel()
	resp, err := fetchOnce(ctx, dial, req)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return resp, err
}

func fetchOnce(ctx context.Context, dial dialer, req modules.Request) (modules.Response, error) {
	u, err := url.Parse(req.URL)
	if err != nil {
		return modules.Response{}, err
	}
	switch u.Scheme {
	case "tcp":
		conn, err := dial(ctx, "tcp", u.Host)
		if err != nil {
			return modules.Response{}, err
		}
		return modules.Response{}, conn.Close()
	case "http", "https":
		return fetchHTTP(ctx, dial, req)
	}
	return modules.Response{}, fmt.Errorf("%q: the scheme must be http, https or tcp", req.URL)
}

func fetchHTTP(ctx context.Context, dial dialer, req modules.Request) (modules.Response, error) {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	hr, err := http.NewRequestWithContext(ctx, method, req.URL, strings.NewReader(req.Body))
	if err != nil {
		return modules.Response{}, err
	}
	for k, v := range req.Header {
		if strings.EqualFold(k, "Host") {
			hr.Host = v
			continue
		}
		hr.Header.Set(k, v)
	}
	resp, err := client(dial, req).Do(hr)
	if err != nil {
		return modules.Response{}, plain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, fetchBody))
	if err != nil {
		return modules.Response{}, err
	}
	return modules.Response{
		Status: resp.StatusCode, Header: firstOf(resp.Header), Body: string(body), TLS: trust(resp, req),
	}, nil
}

func client(dial dialer, req modules.Request) *http.Client {
	c := &http.Client{Transport: &http.Transport{
		DialContext:       dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: req.Insecure}, //nolint:gosec // the user asked for it
	}}
	if !req.Follow {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

func trust(resp *http.Response, req modules.Request) string {
	switch {
	case resp.TLS == nil:
		return ""
	case req.Insecure:
		return "not verified"
	}
	return "verified"
}

// plain drops the method and URL that net/http puts before the cause: whoever
// reports the error has named them already.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func firstOf(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for k := range h {
		m[k] = h.Get(k)
	}
	return m
}
