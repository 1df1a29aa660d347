package runner

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

// TestALabelThatHoldsASecretIsKnownAgain: whether the secret is known already
// when an item is named makes no difference.
func TestALabelThatHoldsASecretIsKnownAgain(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  vars: {ansible_become_password: hunter2}
  tasks:
  - {name: "with hunter2", command: "do {{ item }}", become: true, loop: [hunter2, "x hunter2"]}
  - {name: last, command: do last}
`)
	l.live(6)
	for _, r := range l.records {
		if o, ok := r.(Outcome); ok {
			require.NotContains(t, o.Label+o.Name, "hunter2")
		}
	}
	l.live(0)
	require.NoError(t, l.err)
	require.Equal(t, []string{"h1: do hunter2", "h1: do last", "h1: do x hunter2"}, l.did())
}

// TestANameThatHangsOnWhoIsLeft: a host that failed comes back when the run is
// resumed; the tasks of the others are the same for that.
func TestANameThatHangsOnWhoIsLeft(t *testing.T) {
	l := newLives(t, `
- hosts: web
  gather_facts: false
  tasks:
  - {name: breaks, command: only h1 h2, ignore_errors: "{{ colour == 'blue' }}"}
  - {name: "on {{ ansible_play_hosts | length }}", command: do it}
  - {name: peers, command: "do {{ item }}", loop: "{{ ansible_play_hosts }}", when: colour == 'red'}
`)
	l.live(0)
	require.True(t, l.summary.Failed)
	l.stage.did = func(_, _ string, out *modules.Output) error { out.Code = 0; return nil } // mended
	l.live(0)
	require.False(t, l.summary.Failed)
	require.Equal(t, 1, count1(l.did(), "h1: do it"))
	require.Equal(t, 1, count1(l.did(), "h1: do h1"))
	require.Equal(t, 1, count1(l.did(), "h1: do h2"))
}

func count1(in []string, what string) int {
	n := 0
	for _, s := range in {
		if s == what {
			n++
		}
	}
	return n
}

// TestADroppedNotificationStaysDropped, though the task that gave it is recalled.
func TestADroppedNotificationStaysDropped(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  handlers:
  - {name: restart, command: do restart}
  - {name: reload, command: do reload}
  tasks:
  - {name: config, command: do config, notify: [restart, reload]}
  - {name: items, command: "do {{ item }}", notify: [restart, reload], loop: [x]}
  - {name: last, command: do last}
`)
	l.live(6)
	for i, r := range l.records {
		if o, ok := r.(Outcome); ok {
			o.Notified = slices.DeleteFunc(o.Notified, func(c Called) bool { return c.Name == "restart" })
			l.records[i] = o
		}
	}
	l.live(0)
	require.NoError(t, l.err)
	require.Equal(t, []string{"h1: do config", "h1: do last", "h1: do reload", "h1: do x"}, l.did())
}

// TestADoubtThatNobodyResolvesStays: whoever is asked and gives no answer is
// asked again, and nothing is run before.
func TestADoubtThatNobodyResolvesStays(t *testing.T) {
	l := newLives(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: do a}\n")
	key := Key{Play: 1, Task: "tasks/0", Host: "h1"}
	l.records = []Record{Intent{Key: key, Name: "a", Of: 1, Command: "do a", Opaque: true}}
	l.live(0, func(r *Runner, _ *fleet) {
		r.Doubt = func(context.Context, Intent) (Doubt, error) { return Fail, errors.New("end of input") }
	})
	require.True(t, l.summary.Failed)
	l.live(0)
	require.Empty(t, l.did())
	require.Contains(t, l.result("a", "h1").Msg, "--unknown")
}

// TestWhatWasUnderWayIsAskedAfterEvenIfATaskCannotBeRead in between.
func TestWhatWasUnderWayIsAskedAfterLater(t *testing.T) {
	l := newLives(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: \"do {{ word }}\"}\n")
	key := Key{Play: 1, Task: "tasks/0", Host: "h1"}
	l.records = []Record{Intent{Key: key, Name: "a", Of: 1, Command: "do a", Opaque: true}}
	l.live(0)
	require.True(t, l.summary.Failed)
	require.Len(t, Fold(l.records).Begun[key], 1, "nobody has asked yet what became of it")
}

