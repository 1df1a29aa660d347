package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"runbook/runner"
)

var ctx = context.Background()

func TestARunOnARealDisk(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "x")
	var told []any
	for i, life := range lives() {
		var w *Writer
		var err error
		if i == 0 {
			w, err = Create(dir, life[0].record.(Header))
		} else {
			w, _, err = Reopen(dir, life[0].record.(Resumed))
		}
		require.NoError(t, err)
		told = append(told, life[0].record)
		for _, s := range life[1:] {
			require.NoError(t, put(w, s))
			told = append(told, s.record)
		}
		require.NoError(t, w.Close())
		require.NoError(t, w.Close(), "closing twice is as good as once")
	}
	c, err := Read(dir)
	require.NoError(t, err)
	require.Equal(t, told, flat(t, c))
	require.Equal(t, 7, c.Lives[0].Turn)
	require.Equal(t, 8, c.Lives[1].Turn)
	require.Len(t, c.Records(), 11)
	require.Equal(t, time.Minute, c.Ended().Took)

	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if d.IsDir() {
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
		} else {
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		}
		return nil
	}))
	for _, name := range []string{"web1/1.tasks-1.0.0.out", "web1/1.tasks-1.0.0.err", "web1/1.tasks-1.0.0-2.out", "web2/1.tasks-1.0.0.json"} {
		require.FileExists(t, filepath.Join(dir, "out", name))
	}
}

func TestFoldersThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	_, err := Create(filepath.Join(dir, "no", "x"), aHead())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(filepath.Join(dir, "x"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = Reopen(filepath.Join(dir, "x"), aResumption(8))
	require.ErrorIs(t, err, os.ErrNotExist)

	w, err := Create(filepath.Join(dir, "x"), aHead())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = Create(filepath.Join(dir, "x"), aHead())
	require.ErrorIs(t, err, os.ErrExist, "a journal is never begun twice")
	_, _, err = Reopen(filepath.Join(dir, "x"), aResumption(7))
	require.ErrorContains(t, err, "life 7 cannot follow life 7")

	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	_, err = Read(filepath.Join(dir, "empty"))
	require.ErrorIs(t, err, ErrNeverBegan)
	w, err = Create(filepath.Join(dir, "empty"), aHead())
	require.NoError(t, err, "a folder that was made before is taken")
	require.NoError(t, w.Close())

	require.NoError(t, os.Mkdir(filepath.Join(dir, "pipe"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe", fileName), 0o600))
	_, err = Read(filepath.Join(dir, "pipe"))
	require.ErrorContains(t, err, "not a regular file")

	require.NoError(t, os.Mkdir(filepath.Join(dir, "link"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "x", fileName), filepath.Join(dir, "link", fileName)))
	_, err = Read(filepath.Join(dir, "link"))
	require.Error(t, err, "a link that leads out is not followed")
}

func TestARunThatDied(t *testing.T) {
	m := newMemory("runs")
	story := lives()
	require.NoError(t, tell(m, story[:1]).err)
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	require.Nil(t, c.Ended(), "its life has no end")

	ended := [][]step{{{aHead(), true}, {runner.Ended{Took: 5}, true}}}
	for _, drops := range []bool{true, false} {
		m := newMemory("runs")
		require.NoError(t, tell(m, ended).err)
		w, _, err := reopen(m.open, runDir, aResumption(8))
		require.NoError(t, err)
		if drops {
			require.NoError(t, w.Drop(aDrop(), aDrop()))
		}
		require.NoError(t, w.Close())
		c, err := read(m.open, runDir)
		require.NoError(t, err)
		require.Equal(t, drops, c.Ended() != nil, "a life of drops alone is passed over")
	}
}

func TestFiftyWriters(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "x")
	w, err := Create(dir, aHead())
	require.NoError(t, err)
	const writers, each = 50, 20
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			host := fmt.Sprintf("web%d", n)
			for i := range each {
				o := aResult(host, i)
				o.Stdout = fmt.Sprintf("%s did %d\n", host, i)
				assert.NoError(t, w.Put(ctx, anIntention(host, i), true))
				assert.NoError(t, w.Put(ctx, o, i%3 > 0))
			}
		})
	}
	all.Wait()
	require.NoError(t, w.Close())
	c, err := Read(dir)
	require.NoError(t, err)
	next := map[string]int{}
	for _, r := range c.Records() {
		switch r := r.(type) {
		case runner.Intent:
			require.Equal(t, anIntention(r.Host, next[r.Host]/2), r)
			next[r.Host]++
		case runner.Outcome:
			require.Equal(t, aResult(r.Host, next[r.Host]/2), r)
			out, _, err := c.Output(r)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%s did %d\n", r.Host, next[r.Host]/2), out)
			next[r.Host]++
		}
	}
	require.Len(t, next, writers)
	for host, n := range next {
		require.Equal(t, 2*each, n, host)
	}
}

// begun is a journal on a memory disk, and its writer.
func begun(t *testing.T) (*memory, *Writer) {
	t.Helper()
	m := newMemory("runs")
	w, err := create(m.open, runDir, aHead())
	require.NoError(t, err)
	m.syncs = 0
	return m, w
}

