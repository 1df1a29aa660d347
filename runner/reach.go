package runner

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// target is what the task's module looks at: the host, or the one it is
// delegated to, with the rights and the environment that the task asks for.
// It is reached when the module first looks, so that a task that needs no
// machine needs no connection.
func (x *hostTask) target(s *scope) (*target, error) {
	name, conn := x.host.name, s
	delegate, err := x.task.DelegateTo.Render(s)
	if err != nil {
		return nil, err
	}
	if delegate != "" {
		name, conn = delegate, x.play.scope(x.play.run.stranger(delegate), nil)
	}
	a, err := x.play.address(name, conn, x.task.Keywords)
	if err != nil {
		return nil, err
	}
	b, err := x.play.become(s, conn, x.task.Keywords)
	if err != nil {
		return nil, err
	}
	env, err := environment(s, x.task.Environment)
	if err != nil {
		return nil, err
	}
	rn := x.play.run
	t := &target{
		name:    name,
		user:    name + " " + userOf(b),
		open:    func(ctx context.Context) (Machine, error) { return rn.machines.as(ctx, a, b) },
		reopen:  func(ctx context.Context) (Machine, error) { return rn.machines.anew(ctx, a, b) },
		cluster: rn.cluster(x.play),
		env:     env,
	}
	if rn.Plan {
		t.predicted = &rn.predicted
	} else {
		t.run = rn.name()
	}
	return t, nil
}

func userOf(b *Become) string {
	if b == nil {
		return ""
	}
	return b.Method + " " + b.User
}

// stranger is the record of a host that may be in no play: a delegate.
func (rn *run) stranger(name string) *host {
	if h := rn.hosts[name]; h != nil {
		return h
	}
	return &host{name: name, facts: playbooks.Layer{}, set: playbooks.Layer{}}
}

// reach opens a host for an edge that stands on it.
func (p *play) reach(ctx context.Context, name string) (Machine, error) {
	s := p.scope(p.run.stranger(name), nil)
	a, err := p.address(name, s, playbooks.Keywords{})
	if err != nil {
		return nil, err
	}
	b, err := p.become(s, s, playbooks.Keywords{})
	if err != nil {
		return nil, err
	}
	return p.run.machines.as(ctx, a, b)
}

// address is how to reach a host: its variables before keywords, keywords
// before the command line.
func (p *play) address(name string, s *scope, k playbooks.Keywords) (Address, error) {
	r := reader{scope: s}
	a := Address{Name: name}
	a.Connection = r.first(r.variable("ansible_connection"), r.keyword(k.Connection), implicit(name))
	a.Host = r.first(r.variable("ansible_host", "ansible_ssh_host"), name)
	a.User = r.first(r.variable("ansible_user", "ansible_ssh_user"), r.keyword(k.RemoteUser), p.run.Defaults.User)
	a.Key = r.first(r.variable("ansible_ssh_private_key_file", "ansible_private_key_file"), p.run.Defaults.Key)
	a.Password = r.variable("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
	a.Args = strings.TrimSpace(r.variable("ansible_ssh_common_args") + " " + r.variable("ansible_ssh_extra_args"))
	a.HostKeys = p.run.Defaults.HostKeys
	if check := r.variable("ansible_host_key_checking", "ansible_ssh_host_key_checking"); check != "" {
		a.HostKeys = HostKeys(check)
	}
	if port := r.first(r.variable("ansible_port", "ansible_ssh_port"), r.keyword(k.Port)); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return a, fmt.Errorf("ansible_port of %s: %q is not a port", name, port)
		}
		a.Port = n
	}
	p.run.secrets.add(a.Password)
	return a, r.err
}

// implicit is the connection of a host that names none.
func implicit(name string) string {
	if name == "localhost" || name == "127.0.0.1" || name == "::1" {
		return "local"
	}
	return "ssh"
}

// HostKeys is what Ansible's host_key_checking asks for. Switched off it still
// refuses a key that has changed: unknown ones are accepted and kept.
func HostKeys(check string) string {
	switch strings.ToLower(check) {
	case "false", "no", "off", "0":
		return "accept-new"
	}
	return "strict"
}

// become is whose rights the task needs; nil for the connection's own.
func (p *play) become(s, conn *scope, k playbooks.Keywords) (*Become, error) {
	on, err := k.Become.On(s)
	if err != nil {
		return nil, fmt.Errorf("become: %w", err)
	}
	on = on || (k.Become == nil && p.run.Defaults.Become)
	r := reader{scope: conn}
	switch strings.ToLower(r.variable("ansible_become")) {
	case "true", "yes", "on", "1":
		on = true
	case "false", "no", "off", "0":
		on = false
	}
	b := &Become{
		User:     r.first(r.variable("ansible_become_user"), (&reader{scope: s}).keyword(k.BecomeUser), "root"),
		Method:   r.first(r.variable("ansible_become_method"), (&reader{scope: s}).keyword(k.BecomeMethod), "sudo"),
		Flags:    r.first(r.variable("ansible_become_flags"), (&reader{scope: s}).keyword(k.BecomeFlags)),
		Password: r.first(r.variable("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"), p.run.Defaults.Password),
	}
	p.run.secrets.add(b.Password)
	if !on {
		return nil, r.err
	}
	return b, r.err
}

// environment is the task's variables for commands, the inner over the outer.
func environment(s *scope, written []*playbooks.Value) (map[string]string, error) {
	env := map[string]string{}
	for _, w := range written {
		v, err := w.Resolve(s)
		if err != nil {
			return nil, fmt.Errorf("environment: %w", err)
		}
		if u, ok := v.(jinja.Unknown); ok {
			return nil, &playbooks.UnknownError{Reason: u.Reason}
		}
		vars, ok := jinja.ToGo(v).(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: environment wants a mapping", w.Pos)
		}
		for name, value := range vars {
			env[name] = jinja.Text(jinja.FromGo(value))
		}
	}
	return env, nil
}

// reader looks up text and keeps the first error.
type reader struct {
	scope *scope
	err   error
}

func (r *reader) variable(names ...string) string {
	for _, name := range names {
		v, ok := r.scope.Lookup(name)
		if !ok {
			continue
		}
		v, err := jinja.Resolve(v, r.scope)
		if err != nil {
			r.keep(fmt.Errorf("%s: %w", name, err))
			return ""
		}
		if _, none := v.(jinja.None); none {
			continue
		}
		return jinja.Text(v)
	}
	return ""
}

func (r *reader) keyword(t *playbooks.Text) string {
	text, err := t.Render(r.scope)
	r.keep(err)
	return text
}

func (r *reader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
