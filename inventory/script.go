package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"runbook/playbooks/jinja"
	"runbook/playbooks/vars"
)

const (
	scriptLimit  = 60 * time.Second // one call; clouds answer slowly, but not slower
	scriptOutput = 64 << 20         // bytes
)

// listed is one group as a script prints it.
type listed struct {
	Hosts    []string       `json:"hosts"`
	Children []string       `json:"children"`
	Vars     map[string]any `json:"vars"`
}

// script runs an executable inventory. What it prints is data: no text in it is
// ever a template.
func (l *loader) script(ctx context.Context, path string) {
	out, err := call(ctx, path, "--list")
	if err != nil {
		l.fail("inventory script %s: %s", path, err)
		return
	}
	var raw map[string]json.RawMessage
	if err := unmarshal(out, &raw); err != nil {
		l.fail("inventory script %s --list: want a JSON object of groups: %s", path, err)
		return
	}
	var meta struct {
		Hostvars map[string]map[string]any `json:"hostvars"`
	}
	if text, given := raw["_meta"]; given {
		if err := unmarshal(text, &meta); err != nil {
			l.fail("inventory script %s --list: _meta: %s", path, err)
			return
		}
		delete(raw, "_meta")
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		hosts, err := l.printed(name, raw[name])
		if err != nil {
			l.fail("inventory script %s --list: group %q: %s", path, name, err)
		}
		names = append(names, hosts...)
	}
	if meta.Hostvars == nil {
		meta.Hostvars = l.ask(ctx, path, names)
	}
	for _, name := range slices.Sorted(maps.Keys(meta.Hostvars)) {
		if l.inv.hosts[name] == nil {
			l.inv.join(name, ungrouped)
		}
		maps.Copy(l.inv.host(name).vars, data(meta.Hostvars[name]))
	}
}

// printed adds one group of a script's output: an object, or only the names of
// its hosts.
func (l *loader) printed(name string, text json.RawMessage) ([]string, error) {
	var g listed
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		if err := unmarshal(text, &g.Hosts); err != nil {
			return nil, err
		}
	} else if err := unmarshal(text, &g); err != nil {
		return nil, err
	}
	for _, n := range append([]string{name}, g.Children...) {
		if !groupName.MatchString(n) {
			return nil, fmt.Errorf("%q cannot be the name of a group", n)
		}
	}
	for _, host := range g.Hosts {
		if !isName(host) {
			return nil, fmt.Errorf("%q cannot be the name of a host", host)
		}
		l.inv.join(host, name)
	}
	for _, child := range g.Children {
		l.inv.nest(child, name)
	}
	maps.Copy(l.inv.group(name).vars, data(g.Vars))
	return g.Hosts, nil
}

// ask gets the variables host by host, from a script that has no _meta.
func (l *loader) ask(ctx context.Context, path string, names []string) map[string]map[string]any {
	slices.Sort(names)
	all := map[string]map[string]any{}
	for _, name := range slices.Compact(names) {
		var vars map[string]any
		out, err := call(ctx, path, "--host", name)
		if err == nil && len(bytes.TrimSpace(out)) > 0 {
			err = unmarshal(out, &vars)
		}
		if err != nil {
			l.fail("inventory script %s --host %s: %s", path, name, err)
			return nil
		}
		all[name] = vars
	}
	return all
}

func data(values map[string]any) vars.Layer {
	layer := vars.Layer{}
	for name, value := range values {
		layer[name] = jinja.FromGo(value)
	}
	return layer
}

// unmarshal keeps whole numbers whole.
func unmarshal(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// call runs the script once and gives what it printed.
func call(ctx context.Context, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, scriptLimit, fmt.Errorf("no answer within %s", scriptLimit))
	defer cancel()
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, absolute, args...)
	cmd.WaitDelay = time.Second // its children may hold the pipe open
	var out, problems limited
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if text := strings.TrimSpace(problems.String()); text != "" {
			err = fmt.Errorf("%w: %q", err, text[:min(len(text), 2000)])
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// limited is a buffer that refuses to grow without end.
type limited struct{ bytes.Buffer }

func (b *limited) Write(p []byte) (int, error) {
	if b.Len()+len(p) > scriptOutput {
		return 0, fmt.Errorf("it prints more than %d bytes", scriptOutput)
	}
	return b.Buffer.Write(p)
}