// atSync waits until something is written that is not durable, and is held.
func (m *memory) atSync(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.names[runDir+"/"+fileName].data) > m.names[runDir+"/"+fileName].synced
	}, 10*time.Second, time.Millisecond)
}

func TestManyShareOneSync(t *testing.T) {
	m, w := begun(t)
	m.held = make(chan struct{})
	done := make(chan error)
	put := func(n int) { done <- w.Put(ctx, anIntention("web1", n), true) }
	go put(0)
	m.atSync(t)
	for n := range 49 {
		go put(n + 1)
	}
	require.Eventually(t, func() bool { return len(w.queue) == 49 }, 10*time.Second, time.Millisecond)
	select {
	case <-done:
		t.Fatal("acknowledged before its sync")
	default:
	}
	close(m.held)
	for range 50 {
		require.NoError(t, <-done)
	}
	require.Equal(t, 2, m.syncs)
	require.NoError(t, w.Close())
	require.Equal(t, 2, m.syncs, "all was durable")
}

func TestThoseWhoWaitedForAFailedSyncAllHearOfIt(t *testing.T) {
	m, w := begun(t)
	m.held = make(chan struct{})
	done := make(chan error)
	for n := range 2 {
		go func() { done <- w.Put(ctx, anIntention("web1", n), true) }()
		if n == 0 {
			m.atSync(t)
		}
	}
	require.Eventually(t, func() bool { return len(w.queue) == 1 }, 10*time.Second, time.Millisecond)
	before := m.listing()
	m.failFrom, m.failTo, m.failure = m.calls+1, m.calls+1, syscall.EIO
	close(m.held)
	first := <-done
	require.ErrorIs(t, first, syscall.EIO)
	require.ErrorContains(t, first, "runs/x/journal.jsonl:2: making it durable")
	require.Equal(t, first, <-done, "who was in the queue hears the same")
	require.Equal(t, first, w.Close())
	require.Equal(t, before, m.listing(), "and nothing more was written")
	require.Equal(t, 1, m.syncs, "nor synced")
}

func TestWhatNeedNotBeDurableCostsNoSync(t *testing.T) {
	m, w := begun(t)
	for n := range 10 {
		require.NoError(t, w.Put(ctx, aResult("web1", n), false))
	}
	require.Zero(t, m.syncs)
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	require.Len(t, c.Records(), 10, "but it is in the file")
	require.NoError(t, w.Close())
	require.Equal(t, 1, m.syncs)
}

func TestAPutWaitsForTheDiskAndTheContext(t *testing.T) {
	m, w := begun(t)
	gone, cancel := context.WithCancelCause(ctx)
	why := errors.New("the operator left")
	cancel(why)
	err := w.Put(gone, anIntention("web1", 1), true)
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "was not written")

	m.held = make(chan struct{})
	leaving, cancel := context.WithCancelCause(ctx)
	done := make(chan error)
	go func() { done <- w.Put(leaving, anIntention("web1", 2), true) }()
	m.atSync(t)
	cancel(why)
	err = <-done
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "not known whether")
	close(m.held)
	require.NoError(t, w.Close())
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	require.Equal(t, []runner.Record{anIntention("web1", 2)}, c.Records())
}

func TestClosingWaitsForThoseWhoPut(t *testing.T) {
	m, w := begun(t)
	m.held = make(chan struct{})
	done, closed := make(chan error), make(chan error)
	go func() { done <- w.Put(ctx, anIntention("web1", 1), true) }()
	m.atSync(t)
	go func() { closed <- w.Close() }()
	<-w.closing
	select {
	case err := <-done:
		t.Fatalf("answered before its sync: %v", err)
	case err := <-closed:
		t.Fatalf("closed before the sync: %v", err)
	case <-time.After(20 * time.Millisecond): // long enough to answer wrongly
	}
	close(m.held)
	require.NoError(t, <-done)
	require.NoError(t, <-closed)
}

func TestAClosedJournalTakesNothing(t *testing.T) {
	m, w := begun(t)
	answers := make(chan error, 100)
	var all sync.WaitGroup
	for n := range cap(answers) {
		all.Go(func() { answers <- w.Put(ctx, anIntention("web1", n), true) })
	}
	require.NoError(t, w.Close())
	all.Wait()
	close(answers)
	taken := 0
	for err := range answers {
		if err == nil {
			taken++
		} else {
			require.ErrorContains(t, err, "the journal is closed")
		}
	}
	c, err := read(m.after(losses[1]).open, runDir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(c.Records()), taken)
	require.ErrorContains(t, w.Put(ctx, anIntention("web1", 1), false), "the journal is closed")
	require.ErrorContains(t, w.Drop(aDrop()), "the journal is closed")
}

func TestARecordThatIsNoneIsRefusedAndNothingIsLost(t *testing.T) {
	m, w := begun(t)
	require.ErrorContains(t, w.Put(ctx, &runner.Halted{}, true), "*runner.Halted is not a record")
	bad := aResult("web1", 1)
	bad.Value = []byte("{")
	require.ErrorContains(t, w.Put(ctx, bad, true), "cannot be written")
	require.NoError(t, w.Put(ctx, aResult("web1", 1), true), "the journal is as good as before")
	require.NoError(t, w.Close())
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	require.Equal(t, []runner.Record{aResult("web1", 1)}, c.Records())
}
