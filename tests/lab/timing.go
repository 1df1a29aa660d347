//go:build linux

package lab

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Timing is how long one part took.
type Timing struct {
	Part string
	Took time.Duration
}

// step does one part and notes how long it took.
func (l *Lab) step(part string, do func() error) error {
	_, err := timed(l, part, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

func timed[T any](l *Lab, part string, do func() (T, error)) (T, error) {
	began := time.Now()
	v, err := do()
	if err != nil {
		return v, fmt.Errorf("%s: %w", part, err)
	}
	l.note(part, time.Since(began))
	return v, nil
}

func (l *Lab) note(part string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Timings = append(l.Timings, Timing{part, took.Round(time.Millisecond)})
	fmt.Fprintf(l.cfg.Log, "%6.1fs  %s\n", took.Seconds(), part)
}

// inParallel does one thing for every item side by side and returns all errors,
// in the order of the items.
func inParallel[T any](items []T, do func(T) error) error {
	errs := make([]error, len(items))
	done := make(chan struct{})
	for i, item := range items {
		go func() {
			errs[i] = do(item)
			done <- struct{}{}
		}()
	}
	for range items {
		<-done
	}
	return multierror.Append(nil, errs...).ErrorOrNil()
}
