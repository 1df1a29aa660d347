package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/runner/source"
)

// paper is a journal in memory. It dies at the record of that number, with the
// record written or without.
type paper struct {
	mu      sync.Mutex
	records []Record
	dies    int // 0: never
	written bool
}

var errDied = errors.New("the journal died")

func (p *paper) Put(_ context.Context, r Record, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	dead := p.dies > 0 && len(p.records) >= p.dies-1
	if dead && !(p.written && len(p.records) == p.dies-1) {
		return errDied
	}
	p.records = append(p.records, r)
	if dead {
		return errDied
	}
	return nil
}

const longRun = `
- name: first
  hosts: web
  gather_facts: false
  serial: 2
  handlers:
  - {name: restart, command: do restart}
  - {name: reload, command: do reload}
  tasks:
  - {name: one, command: do one, register: one, notify: restart}
  - {name: colour, set_fact: {shade: "{{ one.stdout }} {{ colour }}"}}
  - {name: items, command: "do {{ item }}", loop: [x, y, z], notify: reload, register: parts}
  - meta: flush_handlers
  - {name: first only, command: do once, run_once: true, register: once}
  - block:
    - {name: breaks, command: only h1}
    rescue:
    - {name: mend, command: "do mend {{ ansible_failed_result.rc }}", notify: restart}
    always:
    - {name: clean, command: "do clean {{ shade }}"}
- name: second
  hosts: web
  gather_facts: false
  tasks:
  - {name: last, command: "do last {{ shade }} {{ parts.results[2].stdout }}", when: "'x' in parts.results[0].stdout"}
`

// longEffects is every effect of longRun, each host's own.
func longEffects() []string {
	var all []string
	for host, colour := range map[string]string{"h1": "red", "h2": "blue", "h3": "green"} {
		for _, did := range []string{"do one", "do x", "do y", "do z", "do restart", "do reload", "only h1",
			"do clean one " + colour, "do last one " + colour + " z"} {
			all = append(all, host+": "+did)
		}
		if host != "h1" {
			all = append(all, host+": do mend 1", host+": do restart") // the rescue notifies once more
		}
	}
	all = append(all, "h1: do once", "h3: do once")
	slices.Sort(all)
	return all
}

// books is what every life of a run is made of.
func books(t *testing.T, text string) (*playbooks.Playbook, *inventory.Inventory) {
	book, errs := playbooks.Parse(&source.File{Name: "site.yaml", Data: []byte(text)}, t.TempDir())
	require.NoError(t, errs.Err())
	path := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(path, []byte("[web]\nh1 colour=red\nh2 colour=blue\nh3 colour=green\n"), 0o600))
	inv, errs := inventory.Load(t.Context(), []string{path})
	require.NoError(t, errs.Err())
	return book, inv
}

// TestARunThatDiesAtAnyRecordIsResumed: whatever record was the last, and whether
// it was written or not, every effect happens once, and no handler is forgotten.
func TestARunThatDiesAtAnyRecordIsResumed(t *testing.T) {
	book, inv := books(t, longRun)
	whole := &paper{}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal = whole })
	require.NoError(t, got.err)
	require.Equal(t, longEffects(), slices.Sorted(slices.Values(got.fleet.did)))
	require.Empty(t, got.events[len(got.events)-1].(RunDone).Pending)
	require.Greater(t, len(whole.records), 60)

	for dies := 1; dies <= len(whole.records); dies++ {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d written %t", dies, written), func(t *testing.T) {
				first := &paper{dies: dies, written: written}
				got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal = first })
				require.ErrorIs(t, got.err, errDied)
				// A second death, halfway through what is left.
				second := &paper{dies: max(1, (len(whole.records)-len(first.records))/2)}
				got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = second, Fold(first.records) })
				records := slices.Concat(first.records, second.records)
				third := &paper{}
				got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = third, Fold(records) })
				require.NoError(t, got.err)
				require.False(t, got.summary.Failed)
				require.Equal(t, longEffects(), slices.Sorted(slices.Values(got.fleet.did)))
				require.Empty(t, got.events[len(got.events)-1].(RunDone).Pending)
				require.Equal(t, outcomesOf(whole.records), outcomesOf(slices.Concat(records, third.records)))
			})
		}
	}
}

// outcomesOf is what became of everything, without times.
func outcomesOf(records []Record) map[Key]string {
	out := map[Key]string{}
	for key, o := range Fold(records).Outcomes {
		out[key] = fmt.Sprint(o.Name, " ", o.Status, " ", o.Label)
	}
	return out
}