// TestACommandThatFailedAfterItsMark: what it made keeps it from being run again,
// but does not make it a success.
func TestACommandThatFailedAfterItsMark(t *testing.T) {
	l := newLives(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: {cmd: \"false\", creates: /mark}}\n  - {name: b, command: do b}\n")
	made := false
	l.stage.query = func(_, cmd string) (modules.Output, error) {
		if made {
			return modules.Output{Stdout: "creates\n"}, nil
		}
		return modules.Output{}, nil
	}
	l.stage.did = func(string, string, *modules.Output) error { made = true; return nil }
	l.live(2) // the intent; the outcome is not written
	l.live(0)
	require.Equal(t, []string{"h1: false"}, l.did())
	require.True(t, l.summary.Failed)
	require.Equal(t, Failed, l.result("a", "h1").Status)
}

// TestAHostThatIsLostAfterAChange: its handler is still due, as the next life
// finds nothing left to change.
func TestAHostThatIsLostAfterAChange(t *testing.T) {
	for name, text := range map[string]string{
		"task": "{name: a, ping: {data: x}, notify: h}",
		"loop": "{name: a, ping: {data: \"{{ item }}\"}, notify: h, loop: [x]}",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t, "- hosts: h1\n  gather_facts: false\n  handlers:\n  - {name: h, command: do h}\n  tasks:\n  - "+text+"\n")
			lost := false
			l.stage.did = func(_, cmd string, _ *modules.Output) error { lost = cmd == "set x"; return nil }
			l.stage.query = func(string, string) (modules.Output, error) {
				if lost {
					return modules.Output{}, gone{}
				}
				return modules.Output{}, nil
			}
			l.live(0)
			require.True(t, l.summary.Unreachable)
			require.Equal(t, []string{"h on h1"}, l.pending())
			lost = false
			l.live(0)
			require.Equal(t, []string{"h1: do h", "h1: set x"}, l.did())
			require.Empty(t, l.pending())
		})
	}
}

// TestALoopThatRunsOutOfTimeIsNotDone: items that were never begun are no success.
func TestALoopThatRunsOutOfTimeIsNotDone(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: "do {{ item }}", loop: [x, y], loop_control: {pause: 60}, timeout: 1}
`)
	l.live(0)
	require.Equal(t, []string{"h1: do x"}, l.did())
	require.True(t, l.summary.Failed)
}

// TestAHandlerThatWasCutShortIsStillDue: it is paid for when all its items are done.
func TestAHandlerThatWasCutShortIsStillDue(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  handlers:
  - {name: h, command: "do {{ item }}", loop: [x, y]}
  tasks:
  - {name: a, command: do a, notify: h}
`)
	ctx, cancel := context.WithCancel(t.Context())
	p := &paper{}
	l.fleet = &fleet{}
	l.ran = l.ran.carry(ctx, t, l.book, l.inv, func(r *Runner, f *fleet) {
		r.Journal = p
		l.stage.on(r, f)
		l.stage.ended = func(at context.Context, cmd string) {
			if cmd == "do x" {
				cancel()
				<-at.Done()
			}
		}
	})
	l.records = p.records
	require.True(t, l.summary.Interrupted)
	require.Equal(t, []string{"h on h1"}, l.pending())
	l.stage.ended = nil
	l.live(0)
	require.Equal(t, []string{"h1: do a", "h1: do x", "h1: do y"}, l.did())
	require.Empty(t, l.pending())
}

// TestAChangeIsNotForgottenByAnErrorAfterIt: the handler is due, though
// changed_when or failed_when cannot be evaluated.
func TestAChangeIsNotForgottenByAnErrorAfterIt(t *testing.T) {
	for _, keyword := range []string{"changed_when", "failed_when", "until", "ignore_errors"} {
		extra := "nothing.there > 1"
		if keyword == "ignore_errors" {
			extra = "\"{{ nothing.there }}\", failed_when: true"
		}
		l := newLives(t, "- hosts: h1\n  gather_facts: false\n  handlers:\n  - {name: h, command: do h}\n  tasks:\n  - {name: a, ping: {data: x}, notify: h, "+keyword+": "+extra+"}\n")
		l.live(0)
		require.True(t, l.summary.Failed, keyword)
		require.Equal(t, []string{"h on h1"}, l.pending(), keyword)
	}
}

// TestAPlanDoesNothingOfWhichItIsNotKnownWhetherItRuns, not even where
// check_mode: false has it look for real.
func TestAPlanDoesNothingOfWhichItIsNotKnownWhetherItRuns(t *testing.T) {
	got := carry(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - {name: a, command: do a, register: r}
  - {name: b, command: do b, check_mode: false, when: r.rc == 0}
`, planning)
	require.Empty(t, got.fleet.did)
	require.Equal(t, Unknown, got.result("b", "h1").Status)
}

// TestASignedLoopThatThePlanCouldNotKnow goes ahead, as any other unknown does.
func TestASignedLoopThatThePlanCouldNotKnow(t *testing.T) {
	book, inv := books(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: a, command: echo x, register: r}\n  - {name: b, command: \"do {{ item }}\", loop: \"{{ r.stdout_lines }}\"}\n")
	collected := &paper{}
	ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Plan, r.Journal = true, collected })
	signed := &Signed{Work: Fold(collected.records).Outcomes}
	got := ran{fleet: &fleet{}}.carry(t.Context(), t, book, inv, func(r *Runner, _ *fleet) { r.Signed = signed })
	require.Equal(t, []string{"h1: echo x", "h1: do x"}, got.fleet.did)
}

// TestHandlersOfOneTopicAreOwedEach, though they have no names.
func TestHandlersOfOneTopicAreOwedEach(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  handlers:
  - {listen: topic, command: do first}
  - {listen: topic, command: "false"}
  tasks:
  - {name: a, command: do a, notify: topic}
`)
	l.live(0)
	require.Len(t, l.pending(), 1)
	left := l.events[len(l.events)-1].(RunDone).Pending
	next := newLives(t, "- hosts: h1\n  gather_facts: false\n  handlers:\n  - {listen: topic, command: do first}\n  - {listen: topic, command: do second}\n  tasks: []\n")
	next.live(0, func(r *Runner, _ *fleet) { r.Pending = left })
	require.Equal(t, []string{"h1: do second"}, next.did())
}

