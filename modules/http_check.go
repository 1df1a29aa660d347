package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "http_check",
		Doc:  "Wait until a URL answers as wanted, seen from here, from the host or from pods",
		New: func() Module {
			return &httpCheck{
				Status: []int{http.StatusOK}, Method: http.MethodGet, From: "controller", ValidateCerts: true,
				Timeout: 10 * time.Second, Within: 5 * time.Minute, Interval: 2 * time.Second, Consecutive: 1,
			}
		},
	})
}

// httpCheck is a condition: it is waited for, and nothing is changed.
type httpCheck struct {
	URL             string            `arg:"url,required" doc:"The http or https URL to ask."`
	Status          []int             `arg:"status" alias:"status_code" doc:"The codes that are right."`
	Contains        string            `arg:"contains" doc:"What the body has to have in it."`
	Method          string            `arg:"method" doc:"The method of the request."`
	Headers         map[string]string `arg:"headers,secret" doc:"Headers of the request; their values are never shown."`
	ValidateCerts   bool              `arg:"validate_certs" doc:"Whether the certificate must be right."`
	FollowRedirects bool              `arg:"follow_redirects" doc:"Whether the answer is looked for where a redirect points."`
	Fresh           bool              `arg:"fresh" doc:"Whether an answer out of a cache (Age above 0, X-Cache: HIT and the like) is wrong."`
	From            any               `arg:"from" doc:"Who asks: controller, host, or pod with namespace, selector, container, and all: whether each selected pod must get the answer (the default) or one."`
	Timeout         time.Duration     `arg:"timeout" doc:"Seconds for one request."`
	Within          time.Duration     `arg:"within" doc:"Seconds until the answer must be right."`
	Interval        time.Duration     `arg:"interval" doc:"Seconds between two requests."`
	Consecutive     int               `arg:"consecutive" doc:"How many times in a row the answer must be right."`
}

// httpPods is who asks where that is pods.
type httpPods struct {
	namespace, selector, container string
	one                            bool // it is enough that one of them gets the answer
}

// httpAnswer is what one asker got. Status is 0 where there was no answer.
type httpAnswer struct {
	from, cause, body string
	status            int
	tls               string // "verified", "not verified", or empty without TLS
	cache             string // by what a cache betrays itself; empty where none does
}

