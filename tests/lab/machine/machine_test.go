//go:build linux

package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// await asks until somebody serves.
func await(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		_, err := Ask(ctx, dir, Request{})
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err)
		case <-tick.C:
		}
	}
}

func TestAsk(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// Longer than the name of a socket may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err := Ask(ctx, dir, Request{})
	require.ErrorContains(t, err, "does not answer")

	go func() {
		_ = Serve(dir, func(r Request) (State, error) {
			state := State{Power: Hung, Kernel: r.NextBoot.Kernel}
			if r.Power == On {
				return state, errors.New("kernel panic")
			}
			return state, nil
		})
	}()
	await(t, ctx, dir)
	state, err := Ask(ctx, dir, Request{NextBoot: Boot{Kernel: "6.1"}})
	require.NoError(t, err)
	require.Equal(t, State{Power: Hung, Kernel: "6.1"}, state)
	state, err = Ask(ctx, dir, Request{Power: On})
	require.ErrorContains(t, err, "kernel panic")
	require.Equal(t, Hung, state.Power)
}
