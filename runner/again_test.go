package runner

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// TestWhatIsDoneAgainHasChangedSomething: what an earlier life changed is found as
// it should be, and its handler is still due.
func TestWhatIsDoneAgainHasChangedSomething(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  handlers:
  - {name: h, command: do h}
  tasks:
  - block:
    - {name: a, command: only h9}
    always:
    - {name: b, ping: {data: x}, notify: h}
`)
	l.live(0)
	require.Equal(t, []string{"h on h1"}, l.pending())
	l.stage.did = func(_, _ string, out *modules.Output) error { out.Code = 0; return nil } // mended
	l.live(0)
	require.False(t, l.summary.Failed)
	require.Equal(t, 1, count1(l.did(), "h1: do h"))
	require.Empty(t, l.pending())
}

// TestAHostThatWasLostIsCleanedUpAfterOnceMore: what was done without it after the
// loss is done again after the retry, as it is after a failure.
func TestAHostThatWasLostIsCleanedUpAfterOnceMore(t *testing.T) {
	l := newLives(t, `
- hosts: web
  gather_facts: false
  tasks:
  - block:
    - {name: before, command: do before}
    - {name: breaks, command: "{{ 'lost' if colour == 'blue' else 'do work' }}"}
    - {name: then, command: do then}
    rescue:
    - {name: note, command: "note {{ inventory_hostname }}", delegate_to: h1}
    always:
    - {name: clean, command: "clean {{ inventory_hostname }}", delegate_to: h1}
`)
	l.live(0)
	require.True(t, l.summary.Unreachable)
	require.Equal(t, 1, count1(l.did(), "h1: note h2"))
	require.Equal(t, 1, count1(l.did(), "h1: clean h2"))
	require.Equal(t, 0, count1(l.did(), "h2: do then"))
	l.fleet.mended = true
	l.live(0)
	require.Equal(t, Summary{Changes: true}, l.summary)
	require.Equal(t, 1, count1(l.did(), "h2: do before"))
	require.Equal(t, 1, count1(l.did(), "h2: do then"))
	require.Equal(t, 1, count1(l.did(), "h1: note h2"))
	require.Equal(t, 2, count1(l.did(), "h1: clean h2"))
	require.Equal(t, 1, count1(l.did(), "h1: clean h3"))
}

// TestABlockThatIsLookedAtAgainForgetsNoHandler: what it changed in an earlier life
// it finds as asked now, and its handler is due all the same.
func TestABlockThatIsLookedAtAgainForgetsNoHandler(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  handlers: [{name: h, command: do h}]
  tasks:
  - block:
    - {name: changes, ping: {data: x}, notify: h}
    - {name: breaks, command: only h2}
    always:
    - {name: z, command: do z}
`)
	for range 3 {
		l.live(0)
		require.Equal(t, []string{"h on h1"}, l.pending())
	}
}

// TestWhatWasOnlyLookedAtIsLookedAtAgain: where the run has failed since, somebody
// may have mended what was found; but what was found before a step stays as it was.
func TestWhatWasOnlyLookedAtIsLookedAtAgain(t *testing.T) {
	asked := map[string]int{}
	fresh := func() *lives {
		l := newLives(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: before, ping: {data: before}}
  - {name: step, command: do step}
  - {name: after, ping: {data: after}}
  - {name: gate, ping: {data: gate}, failed_when: false}
  - {name: breaks, fail: {msg: shut}, when: closed | default(true)}
`)
		l.stage.there = map[string]bool{"h1 before": true, "h1 after": true, "h1 gate": true}
		l.stage.query = func(_, cmd string) (modules.Output, error) {
			asked[cmd]++
			return modules.Output{}, nil
		}
		return l
	}
	l := fresh().live(0)
	require.True(t, l.summary.Failed)
	require.Equal(t, map[string]int{"is before": 1, "is after": 1, "is gate": 1}, asked)
	l.live(0)
	require.Equal(t, map[string]int{"is before": 1, "is after": 2, "is gate": 2}, asked)

	clear(asked)
	whole := l.records
	l = fresh().live(upTo(t, whole, outcomeOf("tasks/3", 0)))
	l.live(0)
	require.Equal(t, map[string]int{"is before": 1, "is after": 1, "is gate": 1}, asked, "it died a moment ago")
	for i, r := range l.records {
		if o, ok := r.(Outcome); ok {
			o.At = o.At.Add(-2 * lookedFor)
			l.records[i] = o
		}
	}
	l.records = l.records[:upTo(t, l.records, outcomeOf("tasks/3", 0))]
	l.live(0)
	require.Equal(t, map[string]int{"is before": 1, "is after": 2, "is gate": 2}, asked, "it died a while ago")
}

// TestWhatARescueCouldNotMendIsTriedAgain: a rescue that only says what to mend ends
// failed, and what it stood by for is tried once that is mended. One that mended it
// by itself is not undone by a later failure.
func TestWhatARescueCouldNotMendIsTriedAgain(t *testing.T) {
	const text = `
- hosts: h1
  gather_facts: false
  tasks:
  - block:
    - {name: before, command: do before}
    - {name: breaks, command: only h2 breaks}
    - {name: then, command: do then}
    rescue:
    - {name: note, command: do note}
    - {name: say, fail: {msg: mend it}, when: %s}
  - {name: later, command: only h2 later}
`
	l := newLives(t, strings.Replace(text, "%s", "true", 1)).live(0)
	require.Equal(t, []string{"h1: do before", "h1: do note", "h1: only h2 breaks"}, l.did())
	l.live(0)
	require.True(t, l.summary.Failed)
	require.Equal(t, []string{"h1: do before", "h1: do note", "h1: do note", "h1: only h2 breaks", "h1: only h2 breaks"}, l.did())
	l.stage.did = func(_, _ string, out *modules.Output) error { out.Code = 0; return nil } // mended
	l.live(0)
	require.Equal(t, Summary{Changes: true}, l.summary)
	require.Equal(t, 1, count1(l.did(), "h1: do before"))
	require.Equal(t, 1, count1(l.did(), "h1: do then"))
	require.Equal(t, 2, count1(l.did(), "h1: do note"))

	l = newLives(t, strings.Replace(text, "%s", "false", 1)).live(0)
	require.True(t, l.summary.Failed, "by the task after the block")
	l.live(0)
	require.Equal(t, 1, count1(l.did(), "h1: only h2 breaks"))
	require.Equal(t, 1, count1(l.did(), "h1: do note"))
}

// TestWhatARescueHasUndoneIsDoneAgain: a change that was rolled back is no change of a
// resumed run that goes on as if it was there.
func TestWhatARescueHasUndoneIsDoneAgain(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - block:
    - {name: change, ping: {data: x}}
    - {name: breaks, command: only h2 breaks}
    rescue:
    - {name: undo, command: undo}
    - {name: say, fail: {msg: rolled back}}
`)
	mended := false
	l.stage.did = func(_, cmd string, out *modules.Output) error {
		if cmd == "undo" {
			delete(l.stage.there, "h1 x")
		}
		if mended {
			out.Code = 0
		}
		return nil
	}
	once := []string{"h1: only h2 breaks", "h1: set x", "h1: undo"}
	l.live(0)
	require.Equal(t, once, l.did())
	l.live(0)
	require.True(t, l.summary.Failed)
	require.Equal(t, slices.Sorted(slices.Values(slices.Concat(once, once))), l.did())
	mended = true
	l.live(0)
	require.Equal(t, Summary{Changes: true}, l.summary)
	require.True(t, l.stage.there["h1 x"])
}