func (h *httpCheck) Validate() error {
	u, err := url.Parse(h.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("url: %q is not an http or https URL", h.URL)
	}
	if u.User != nil {
		return errors.New("url: a password does not belong into a URL, which is shown; use headers")
	}
	pods, _, err := h.origin()
	switch {
	case err != nil:
		return err
	case pods != nil && h.Fresh:
		return errors.New("fresh: the headers of an answer in a pod are not read; ask from controller or host")
	}
	if strings.Trim(h.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || h.Method == "" {
		return fmt.Errorf("method: %q is not a method of HTTP", h.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		if strings.ContainsAny(name+h.Headers[name], "\r\n") || name == "" {
			return fmt.Errorf("headers: %q is not a header of one line", name)
		}
	}
	switch {
	case len(h.Status) == 0:
		return errors.New("status: at least one code is needed")
	case h.Timeout <= 0 || h.Within < 0 || h.Interval < 0:
		return errors.New("timeout, within and interval cannot be negative, nor timeout zero")
	case h.Consecutive < 1:
		return errors.New("consecutive is at least 1")
	}
	return nil
}

// origin reads from: pods, or else whether the host asks.
func (h *httpCheck) origin() (pods *httpPods, host bool, err error) {
	wanted := fmt.Errorf("from: wanted controller, host, or pod with a selector; found %v", h.From)
	switch from := h.From.(type) {
	case string:
		if from != "controller" && from != "host" {
			return nil, false, wanted
		}
		return nil, from == "host", nil
	case map[string]any:
		pod, ok := from["pod"].(map[string]any)
		if !ok || len(from) != 1 {
			return nil, false, wanted
		}
		pods, err = newHTTPPods(pod)
		return pods, false, err
	}
	return nil, false, wanted
}

func newHTTPPods(args map[string]any) (*httpPods, error) {
	pods := &httpPods{}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		value := args[name]
		word, isWord := value.(string)
		truth, isTruth := value.(bool)
		switch {
		case name == "namespace" && isWord:
			pods.namespace = word
		case name == "selector" && isWord:
			pods.selector = word
		case name == "container" && isWord:
			pods.container = word
		case name == "all" && isTruth:
			pods.one = !truth
		default:
			return nil, fmt.Errorf("from: pod has no argument %q with the value %v; it takes namespace, selector, container and all (true or false)", name, value)
		}
	}
	if pods.selector == "" {
		return nil, errors.New("from: pod needs a selector")
	}
	return pods, nil
}

func (h *httpCheck) Check(ctx context.Context, t Target) (Change, error) {
	pods, host, err := h.origin()
	if err != nil {
		return Change{}, err
	}
	var answers []httpAnswer
	if pods != nil {
		answers, err = h.askPods(ctx, t, *pods)
	} else {
		answers, err = h.ask(ctx, t, host)
	}
	if err != nil {
		return Change{}, err
	}
	c := Change{Wait: Wait{Timeout: h.Within, Interval: h.Interval, Consecutive: h.Consecutive}}
	results, status := make([]any, len(answers)), 0
	for i, a := range answers {
		wrong := h.wrong(a)
		if wrong != "" {
			c.Diffs = append(c.Diffs, Diff{What: h.URL + " from " + a.from, Have: wrong, Want: h.wanted()})
		}
		if status == 0 || wrong != "" {
			status = a.status
		}
		results[i] = map[string]any{"from": a.from, "status": a.status, "ok": wrong == "", "error": a.cause, "tls": a.tls, "cache": a.cache}
	}
	if pods != nil && pods.one && len(c.Diffs) < len(answers) {
		c.Diffs = nil
	}
	c.Vars = map[string]any{"url": h.URL, "status": status, "results": results}
	return c, nil
}

// wrong says what is wrong about an answer, or nothing.
func (h *httpCheck) wrong(a httpAnswer) string {
	switch line := strings.TrimSpace(strconv.Itoa(a.status) + " " + http.StatusText(a.status)); {
	case a.status == 0:
		return a.cause
	case !slices.Contains(h.Status, a.status):
		return line
	case !strings.Contains(a.body, h.Contains):
		return line + ", body lacks " + strconv.Quote(h.Contains)
	case h.Fresh && a.cache != "":
		return line + " out of a cache (" + a.cache + ")"
	}
	return ""
}

func (h *httpCheck) wanted() string {
	codes := make([]string, len(h.Status))
	for i, code := range h.Status {
		codes[i] = strconv.Itoa(code)
	}
	want := strings.Join(codes, " or ")
	if h.Contains != "" {
		want += ", body with " + strconv.Quote(h.Contains)
	}
	if h.Fresh {
		want += ", from the origin"
	}
	return want
}

// ask asks from the controller or from the host. That there is no answer is an
// answer; that the host cannot be reached is not.
func (h *httpCheck) ask(ctx context.Context, t Target, host bool) ([]httpAnswer, error) {
	answer := httpAnswer{from: "controller"}
	if host {
		answer.from = "host"
	}
	response, err := t.Fetch(ctx, Request{
		Method: h.Method, URL: h.URL, Header: h.Headers, Timeout: h.Timeout,
		Insecure: !h.ValidateCerts, ViaHost: host, Follow: h.FollowRedirects,
	})
	var lost interface{ Unreachable() bool }
	switch {
	case err == nil:
		answer.status, answer.body, answer.tls = response.Status, response.Body, response.TLS
		answer.cache = cached(response.Header)
	case ctx.Err() != nil, errors.As(err, &lost) && lost.Unreachable():
		return nil, err
	default:
		answer.cause = err.Error()
	}
	return []httpAnswer{answer}, nil
}
