//go:build linux

package lab

import (
	"context"
	"fmt"
	"time"
)

// pollEvery is how often a condition of the lab is looked at.
const pollEvery = 100 * time.Millisecond

// poll looks until there is no error, and returns the last one when the limit is
// over.
func poll(ctx context.Context, limit time.Duration, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // what a look says after the end is only that it was cut short
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not after %s: %w", limit, last)
		case <-tick.C:
		}
	}
}