// TestNothingIsPaidForTwiceAfterAPastOfOtherRuns: handlers that another run left
// run in the next one, once, also where that dies and is resumed.
func TestHandlersThatAnotherRunLeft(t *testing.T) {
	book, inv := books(t, `
- name: site
  hosts: web
  gather_facts: false
  handlers:
  - {name: restart, command: do restart}
  tasks:
  - {name: config, command: do config, changed_when: colour == "red", notify: restart}
`)
	left := []Notification{{Playbook: book.Path, Play: "site", Handler: "restart", Host: "h2", Run: "old"}}
	want := []string{"h1: do config", "h1: do restart", "h2: do config", "h2: do restart", "h3: do config"}
	whole := &paper{}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Pending = whole, left })
	require.NoError(t, got.err)
	require.Equal(t, want, slices.Sorted(slices.Values(got.fleet.did)))
	require.Empty(t, got.events[len(got.events)-1].(RunDone).Pending)

	for dies := 1; dies <= len(whole.records); dies++ {
		first := &paper{dies: dies}
		got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Pending = first, left })
		require.ErrorIs(t, got.err, errDied)
		past := Fold(first.records)
		pending := left
		if o := past.Outcomes[Key{Play: 1, Task: "handlers/0", Host: "h2"}]; o.Status == Changed {
			pending = nil // whoever folds the journals sees that it has run
		}
		got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past, r.Pending = &paper{}, past, pending })
		require.NoError(t, got.err)
		require.Equal(t, want, slices.Sorted(slices.Values(got.fleet.did)), "died at %d", dies)
	}

	plan := carry(t, `
- name: site
  hosts: web
  gather_facts: false
  handlers:
  - {name: restart, command: do restart}
  tasks: []
`, func(r *Runner, _ *fleet) { r.Plan, r.Pending = true, left })
	require.Contains(t, plan.lines(), "restart h2 run", "the next plan shows it")
}

func TestAFailedRunLeavesItsHandlers(t *testing.T) {
	got := carry(t, `
- name: site
  hosts: web
  gather_facts: false
  handlers:
  - {name: restart, command: do restart}
  tasks:
  - {name: config, command: do config, notify: restart}
  - {name: breaks, command: only h1}
`, func(r *Runner, _ *fleet) { r.Journal = &paper{} })
	var left []string
	for _, n := range got.events[len(got.events)-1].(RunDone).Pending {
		left = append(left, n.Handler+" on "+n.Host+" by "+n.By)
	}
	require.Equal(t, []string{"restart on h2 by config", "restart on h3 by config"}, left)
}

// TestWhenNobodyKnows: a command of which the target cannot say how it ended is
// not repeated without being asked.
func TestWhenNobodyKnows(t *testing.T) {
	book, inv := books(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: do a}\n  - {name: b, command: do b}\n")
	key := Key{Play: 1, Task: "tasks/0", Host: "h1"}
	begun := &Past{Begun: map[Key][]Intent{key: {{Key: key, Name: "a", Of: 1, Command: "do a", Opaque: true}}}}
	for decision, want := range map[Doubt][]string{
		Rerun: {"h1: do a", "h1: do b"},
		Skip:  {"h1: do b"},
		Fail:  nil,
		"":    nil, // nobody to ask
	} {
		kept := &paper{}
		got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) {
			r.Journal, r.Past = kept, begun
			if decision != "" {
				r.Doubt = func(_ context.Context, i Intent) (Doubt, error) {
					require.Equal(t, "do a", i.Command)
					return decision, nil
				}
			}
		})
		require.NoError(t, got.err)
		require.Equal(t, want, got.fleet.did, "%q", decision)
		require.Equal(t, want == nil, got.summary.Failed)
		if want == nil {
			require.Contains(t, got.result("a", "h1").Msg, "--unknown=rerun")
			again := Fold(slices.Concat([]Record{begun.Begun[key][0]}, kept.records))
			require.Len(t, again.Begun[key], 1, "the question stays open for the next resumption")
		}
	}
}

// TestACommandThatNobodyMindedToTheEnd has not failed: what became of it stays an
// open question, which the resumption asks.
func TestACommandThatNobodyMindedToTheEnd(t *testing.T) {
	kept := &paper{}
	got := carry(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: untold, retries: 2, delay: 0, until: false}\n", func(r *Runner, _ *fleet) { r.Journal = kept })
	require.True(t, got.summary.Failed)
	require.Equal(t, []string{"h1: untold"}, got.fleet.did, "it is not tried again")
	past, key := Fold(kept.records), Key{Play: 1, Task: "tasks/0", Host: "h1"}
	require.True(t, past.Outcomes[key].Unsettled)
	require.Len(t, past.Begun[key], 1)
}

