package project

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

const busyEnv = "RUNBOOK_TEST_BUSY"

// busyForever is a process that does everything a project knows, until it is killed.
func busyForever(dir string) {
	err := func() error {
		p, err := Create(dir)
		if err != nil {
			return err
		}
		if _, err := p.Key(); err != nil {
			return err
		}
		if _, err = p.Lock(context.Background(), Info{}, 0, nil); err != nil {
			return err
		}
		for n := 0; ; n++ {
			if err := busy(p, n); err != nil {
				return err
			}
		}
	}()
	fmt.Println(err)
	os.Exit(1)
}

func busy(p *Project, n int) error {
	host := fmt.Sprintf("node%d", n%5)
	w, id, err := p.Begin(journal.Header{Playbook: "site.yaml"})
	if err != nil {
		return err
	}
	records := []runner.Record{begun(1, "web"), intending(1, host), changes(1, host)}
	if n%3 == 1 {
		records = append(records, handler(1, "restart", host, runner.Changed))
	}
	if n%3 == 2 {
		records = append(records, ended(runner.Summary{}))
	}
	for _, r := range records {
		if err := w.Put(context.Background(), r, n%2 == 0); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if n%4 == 0 {
		if w, _, err = p.Resume(id, journal.Resumed{}); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	if n%2 == 0 {
		if err := p.Checkpoint(); err != nil {
			return err
		}
	}
	if n%5 == 4 {
		_, err = p.Drop("restart", nil, "busy") // an error where nothing is pending
	}
	return nil
}

// Whenever a process is killed, the next one finds a project in order: the state
// with its checkpoint is the one that all journals say, and no turn is given twice.
func TestKilledAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir() + "/" + Name
	for range 25 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10_000+random.IntN(60_000))*time.Microsecond)
		cmd := exec.CommandContext(ctx, os.Args[0]) // killed with SIGKILL
		cmd.Env = append(os.Environ(), busyEnv+"="+dir)
		out, err := cmd.Output()
		require.Error(t, err)
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, string(out))
		cancel()
		t.Logf("%d lives are in order", checked(t, dir))
	}
}

func checked(t *testing.T, dir string) (lives int) {
	t.Helper()
	p, err := Create(dir)
	require.NoError(t, err)
	unlock, err := p.Lock(t.Context(), Info{}, 0, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, unlock()) }()
	w := &world{T: t, Project: p}
	quick := w.state()
	require.Empty(t, quick.Notices)
	turns := map[int]string{}
	for _, r := range w.runs() {
		require.NoError(t, r.Damage)
		c, err := p.Contents(r.ID)
		require.NoError(t, err)
		for _, l := range c.Lives {
			require.Emptyf(t, turns[l.Turn], "turn %d is that of %s too", l.Turn, r.ID)
			turns[l.Turn] = r.ID
		}
	}
	aside := t.TempDir()
	for _, name := range []string{stateFile, copyFile} {
		if !missing(p.path(name)) {
			require.NoError(t, os.Rename(p.path(name), aside+"/"+name))
		}
	}
	require.Equal(t, withoutNotices(quick), withoutNotices(w.state()))
	for _, name := range []string{stateFile, copyFile} {
		if !missing(aside + "/" + name) {
			require.NoError(t, os.Rename(aside+"/"+name, p.path(name)))
		}
	}
	return len(turns)
}
