package runner

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"runbook/modules"
	"runbook/playbooks/jinja"
)

// work is one piece of work on its way from the journal's past to its outcome: a
// task on a host, or one item of its loop.
type work struct {
	x       *hostTask
	scope   *scope
	key     Key
	label   string // of the loop item, as the journal has it
	silent  bool
	doubt   string // of a plan: why it is not known whether the task runs
	calls   []call // what it notifies if it changes anything
	begun   []Intent
	seen    []byte // what the module saw first in an earlier life, which failed after it had begun
	changed bool   // an earlier life changed something, and failed then
	cut     bool   // an earlier life ended the step at work, or lost it
	started time.Time

	target    *target   // once it is wanted
	lost      error     // why there is none
	machine   Machine   // of the last step on a machine
	user      string    // the machine's name, and whose rights the step has there
	ids       []string  // of the commands that the machine keeps for it
	pods      []KeptPod // that the cluster keeps for it
	steps     int       // taken, in this life
	unsettled bool
	expired   bool   // by the task's own timeout
	settled   string // how an earlier life's step was found to have ended
	output    modules.Output
	digest    Digest
}

func (x *hostTask) work(s *scope, item int, label string) *work {
	w := &work{x: x, scope: s, key: x.key, silent: x.silent(s), started: time.Now()}
	w.key.Item = item
	if item > 0 || x.task.Loop == nil && x.play.run.Past != nil {
		w.aim() // first: its secrets must be known before the work is named
	}
	if item > 0 {
		w.label = x.keptLabel(s, label)
	}
	if past := x.play.run.Past; past != nil {
		w.begun = past.Begun[w.key]
		before := past.Outcomes[w.key]
		w.cut = before.Unsettled
		failed, stale := before.Status == Failed || before.Status == Unreachable, past.at[w.key] < x.since
		again := failed || stale || past.at[w.key] < x.host.recheck // what it changed then, it finds as asked now
		w.changed = again && len(before.Notified) > 0
		if failed && !stale {
			w.seen = past.Seen[w.key]
		}
		w.inherit(past.Kept[w.key])
	}
	return w
}

// inherit sees to it that the target forgets what an earlier life has written
// down, but not what nobody has asked after yet.
func (w *work) inherit(ids []string) {
	if len(ids) == 0 {
		return
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(w.begun, func(i Intent) bool { return i.ID == id })
	})
	if t, err := w.aim(); err == nil {
		w.x.play.run.left.inherit(t, ids)
	}
}

// aim finds the target, once.
func (w *work) aim() (*target, error) {
	if w.target == nil && w.lost == nil {
		w.target, w.lost = w.x.target(w.scope)
	}
	return w.target, w.lost
}

// name is the task's as people see it; a handler's is the one by which it is
// notified.
func (w *work) name() string {
	if w.x.handler {
		return w.x.play.called[w.x.task]
	}
	return w.x.play.run.secrets.text(w.x.title(w.scope))
}

// intend says durably that a step is about to be taken, and names it for the
// target or the cluster.
func (w *work) intend(ctx context.Context, s modules.Step, m modules.Module, n, of int) (id string, err error) {
	rn := w.x.play.run
	w.steps++
	i := Intent{
		Key: w.key, Name: w.name(), Label: w.label, Step: n, Of: of, Opaque: opaque(s),
		Command: censored, Calls: named(w.calls), At: time.Now(),
	}
	earlier := w.pods
	switch s := s.(type) {
	case modules.Run:
		id = newID()
		i.ID, i.Boot = id, w.x.boot
		w.ids = append(w.ids, id)
	case modules.Reboot:
		id = newID()
		i.ID, i.Boot = id, w.x.boot
		w.ids = append(w.ids, id)
	case modules.PodRun:
		i.Pod = podOf(s)
		id = i.Pod.Mark
		w.pods = []KeptPod{i.Pod}
	}
	if !w.silent {
		i.Command = rn.secrets.text(s.String())
	}
	if r, ok := m.(modules.Rememberer); ok {
		i.Seen = r.Seen()
	}
	if rn.Journal != nil {
		err = rn.put(ctx, i, true)
	}
	if err == nil && i.Pod.Mark != "" {
		rn.clearPods(ctx, w.x.play, earlier) // of attempts that are over
	}
	return id, err
}

