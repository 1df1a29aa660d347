package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"runbook/runner"
	"runbook/runner/plan"
	"runbook/runner/render"
)

// plan shows a plan file as plan showed it. It needs no key: nothing that is
// shown is sealed. Where the project is here it says whether the signature is its.
func (f *showFlags) plan(env *Env, path string) error {
	p, err := plan.Read(path)
	if err != nil {
		return err
	}
	work := p.Work[:0:0]
	for _, o := range p.Work {
		if f.wants(o.Host, o.Name) {
			work = append(work, o)
		}
	}
	p.Work = work
	if f.view.output == "json" {
		return asJSON(env.Stdout, p)
	}
	o := f.view.options(env)
	labels := append(planLabels(p, o), render.Label{Name: "signature", Text: f.signature(env, p)})
	if err := render.Heading(env.Stdout, labels, o); err != nil {
		return readable(err)
	}
	t := render.NewTerminal(env.Stdout, o)
	render.Replay(t.Event, render.Planned{
		Playbook: p.Header.Playbook, Batches: begun(p.Header.Batches), Outcomes: work, Pending: p.Pending, At: p.Header.Created,
	})
	if !p.Complete {
		fmt.Fprintln(env.Stderr, "runbook: the plan is not complete, so it cannot be applied:", strings.Join(p.Missing, "; "))
	}
	return readable(t.Err())
}

// signature is whose it is, as far as can be said here.
func (f *showFlags) signature(env *Env, p *plan.Plan) string {
	project, err := f.state.look()
	if project == nil || err != nil {
		return "not checked: the project is not here"
	}
	k, err := key(env, project)
	if err != nil {
		return "not checked: " + err.Error()
	}
	if err := p.Verify(k); err != nil {
		return err.Error()
	}
	return "of this project"
}

func planLabels(p *plan.Plan, o render.Options) []render.Label {
	h := p.Header
	labels := []render.Label{
		{Name: "plan of", Text: h.Playbook}, {Name: "by", Text: h.By}, {Name: "made", Text: render.When(h.Created, o)},
		{Name: "runbook", Text: h.Version}, {Name: "key", Text: h.Key}, {Name: "digest", Text: p.Digest},
	}
	var set settings
	if json.Unmarshal(h.Settings, &set) == nil {
		labels = append(labels, render.Label{Name: "settings", Text: set.words()})
	}
	return labels
}

func begun(batches []plan.Batch) []runner.BatchBegun {
	var out []runner.BatchBegun
	for _, b := range batches {
		out = append(out, runner.BatchBegun{Play: b.Play, Name: b.Name, Batch: b.Batch, Batches: b.Batches, Hosts: b.Hosts})
	}
	return out
}

// words is the settings as flags, for people.
func (s settings) words() string {
	var b strings.Builder
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				fmt.Fprintf(&b, " %s %s", flag, v)
			}
		}
	}
	add("-i", s.Inventories...)
	add("-l", s.Limit)
	add("-t", strings.Join(s.Tags, ","))
	add("--skip-tags", strings.Join(s.Skip, ","))
	add("-u", s.User)
	add("--private-key", s.Key)
	if s.Sealed != "" {
		b.WriteString(" -e (sealed)")
	}
	if s.Become {
		b.WriteString(" -b")
	}
	if s.AskPassword {
		b.WriteString(" -K")
	}
	return strings.TrimSpace(b.String())
}
