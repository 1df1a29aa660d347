package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "wait_for",
		Doc:  "Wait until a port answers, a file is there, or neither",
		New: func() Module {
			return &waitFor{
				Host: "127.0.0.1", State: "started", Timeout: 300 * time.Second,
				Sleep: time.Second, ConnectTimeout: 5 * time.Second,
			}
		},
	})
}

type waitFor struct {
	Host           string        `arg:"host" doc:"The host whose port is tried, as the target sees it."`
	Port           int           `arg:"port" doc:"The TCP port to try."`
	Path           string        `arg:"path" doc:"The path on the target to look at, instead of a port."`
	SearchRegex    string        `arg:"search_regex" doc:"A regular expression that the file must match where it is wanted there; ^ and $ are the ends of a line."`
	State          string        `arg:"state" enum:"started stopped present absent drained" doc:"What to wait for: started and present want it there, stopped and absent want it gone; drained is not supported."`
	Timeout        time.Duration `arg:"timeout" doc:"How long to wait in all, in seconds; without port and path simply how long."`
	Delay          time.Duration `arg:"delay" doc:"How long to wait before the first look, in seconds."`
	Sleep          time.Duration `arg:"sleep" doc:"How long to wait between two looks, in seconds."`
	ConnectTimeout time.Duration `arg:"connect_timeout" doc:"How long one connection may take to open, in seconds."`
	Msg            string        `arg:"msg" doc:"The error when the time is over."`
}

func (m *waitFor) Validate() error {
	_, err := m.regex()
	switch {
	case m.Port != 0 && m.Path != "":
		return errors.New("port and path exclude each other; keep one of them")
	case m.Port < 0 || m.Port > 65535:
		return fmt.Errorf("port %d is not between 1 and 65535", m.Port)
	case m.State == "drained":
		return errors.New("state drained is not supported; look at the connections with the module command and until")
	case m.SearchRegex != "" && m.Path == "":
		return errors.New("search_regex needs path; what a port sends cannot be searched")
	case m.Timeout <= 0 || m.Sleep <= 0 || m.ConnectTimeout <= 0 || m.Delay < 0:
		return errors.New("timeout, sleep and connect_timeout must be positive, and delay not negative")
	}
	return err
}

func (m *waitFor) regex() (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?m)" + m.SearchRegex)
	if err != nil {
		return nil, fmt.Errorf("search_regex %q: %w", m.SearchRegex, err)
	}
	return re, nil
}

func (m *waitFor) Check(ctx context.Context, t Target) (Change, error) {
	if m.Port == 0 && m.Path == "" {
		return Change{Steps: []Step{Pause{For: m.Timeout}}, Vars: m.vars()}, nil
	}
	look := m.lookAtPort
	if m.Path != "" {
		look = m.lookAtPath
	}
	have, there, vars, err := look(ctx, t)
	if err != nil {
		return Change{}, err
	}
	change := Change{Vars: vars, Wait: Wait{
		Delay: m.Delay, Timeout: m.Timeout, Interval: m.Sleep, Message: m.Msg,
	}}
	if there != m.wanted() {
		change.Diffs = []Diff{{What: m.what(), Have: have, Want: m.want()}}
	}
	return change, nil
}

// wanted says whether port or path shall be there, or gone.
func (m *waitFor) wanted() bool { return m.State == "started" || m.State == "present" }

func (m *waitFor) what() string {
	if m.Path != "" {
		return m.Path
	}
	return "port " + strconv.Itoa(m.Port) + " of " + m.Host
}

func (m *waitFor) want() string {
	switch {
	case m.Path != "" && !m.wanted():
		return "absent"
	case m.SearchRegex != "":
		return fmt.Sprintf("a match of %q", m.SearchRegex)
	case m.Path != "":
		return "there"
	case m.wanted():
		return "open"
	}
	return "closed"
}

