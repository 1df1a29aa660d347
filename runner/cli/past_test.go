package cli

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/plan"
)

func at(task, host string) runner.Key { return runner.Key{Play: 1, Task: task, Host: host} }

func owed(name, host, run string) runner.Notification {
	return runner.Notification{Play: "web", Handler: name, Host: host, Run: run}
}

// records of a run that notified a and b on h1 and h2; a has run on h1.
func notified() []runner.Record {
	both := []runner.Called{{Task: "handlers/0", Name: "a"}, {Task: "handlers/1", Name: "b"}}
	return []runner.Record{
		runner.BatchBegun{Play: 1, Name: "web"},
		runner.Outcome{Key: at("tasks/0", "h1"), Status: runner.Changed, Notified: both},
		runner.Outcome{Key: at("tasks/0", "h2"), Status: runner.Changed, Notified: both},
		runner.Outcome{Key: at("handlers/0", "h1"), Name: "a", Handler: true, Status: runner.Changed},
		runner.Adopted{Pending: []runner.Notification{owed("a", "h1", "old"), owed("c", "h1", "old"), owed("c", "h2", "old")}},
	}
}

func names(past *runner.Past, host string) []string {
	got := []string{}
	for _, c := range past.Outcomes[at("tasks/0", host)].Notified {
		got = append(got, c.Name)
	}
	return got
}

func TestWhatIsNotPendingAnyMoreIsNotRunAgain(t *testing.T) {
	l := &live{id: "this"}
	records := notified()
	// b was dropped on h2, c on h2; d was left by another run.
	pending := []runner.Notification{owed("b", "h1", "this"), owed("a", "h2", "this"), owed("c", "h1", "old"), owed("d", "h1", "other")}
	past, others := l.remember(records, pending)
	require.Equal(t, []string{"a", "b"}, names(past, "h1"), "a has run in this run: the engine recalls it at its place")
	require.Equal(t, []string{"a"}, names(past, "h2"))
	require.Equal(t, []runner.Notification{owed("a", "h1", "old"), owed("c", "h1", "old")}, past.Adopted)
	require.Equal(t, []runner.Notification{owed("d", "h1", "other")}, others)
	require.Len(t, records[2].(runner.Outcome).Notified, 2, "the records themselves stay")
}

func TestARunOfAPlanTakesOverWhatThePlanHas(t *testing.T) {
	l := &live{id: "this", signed: &plan.Plan{Pending: []runner.Notification{owed("d", "h1", "other")}}}
	_, others := l.remember(nil, []runner.Notification{owed("d", "h1", "later"), owed("d", "h2", "other")})
	require.Equal(t, []runner.Notification{owed("d", "h1", "later")}, others)
}

// full is a journal on a disk that takes only so many records.
type full struct{ room int }

func (f *full) Put(context.Context, runner.Record, bool) error {
	if f.room--; f.room < 0 {
		return errors.New("no space left")
	}
	return nil
}

func TestWhoIsBusy(t *testing.T) {
	b := &busy{Journal: &full{room: 3}}
	for _, r := range []runner.Record{
		runner.Outcome{Key: at("tasks/0", "h1")}, runner.Intent{Key: at("tasks/1", "h2")}, runner.Intent{Key: at("tasks/1", "h1")},
	} {
		require.NoError(t, b.Put(t.Context(), r, true))
	}
	require.Equal(t, []string{"h1", "h2"}, b.hosts())
	require.Equal(t, 3, b.puts())
	require.NoError(t, b.err())
	require.EqualError(t, b.Put(t.Context(), runner.Outcome{Key: at("tasks/1", "h2")}, true), "no space left")
	require.Equal(t, []string{"h1"}, b.hosts())
	b.fail(errors.New("another"))
	require.EqualError(t, b.err(), "no space left", "the first error stays")
}
