package plan_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/runner"
	"runbook/runner/local"
	"runbook/runner/plan"
)

// sight is this machine, which can only be looked at.
type sight struct{ host *local.Host }

var errActs = errors.New("a plan acts")

func (s sight) Query(ctx context.Context, cmd modules.Run) (modules.Output, error) {
	return s.host.Query(ctx, cmd)
}

func (s sight) ReadFile(ctx context.Context, path string) (modules.File, error) {
	return s.host.ReadFile(ctx, path)
}

func (s sight) As(context.Context, runner.Become) (runner.Machine, error) { return s, nil }
func (s sight) Close() error                                              { return s.host.Close() }
func (sight) Lost() bool                                                  { return false }
func (sight) Write(context.Context, modules.Write) error                  { return errActs }
func (sight) Remove(context.Context, modules.Remove) error                { return errActs }
func (sight) Unlock(context.Context) error                                { return nil }

func (sight) Forget(context.Context, []string) error { return errActs }

func (sight) DialContext(context.Context, string, string) (net.Conn, error) { return nil, errActs }

func (sight) Lock(context.Context, runner.Holder) (runner.Grip, error) {
	return runner.Grip{}, errActs
}

func (sight) Do(context.Context, string, modules.Run) (modules.Output, error) {
	return modules.Output{}, errActs
}

func (sight) Collect(context.Context, string) (runner.Fate, modules.Output, error) {
	return "", modules.Output{}, errActs
}

// canaries are secrets: where each goes in, and what it is. Their letters have
// other forms in JSON and in URLs.
var canaries = map[string]string{}

func canary(where string) string {
	canaries[where] = fmt.Sprintf("canary%03d\"<>&/+ é%%", len(canaries))
	return canaries[where]
}

func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// No secret is in a plan file, in whatever form.
func TestNoSecretInAPlan(t *testing.T) {
	p := newProject(t)
	p.write(t, "hosts.yml", fmt.Sprintf("web:\n  vars: {ansible_become: true, group_secret: %s}\n  hosts:\n    node1: {ansible_become_password: %s, ansible_password: %s}\n",
		quoted(canary("group")), quoted(canary("become")), quoted(canary("ssh"))))
	p.write(t, "books/vars.yml", "from_file: "+quoted(canary("vars file"))+"\n")
	p.write(t, "books/files/motd", canary("content of a file"))
	p.write(t, "books/site.yaml", `- hosts: web
  gather_facts: false
  vars_files: [vars.yml]
  environment: {TOKEN: "{{ token }}", PLAIN: `+quoted(canary("play environment"))+`}
  tasks:
  - copy: {content: "{{ from_file }} {{ group_secret }}", dest: '`+p.path("a")+`'}
    no_log: true
  - copy: {src: motd, dest: '`+p.path("b")+`'}
    no_log: true
  - command: mysql -p{{ token | quote }}
    no_log: true
  - command: uptime
  - set_fact: {kept: "{{ from_file }}"}
    no_log: true
    register: registered
  - copy: {content: "{{ registered }}{{ kept }}", dest: '`+p.path("c")+`'}
    no_log: true
    loop: ["{{ token }}", "{{ kept }}"]
    loop_control: {label: "{{ item }}"}
  - debug: {msg: "{{ ansible_become_password }}"}
`)
	p.extra = []string{fmt.Sprintf(`{"token": %s}`, quoted(canary("-e")))}
	l := p.load(t)
	var c plan.Collector
	r := runner.Runner{
		Plan: true, Journal: &c, Seal: ours,
		Dial: func(ctx context.Context, _ runner.Address) (runner.Machine, error) {
			host, err := local.Open(ctx)
			return sight{host}, err
		},
		Emit: func(runner.Event) {},
	}
	sum, err := r.Run(t.Context(), l.book, l.inv, l.extra)
	require.NoError(t, err)
	settings, err := json.Marshal(p.extra)
	require.NoError(t, err)
	in, err := plan.Gather(p.dir, l.book, l.inv, l.extra, settings, ours)
	require.NoError(t, err)
	// What the engine would say if it forgot itself: the values of results.
	stray := runner.Outcome{Status: runner.OK, Value: json.RawMessage(quoted(canary("value"))), Facts: json.RawMessage(quoted(canary("facts"))),
		Stdout: canary("stdout"), Stderr: canary("stderr")}
	require.NoError(t, c.Put(t.Context(), stray, false))
	made, err := c.Plan(plan.Header{Playbook: "books/site.yaml"}, in, sum, nil, ours)
	require.NoError(t, err)
	require.True(t, made.Complete, "%v %+v", made.Missing, made.Work)
	require.Len(t, made.Work, 10)
	assert.Equal(t, 3, made.Summary.Change)
	assert.Equal(t, 2, made.Summary.Run)

	_, err = plan.Write(p.path("fix.plan"), made, ours)
	require.NoError(t, err)
	text, err := os.ReadFile(p.path("fix.plan"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "uptime", "what is no secret is shown")
	require.Len(t, canaries, 11)
	for where, secret := range canaries {
		for form, written := range forms(secret) {
			assert.NotContains(t, string(text), written, "%s, %s", where, form)
		}
	}
	opened, err := made.Inputs(ours)
	require.NoError(t, err)
	inside := inClear(opened)
	for _, where := range []string{"group", "become", "-e", "vars file", "content of a file"} {
		assert.Contains(t, inside, forms(canaries[where])["letters"], "the seal has what is in the %s", where)
	}
}

// forms are the ways in which a text may stand in another.
func forms(secret string) map[string]string {
	escaped := quoted(secret)
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(secret)
	all := map[string]string{
		"plain": secret, "JSON": escaped[1 : len(escaped)-1], "plain JSON": strings.Trim(plain.String(), "\"\n"),
		"JSON in JSON": strings.Trim(quoted(escaped[1:len(escaped)-1]), `"`), "hexadecimal": hex.EncodeToString([]byte(secret)),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"letters": secret[:strings.Index(secret, "\"")],
	}
	for shift := range 3 { // where it begins among the three bytes that become four letters
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		all[fmt.Sprintf("base64 shifted by %d", shift)] = text[4 : len(text)-4]
	}
	return all
}

// inClear is what the inputs hold.
func inClear(in plan.Inputs) string {
	var out strings.Builder
	for _, i := range slices.Concat(in.Files, in.Hosts, in.Extra) {
		out.Write(i.Data)
	}
	return out.String()
}