// stepName is what tells a step of a change from its others, in every life of the
// run: its words, or where nobody may read them, its number.
func (w *work) stepName(s modules.Step, n int) string {
	if w.silent {
		return strconv.Itoa(n)
	}
	return w.x.play.run.secrets.text(s.String())
}

// stepName is the name of the step that was begun.
func (i Intent) stepName() string {
	if i.Command == censored {
		return strconv.Itoa(i.Step)
	}
	return i.Command
}

// keep writes down what the work came to. What changed something, or may have,
// is durable before the next task begins.
func (w *work) keep(ctx context.Context, d done) {
	rn := w.x.play.run
	if rn.Journal == nil && rn.Plan {
		return // nobody reads it
	}
	o := w.outcome(d)
	rn.owe(o)
	if rn.Journal == nil {
		w.clearPods(ctx)
		return
	}
	durable := !rn.Plan && (w.steps > 0 || len(o.Notified) > 0 || w.settled != "")
	if rn.put(ctx, o, durable) != nil || o.Unsettled {
		return
	}
	w.clearPods(ctx)
	if w.machine != nil && len(w.ids) > 0 {
		rn.left.add(ctx, w.user, w.machine, w.ids)
	}
}

func (w *work) outcome(d done) Outcome {
	rn, r := w.x.play.run, d.result
	shown := rn.secrets.result(r)
	open := w.unsettled && !w.expired || len(w.begun) > 0 // for whoever resumes: the play does not go on from it
	o := Outcome{
		Key: w.key, Name: w.name(), Module: w.x.task.Def.Name, Pos: w.x.task.Pos.String(),
		Handler: w.x.handler, Label: w.label, Delegate: w.x.delegate(w.scope), Status: r.Status, Changed: r.Changed, Ignored: r.Ignored && !open,
		Rescued: r.Status == Failed && w.x.guarded && !d.drifted && !open, Msg: shown.Msg, Digest: w.digest, Settled: w.settled,
		Unsettled: w.unsettled || len(w.begun) > 0, Written: w.written(w.name()), Notified: named(d.calls), Took: time.Since(w.started), At: time.Now(),
	}
	if w.silent {
		o.Msg = censored
	} else {
		o.Diffs, o.Notes = shown.Change.Diffs, shown.Change.Notes
		for _, s := range shown.Change.Steps {
			o.Steps = append(o.Steps, s.String())
		}
		o.Stdout, o.Stderr = rn.secrets.text(w.output.Stdout), rn.secrets.text(w.output.Stderr)
	}
	o.Opaque = slices.ContainsFunc(r.Change.Steps, opaque)
	o.Looked = (r.Status == OK || r.Status == Skipped) && len(r.Change.Steps) == 0 && w.settled == "" && !w.changed
	o.Once = slices.ContainsFunc(r.Change.Steps, isEvent)
	o.Holds = slices.ContainsFunc(r.Change.Steps, isHold)
	if !rn.Plan {
		w.keepValues(&o, d)
	}
	return o
}

// stillDue is the calls of a recalled result that the journal has, and that were
// not dropped since.
func (w *work) stillDue(calls []call) []call {
	notified := w.x.play.run.Past.Outcomes[w.key].Notified
	return slices.DeleteFunc(calls, func(c call) bool {
		return !slices.ContainsFunc(notified, func(n Called) bool { return n.Task == c.task })
	})
}

// known says whether an earlier life has come to an outcome, and takes it into
// account.
func (w *work) known() bool {
	past := w.x.play.run.Past
	if past == nil {
		return false
	}
	o, ok := past.Outcomes[w.key]
	if ok {
		w.x.play.run.owe(o)
	}
	return ok
}

// kept is what a sealed outcome hides.
type kept struct {
	Value json.RawMessage `json:"value,omitempty"`
	Facts json.RawMessage `json:"facts,omitempty"`
}