// TestWhatIsPendingRunsOnce, though two plays have the same name.
func TestWhatIsPendingRunsOnce(t *testing.T) {
	play := "- hosts: web\n  gather_facts: false\n  handlers:\n  - {name: h, command: do h}\n  tasks: []\n"
	l := newLives(t, play+play)
	left := []Notification{{Playbook: l.book.Path, Play: "web", Handler: "h", Host: "h1", Run: "old"}}
	l.live(0, func(r *Runner, _ *fleet) { r.Pending = left })
	require.Equal(t, []string{"h1: do h"}, l.did())
}

// TestWhatIsAlwaysDoneFollowsTheRetry: a task that failed is tried again, and so
// what was done after its failure is done after it again.
func TestWhatIsAlwaysDoneFollowsTheRetry(t *testing.T) {
	l := newLives(t, `
- hosts: h1
  gather_facts: false
  tasks:
  - block:
    - {name: a, command: only h9}
    always:
    - {name: clean, command: do clean}
    - {name: sweep, command: do sweep}
  - {name: last, command: do last}
`)
	l.live(0)
	require.True(t, l.summary.Failed)
	l.stage.did = func(_, cmd string, out *modules.Output) error {
		if cmd == "only h9" {
			out.Code = 0 // mended
		}
		return nil
	}
	died := len(l.records)
	l.live(4)
	require.ErrorIs(t, l.err, errDied)
	require.Len(t, l.records, died+4, "it died after clean")
	l.live(0)
	require.NoError(t, l.err)
	require.Equal(t, []string{"h1: do clean", "h1: do clean", "h1: do last", "h1: do sweep", "h1: do sweep", "h1: only h9", "h1: only h9"}, l.did())
}

// TestATimeoutThatThePlayWentOnFrom is not asked after again.
func TestATimeoutThatThePlayWentOnFrom(t *testing.T) {
	for _, way := range []string{
		"  - {name: a, command: hang, timeout: 1, ignore_errors: true}\n",
		"  - block:\n    - {name: a, command: hang, timeout: 1}\n    rescue:\n    - {name: mend, command: do mend}\n",
	} {
		l := newLives(t, "- hosts: h1\n  gather_facts: false\n  tasks:\n"+way+"  - {name: b, command: do b}\n  - {name: c, command: do c}\n")
		hung := 0
		l.fleet = &fleet{hung: func() { hung++ }}
		l.live(6)
		require.ErrorIs(t, l.err, errDied)
		l.live(0, func(r *Runner, _ *fleet) {
			r.Doubt = func(context.Context, Intent) (Doubt, error) { t.Error("asked"); return Fail, nil }
		})
		require.NoError(t, l.err)
		require.False(t, l.summary.Failed)
		require.Equal(t, 1, count1(l.did(), "h1: do b"))
		require.Equal(t, 1, count1(l.did(), "h1: do c"))
		require.Equal(t, 1, hung)
	}
}

// TestAnAttemptThatChangedSomethingCounts, also where the next one finds nothing to do.
func TestAnAttemptThatChangedSomethingCounts(t *testing.T) {
	l := newLives(t, "- hosts: h1\n  gather_facts: false\n  handlers:\n  - {name: h, command: do h}\n  tasks:\n  - {name: a, ping: {data: x}, notify: h, register: r, until: r.attempts == 2, retries: 3, delay: 0}\n")
	l.live(0)
	require.NoError(t, l.err)
	require.Equal(t, []string{"h1: do h", "h1: set x"}, l.did())
}

// TestAFlushLeavesWhoIsOut: what a failed host was notified of is due when a
// rescue takes it back.
func TestAFlushLeavesWhoIsOut(t *testing.T) {
	l := newLives(t, `
- hosts: web
  gather_facts: false
  handlers:
  - {name: h, command: do h}
  tasks:
  - block:
    - {name: a, command: do a, notify: h}
    - {name: b, command: only h1}
    - meta: flush_handlers
    rescue:
    - {name: mend, command: do mend}
`)
	l.live(0)
	require.NoError(t, l.err)
	require.Empty(t, l.pending())
	require.Equal(t, 1, count1(l.did(), "h2: do h"))
}
