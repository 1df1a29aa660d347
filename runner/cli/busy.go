package cli

import (
	"context"
	"slices"
	"sync"

	"runbook/runner"
)

// busy is a journal that knows which hosts are being changed right now: an
// intent is written and no outcome yet. It also keeps the first error, which
// ends the run.
type busy struct {
	runner.Journal

	mu     sync.Mutex
	begun  map[runner.Key]bool
	count  int
	failed error
}

func (b *busy) Put(ctx context.Context, r runner.Record, durable bool) error {
	err := b.Journal.Put(ctx, r, durable)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if err != nil && b.failed == nil && ctx.Err() == nil {
		b.failed = err
	}
	switch r := r.(type) {
	case runner.Intent:
		if b.begun == nil {
			b.begun = map[runner.Key]bool{}
		}
		b.begun[r.Key] = true
	case runner.Outcome:
		delete(b.begun, r.Key)
	}
	return err
}

// hosts are those that are being changed, sorted.
func (b *busy) hosts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for k := range b.begun {
		if !slices.Contains(names, k.Host) {
			names = append(names, k.Host)
		}
	}
	slices.Sort(names)
	return names
}

// err is the first error of writing.
func (b *busy) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// fail makes err the first error, if there was none.
func (b *busy) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
	}
}

// puts is how many records were given.
func (b *busy) puts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}
