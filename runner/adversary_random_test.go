package runner

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// author writes playbooks at random. Every command that it writes is another one,
// and says which task it is of and for which host.
type author struct {
	t          *rapid.T
	breaks     bool // hosts may fail, and nothing stands by
	planned    bool // without run_once, which another host does where the first has failed
	n          int  // tasks so far
	registered []string
	failing    map[string]bool     // tasks that may fail where nothing stands by
	again      map[string]bool     // tasks that are done again with those
	notifies   map[string][]string // tasks -> handlers
	b          strings.Builder
}

func (a *author) chance(percent int, what string) bool {
	return rapid.IntRange(0, 99).Draw(a.t, what) < percent
}

func (a *author) line(indent int, format string, args ...any) {
	fmt.Fprintf(&a.b, "%s"+format+"\n", append([]any{strings.Repeat("  ", indent)}, args...)...)
}

// playbook is one or two plays.
func (a *author) playbook() string {
	a.failing, a.again, a.notifies = map[string]bool{}, map[string]bool{}, map[string][]string{}
	for play := range rapid.IntRange(1, 2).Draw(a.t, "plays") {
		a.line(0, "- name: play %d", play)
		a.line(1, "hosts: web")
		a.line(1, "gather_facts: false")
		if a.chance(30, "serial") {
			a.line(1, "serial: %d", rapid.IntRange(1, 2).Draw(a.t, "batch"))
		}
		if a.breaks && a.chance(20, "fatal") {
			a.line(1, "any_errors_fatal: true")
		}
		a.line(1, "handlers:")
		for h := range 3 {
			a.handler(play, h)
		}
		a.line(1, "tasks:")
		a.nodes(1, play, rapid.IntRange(1, 4).Draw(a.t, "tasks"), 0, false, false)
	}
	return a.b.String()
}

func (a *author) handler(play, h int) {
	name := fmt.Sprintf("h%d%d", play, h)
	a.line(1, "- name: %s", name)
	a.line(2, "listen: topic%d", h%2)
	if a.chance(30, "looped") {
		a.line(2, "command: do %s {{ inventory_hostname }} {{ item }}", name)
		a.line(2, "loop: [u, v]")
	} else {
		a.line(2, "command: do %s {{ inventory_hostname }}", name)
	}
	if h < 2 && a.chance(30, "passes on") {
		a.line(2, "notify: h%d2", play)
		a.notifies[name] = []string{fmt.Sprintf("h%d2", play)}
	}
}

func (a *author) nodes(indent, play, count, depth int, guarded, after bool) {
	for range count {
		if depth < 2 && a.chance(15, "block") {
			a.block(indent, play, depth, guarded, after)
			continue
		}
		if a.chance(8, "flush") {
			a.line(indent, "- meta: flush_handlers")
			continue
		}
		a.task(indent, play, guarded, after)
	}
}

func (a *author) block(indent, play, depth int, guarded, after bool) {
	rescue := a.chance(60, "rescue")
	a.line(indent, "- block:")
	first := a.n + 1
	a.nodes(indent+1, play, rapid.IntRange(1, 2).Draw(a.t, "in block"), depth+1, guarded || rescue, after)
	if rescue {
		a.line(indent+1, "rescue:")
		had := len(a.registered) // no plan knows what a rescue registers
		a.nodes(indent+1, play, rapid.IntRange(1, 2).Draw(a.t, "in rescue"), depth+1, guarded, after)
		a.registered = a.registered[:had]
		a.retried(first)
	}
	if !rescue || a.chance(40, "always") {
		a.line(indent+1, "always:")
		a.nodes(indent+1, play, rapid.IntRange(1, 2).Draw(a.t, "in always"), depth+1, guarded, true)
	}
}

// retried marks the tasks from a number on where a rescue among them may fail: what
// it stood by for is then tried again.
func (a *author) retried(first int) {
	fails := false
	for n := first; n <= a.n; n++ {
		fails = fails || a.failing[fmt.Sprintf("t%d", n)]
	}
	for n := first; fails && n <= a.n; n++ {
		a.again[fmt.Sprintf("t%d", n)] = true
	}
}