// vars are the keys that a result always has.
func (m *waitFor) vars() map[string]any {
	vars := map[string]any{
		"state": m.State, "port": nil, "path": nil, "search_regex": nil,
		"match_groups": []any{}, "match_groupdict": map[string]any{},
	}
	if m.Port != 0 {
		vars["port"] = m.Port
	}
	if m.Path != "" {
		vars["path"] = m.Path
	}
	if m.SearchRegex != "" {
		vars["search_regex"] = m.SearchRegex
	}
	return vars
}

func (m *waitFor) lookAtPort(ctx context.Context, t Target) (have string, there bool, vars map[string]any, err error) {
	vars = m.vars()
	_, err = t.Fetch(ctx, Request{
		URL:     "tcp://" + net.JoinHostPort(m.Host, strconv.Itoa(m.Port)),
		Timeout: m.ConnectTimeout, ViaHost: true,
	})
	var lost interface{ Unreachable() bool }
	switch {
	case err == nil:
		return "open", true, vars, nil
	case ctx.Err() != nil, errors.As(err, &lost) && lost.Unreachable():
		return "", false, vars, err // the target itself does not answer
	}
	return "closed: " + err.Error(), false, vars, nil
}

func (m *waitFor) lookAtPath(ctx context.Context, t Target) (have string, there bool, vars map[string]any, err error) {
	vars = m.vars()
	out, err := m.readPath(ctx, t)
	switch {
	case err != nil:
		return "", false, vars, err
	case out.Code == missing:
		return "absent", false, vars, nil
	case out.Code != 0:
		return "", false, vars, fmt.Errorf("looking at %q: exit code %d: %s", m.Path, out.Code, strings.TrimSpace(out.Stderr))
	case !m.searches():
		return "there", true, vars, nil
	}
	re, err := m.regex()
	if err != nil {
		return "", false, vars, err
	}
	match := re.FindStringSubmatch(out.Stdout)
	if match == nil {
		return "there, without a match", false, vars, nil
	}
	named := map[string]any{}
	for i, name := range re.SubexpNames() {
		if name != "" {
			named[name] = match[i]
		}
	}
	vars["match_groups"], vars["match_groupdict"] = words(match[1:]), named
	return "there, with a match", true, vars, nil
}

// readPath asks for the path, or knows from the plan what would be there.
func (m *waitFor) readPath(ctx context.Context, t Target) (Output, error) {
	e, ok := t.Predicted(APath, m.Path)
	f, isFile := e.State.(File)
	_, elsewhere := e.State.(Elsewhere)
	vague, unsure := e.State.(Unforeseen)
	switch {
	case !ok:
		return t.Query(ctx, m.pathQuery(shellWord(m.Path)))
	case elsewhere:
		return t.Query(ctx, m.pathQuery(Quote(e.Name)))
	case f.Mode&fs.ModeSymlink != 0:
		return Output{}, Unforeseen{fmt.Sprintf("what is at %q, where %s lets %q lead", f.Link, byTask(e.By), m.Path)}
	case e.Gone:
		return Output{Code: missing}, nil
	case unsure:
		return Output{}, vague
	case !m.searches():
		return Output{}, nil
	case !isFile || f.Data == nil && f.Size < 0:
		return Output{}, Unforeseen{fmt.Sprintf("the content of %q, which %s makes", m.Path, byTask(e.By))}
	case f.Data == nil:
		return t.Query(ctx, m.pathQuery(shellWord(m.Path)))
	}
	return Output{Stdout: string(f.Data)}, nil
}

// searches says whether the content matters: a file that shall be gone is not
// read.
func (m *waitFor) searches() bool { return m.SearchRegex != "" && m.wanted() }

// missing is the exit code by which pathQuery says that nothing is there.
const missing = 44

func (m *waitFor) pathQuery(word string) Run {
	text := "p=" + word + "\n[ -e \"$p\" ] || exit " + strconv.Itoa(missing) + "\n"
	if m.searches() {
		text += "exec cat -- \"$p\"\n"
	}
	return Run{Shell: text}
}