// TestASignedPlanIsAllThatIsDone: whatever differs from the plan stops the host,
// and only that.
func TestASignedPlanIsAllThatIsDone(t *testing.T) {
	text := "- hosts: web\n  gather_facts: false\n  tasks:\n  - {name: a, command: do a}\n  - {name: b, command: \"do {{ what[inventory_hostname] }}\"}\n  vars: {what: {h1: x, h2: y, h3: z}}\n"
	book, inv := books(t, text)
	collected := &paper{}
	plan := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Plan, r.Journal = true, collected })
	require.NoError(t, plan.err)
	require.Empty(t, plan.fleet.did)
	signed := &Signed{Work: Fold(collected.records).Outcomes}
	require.Len(t, signed.Work, 6)

	same := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Signed = signed })
	require.False(t, same.summary.Failed)
	require.Len(t, same.fleet.did, 6)

	other, _ := books(t, strings.Replace(text, "h2: y", "h2: rm", 1))
	drifted := ran{fleet: &fleet{}}.carry(t.Context(), t, other, inv, func(r *Runner, _ *fleet) { r.Signed = signed })
	require.True(t, drifted.summary.Failed)
	require.NotContains(t, drifted.fleet.did, "h2: do rm")
	require.Contains(t, drifted.fleet.did, "h3: do z")
	require.Contains(t, drifted.result("b", "h2").Msg, "drifted from the plan: planned do y; now do rm")

	less := &Signed{Work: maps.Clone(signed.Work)}
	delete(less.Work, Key{Play: 1, Task: "tasks/1", Host: "h1"})
	unlisted := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Signed = less })
	require.NotContains(t, unlisted.fleet.did, "h1: do x")
	require.Contains(t, unlisted.result("b", "h1").Msg, "not in the plan")

	replanned := ran{fleet: &fleet{}}.carry(t.Context(), t, other, inv, func(r *Runner, _ *fleet) {
		r.Signed = &Signed{Work: signed.Work, Replan: true}
	})
	require.Contains(t, replanned.fleet.did, "h2: do rm")
}

// TestDriftIsNotRescued: neither a rescue nor ignore_errors takes a drifted host
// back, but what is to be done in any case is.
func TestDriftIsNotRescued(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - block:
    - {name: a, command: do a, ignore_errors: true}
    rescue:
    - {name: rescue, command: do rescue}
    always:
    - {name: always, debug: {msg: x}}
  - {name: after, command: do after}
`, func(r *Runner, _ *fleet) { r.Signed = &Signed{} })
	require.Empty(t, got.fleet.did)
	require.Equal(t, []string{"a h1 failed", "always h1 ok", "no more hosts left"}, got.lines())
}

// TestTheFirstSignalLetsTasksEnd: a run that is told to stop begins nothing more,
// and is resumed where it stopped.
func TestTheFirstSignalLetsTasksEnd(t *testing.T) {
	book, inv := books(t, longRun)
	stop := make(chan struct{})
	first := &paper{}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, f *fleet) {
		r.Journal, r.Stopping = first, stop
		emit := r.Emit
		r.Emit = func(e Event) {
			emit(e)
			if d, ok := e.(TaskDone); ok && d.Item != nil && *d.Item == "y" && d.Host == "h1" {
				close(stop)
			}
		}
	})
	require.NoError(t, got.err)
	require.True(t, got.summary.Interrupted)
	require.NotContains(t, got.fleet.did, "h1: do z", "between two items it stops")
	require.IsType(t, Halted{}, first.records[len(first.records)-1])
	got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Past = &paper{}, Fold(first.records) })
	require.NoError(t, got.err)
	require.Equal(t, longEffects(), slices.Sorted(slices.Values(got.fleet.did)))
}

func TestSecretsStayOutOfTheJournal(t *testing.T) {
	text := `
- hosts: h1
  gather_facts: false
  vars: {ansible_become_password: hunter2}
  tasks:
  - {name: quiet, command: echo s3cret, no_log: true, register: quiet}
  - {name: long, command: echo a-longer-secret, no_log: true, register: long}
  - {name: loud, command: echo hunter2, become: true, register: loud}
  - {name: hand on, set_fact: {handed: "{{ long.stdout }} on"}, become: true}
  - {name: use, command: "do {{ quiet.stdout }} {{ loud.stdout }} {{ handed }}", become: true}
`
	book, inv := books(t, text)
	first := &paper{dies: 9} // in the middle of the last task
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Journal, r.Seal = first, reversing{} })
	require.ErrorIs(t, got.err, errDied)
	require.NotContains(t, fmt.Sprintf("%+v", first.records), "s3cret")
	require.NotContains(t, fmt.Sprintf("%+v", first.records), "hunter2")
	require.NotContains(t, fmt.Sprintf("%+v", first.records), "a-longer-secret")
	got = got.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Past, r.Seal = Fold(first.records), reversing{} })
	require.NoError(t, got.err)
	require.Equal(t, []string{"h1: echo s3cret", "h1: echo a-longer-secret", "h1: echo hunter2", "h1: do s3cret hunter2 a-longer-secret on"}, got.fleet.did)
}

// reversing is a seal that anybody can open.
type reversing struct{}

func (reversing) Seal(plain []byte) (string, error) {
	plain = slices.Clone(plain)
	slices.Reverse(plain)
	return string(plain), nil
}

func (reversing) Open(sealed string) ([]byte, error) {
	plain := []byte(sealed)
	slices.Reverse(plain)
	return plain, nil
}

func (reversing) Digest(data []byte) string { return fmt.Sprint(len(data)) }