func (a *author) task(indent, play int, guarded, after bool) {
	a.n++
	name := fmt.Sprintf("t%d", a.n)
	a.line(indent, "- name: %s", name)
	on := name + " {{ inventory_hostname }}"
	if len(a.registered) > 0 && a.chance(40, "reads") {
		r := rapid.SampledFrom(a.registered).Draw(a.t, "what")
		on += fmt.Sprintf(" {{ (%s | default({})).stdout | default('none') | replace(' ', '_') }}", r)
	}
	host := rapid.SampledFrom([]string{"h1", "h2", "h3"}).Draw(a.t, "host")
	fails := a.chance(25, "fails")
	switch {
	case fails:
		a.line(indent+1, "command: only %s %s", host, on)
		if !guarded && !(a.breaks && a.chance(50, "unguarded")) {
			a.line(indent+1, "ignore_errors: true")
		} else if !guarded {
			a.failing[name] = true
		}
	case a.chance(25, "looped"):
		a.line(indent+1, "command: do %s {{ item }}", on)
		a.line(indent+1, "loop: [x, y, z]")
	case a.chance(25, "state"):
		a.line(indent+1, "ping: {data: \"%s_{{ inventory_hostname }}\"}", name)
	case a.chance(15, "fact"):
		a.line(indent+1, "set_fact: {f%s: \"%s\"}", name, on)
	default:
		a.line(indent+1, "command: do %s", on)
	}
	a.extras(indent, play, name, host)
	if after {
		a.again[name] = true
	}
}

func (a *author) extras(indent, play int, name, host string) {
	if a.chance(40, "notifies") {
		h := rapid.IntRange(0, 2).Draw(a.t, "handler")
		a.line(indent+1, "notify: h%d%d", play, h)
		a.notifies[name] = append(a.notifies[name], fmt.Sprintf("h%d%d", play, h))
	} else if a.chance(15, "topic") {
		a.line(indent+1, "notify: topic0")
		a.notifies[name] = append(a.notifies[name], fmt.Sprintf("h%d0", play), fmt.Sprintf("h%d2", play))
	}
	if !a.planned && a.chance(15, "once") {
		a.line(indent+1, "run_once: true")
	} else if a.chance(15, "when") {
		a.line(indent+1, "when: inventory_hostname == '%s'", host)
	}
	if a.chance(10, "delegated") {
		a.line(indent+1, "delegate_to: h2")
	}
	if a.chance(40, "registers") {
		a.line(indent+1, "register: r%d", a.n)
		a.registered = append(a.registered, fmt.Sprintf("r%d", a.n))
	}
}

// effect is what was done: by which task, for which host.
func effect(did string) (task, host string) {
	words := strings.Fields(did) // h1: do t1 h1, h1: only h2 t1 h1, h1: set t1
	switch words[1] {
	case "set":
		task, host, _ = strings.Cut(words[2], "_")
		return task, host
	case "only":
		return words[3], words[4]
	}
	return words[2], words[3]
}

// handled fails where a task notified a handler that did not run after it.
func (a *author) handled(t require.TestingT, l *lives) {
	up := map[string]bool{}
	for _, r := range l.events[len(l.events)-1].(RunDone).Recap {
		up[r.Host] = true
	}
	owed := map[string]string{}
	for _, did := range l.fleet.did {
		task, host := effect(did)
		delete(owed, task+" on "+host)
		if strings.Contains(did, "only ") && !strings.Contains(did, "only "+strings.TrimSuffix(strings.Fields(did)[0], ":")+" ") {
			continue // it failed
		}
		for _, h := range a.notifies[task] {
			owed[h+" on "+host] = did
		}
	}
	pending := l.pending()
	for h, by := range owed {
		if !slices.Contains(pending, h) {
			require.Failf(t, "lost", "%s was notified by %q and is neither run nor pending", h, by)
		}
	}
}