// keepValues keeps what later tasks of a resumed run read: sealed where it holds
// a secret. What cannot be kept is not: the task is then done again.
func (w *work) keepValues(o *Outcome, d done) {
	rn := w.x.play.run
	var k kept
	secret := w.silent
	if w.x.task.Register != "" || d.result.Status == Failed {
		k.Value, _ = jinja.Encode(d.value)
		secret = secret || rn.secrets.within(d.value)
	}
	if facts := factsIn(d.result); w.x.task.Def.Facts != modules.NoFacts && facts != nil {
		v := jinja.FromGo(facts)
		k.Facts, _ = jinja.Encode(v)
		secret = secret || rn.secrets.within(v)
	}
	if !secret {
		o.Value, o.Facts = k.Value, k.Facts
		return
	}
	if rn.Seal == nil || k.Value == nil && k.Facts == nil {
		return
	}
	if plain, err := json.Marshal(k); err == nil {
		o.Sealed, _ = rn.Seal.Seal(plain)
	}
}

// recall is what an earlier life of the run, which must have one, has made of the
// work.
func (w *work) recall() (done, bool) {
	past := w.x.play.run.Past
	o, ok := past.Outcomes[w.key]
	at := past.at[w.key]
	again := at < w.x.since || at < w.x.host.retry && o.Rescued || at < w.x.host.recheck && !o.Opaque && !o.Once && !w.x.handler
	if !ok || !o.final() || o.Holds || again || past.outdated(w.key, o) || o.Label != w.label || !w.named(o) {
		return done{}, false
	}
	k := kept{o.Value, o.Facts}
	if o.Sealed != "" {
		if w.x.play.run.Seal == nil {
			return done{}, false
		}
		plain, err := w.x.play.run.Seal.Open(o.Sealed)
		if err != nil || json.Unmarshal(plain, &k) != nil {
			return done{}, false
		}
	}
	w.x.play.run.owe(o)
	d := done{recalled: true, at: past.at[w.key], result: Result{Status: o.Status, Changed: o.Changed, Ignored: o.Ignored, Msg: o.Msg}}
	return d, w.restore(&d, k)
}

// named says whether an outcome is of a task of this name. One that is a template
// may have come to something else since.
func (w *work) named(o Outcome) bool {
	return o.Name == w.name() || o.Written != "" && o.Written == w.written(o.Name)
}

// written is the name as it is written, where that differs from what it came to.
func (w *work) written(name string) string {
	if text := w.x.play.run.secrets.text(w.x.task.Name.String()); !w.x.handler && text != name {
		return text
	}
	return ""
}

// restore puts back what was registered and found. It reports false where a
// later task would miss it.
func (w *work) restore(d *done, k kept) bool {
	if k.Value != nil {
		v, err := jinja.Decode(k.Value)
		if err != nil {
			return false
		}
		d.value = v
	} else if w.x.task.Register != "" {
		return false
	}
	if k.Facts != nil {
		v, err := jinja.Decode(k.Facts)
		if err != nil {
			return false
		}
		facts, _ := jinja.ToGo(v).(map[string]any)
		d.result.Vars = map[string]any{"ansible_facts": facts}
	}
	return true
}

// final says whether a resumed run takes the outcome as it is. What failed is
// tried again, unless the play has gone on from the failure.
func (o Outcome) final() bool {
	switch o.Status {
	case OK, Changed, Skipped:
		return true
	case Failed:
		return o.Ignored || o.Rescued
	}
	return false
}

// put writes a record, and stops the run where that is not possible: what is not
// written down must not happen. It is done even while the run is interrupted.
func (rn *run) put(ctx context.Context, r Record, durable bool) error {
	if rn.Journal == nil {
		return nil
	}
	err := rn.Journal.Put(context.WithoutCancel(ctx), r, durable)
	if err != nil {
		rn.broken.CompareAndSwap(nil, &err)
	}
	return err
}

// within says whether a value holds a secret.
func (s *secrets) within(v jinja.Value) bool {
	s.mu.Lock()
	values := slices.Clone(s.values)
	s.mu.Unlock()
	return len(values) > 0 && holds(v, values)
}

func holds(v jinja.Value, secrets []string) bool {
	switch v := v.(type) {
	case jinja.Str:
		text := jinja.Text(v)
		return slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) })
	case *jinja.List:
		return slices.ContainsFunc(v.Items, func(i jinja.Value) bool { return holds(i, secrets) })
	case *jinja.Tuple:
		return slices.ContainsFunc(v.Items, func(i jinja.Value) bool { return holds(i, secrets) })
	case *jinja.Dict:
		within := func(i jinja.Value) bool { return holds(i, secrets) }
		return slices.ContainsFunc(v.Keys(), within) || slices.ContainsFunc(v.Values(), within)
	}
	return false
}