// same compares effects: those of tasks that failed for good, and what follows a
// failure in any case, may come more often.
func (a *author) same(t require.TestingT, want, got []string) {
	often := func(did string) bool {
		task, _ := effect(did)
		return a.breaks && (a.failing[task] || a.again[task] || strings.HasPrefix(task, "h"))
	}
	keep := func(all []string) []string {
		return slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(all), often)))
	}
	require.Equal(t, keep(want), keep(got))
	require.Equal(t, slices.Compact(slices.Sorted(slices.Values(want))), slices.Compact(slices.Sorted(slices.Values(got))))
}

// everyDeath makes a run die at each of its records; without it, at some.
var everyDeath = flag.Bool("every-death", false, "let each random run die at every one of its records")

func randomly(t *testing.T, breaks bool) {
	runs, books := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		a := &author{t: rt, breaks: breaks}
		text := a.playbook()
		books++
		whole := newLives(t, text).live(0)
		require.NoError(rt, whole.err)
		if !breaks {
			require.False(rt, whole.summary.Failed)
			require.Empty(rt, whole.pending(), text)
			a.handled(rt, whole)
		}
		second := rapid.IntRange(0, 20).Draw(rt, "second death")
		stride := 1
		if !*everyDeath {
			stride = max(1, len(whole.records)/4)
		}
		for takes := rapid.IntRange(1, stride).Draw(rt, "first death"); takes < len(whole.records); takes += stride {
			runs++
			l := &lives{t: t, book: whole.book, inv: whole.inv, stage: &stage{}}
			l.live(takes)
			require.ErrorIs(rt, l.err, errDied)
			if second > 0 {
				l.live(second)
			}
			l.live(0)
			require.NoError(rt, l.err, "%s", text)
			at := fmt.Sprintf("died at %d, then at %d of %d, in\n%s", takes, second, len(whole.records), text)
			require.Equal(rt, whole.summary.Failed, l.summary.Failed, at)
			require.Equal(rt, whole.pending(), l.pending(), at)
			a.same(telling{rt, at}, whole.fleet.did, l.fleet.did)
			if !breaks {
				a.handled(telling{rt, at}, l)
				require.Equal(rt, outcomesOf(whole.records), outcomesOf(l.records), at)
			}
		}
	})
	t.Logf("%d playbooks, %d deaths", books, runs)
}

// telling is a test that says what was at hand when it fails.
type telling struct {
	*rapid.T
	at string
}

func (t telling) Errorf(format string, args ...any) {
	t.T.Errorf(format+"\n%s", append(args, t.at)...)
}

// TestRandomPlaybooksAreResumed: whatever the playbook and the record that was the
// last, every effect happens as often as in a run that nothing interrupts.
func TestRandomPlaybooksAreResumed(t *testing.T) { randomly(t, false) }

// TestRandomFailuresAreResumed: likewise where hosts fail for good.
func TestRandomFailuresAreResumed(t *testing.T) { randomly(t, true) }

// TestRandomPlansAreCarriedOut: where nothing has changed since, a signed plan
// keeps nothing from being done, and nothing is done but what is in it.
func TestRandomPlansAreCarriedOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := &author{t: rt, planned: true}
		text := a.playbook()
		whole := newLives(t, text).live(0)
		require.NoError(rt, whole.err)
		planned := &lives{t: t, book: whole.book, inv: whole.inv, stage: &stage{}}
		planned.live(0, func(r *Runner, _ *fleet) { r.Plan = true })
		require.NoError(rt, planned.err)
		require.Empty(rt, planned.fleet.did)
		signed := &Signed{Work: Fold(planned.records).Outcomes}
		l := &lives{t: t, book: whole.book, inv: whole.inv, stage: &stage{}}
		l.live(0, func(r *Runner, _ *fleet) { r.Signed = signed })
		require.NoError(rt, l.err)
		for task, said := range l.messages() {
			require.NotContains(rt, said, "drifted", "%s in\n%s", task, text)
		}
		a.same(telling{rt, text}, whole.fleet.did, l.fleet.did)
	})
}
