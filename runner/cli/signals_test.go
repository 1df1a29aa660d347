package cli

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// hearing is interrupts that note what they come to.
func hearing(t *testing.T) (i *interrupts, ctx context.Context, said *bytes.Buffer, left *[]int) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	said, left = &bytes.Buffer{}, &[]int{}
	return &interrupts{stderr: said, cancel: cancel, exit: func(code int) { *left = append(*left, code) }}, ctx, said, left
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestThreeSignalsStopEndAndLeave(t *testing.T) {
	i, ctx, said, left := hearing(t)
	stopping, over := i.gently(func() []string { return []string{"h1", "h2"} })
	defer over()
	require.False(t, isClosed(stopping))

	i.heed(os.Interrupt)
	require.True(t, isClosed(stopping))
	require.NoError(t, ctx.Err())
	require.Contains(t, said.String(), "Interrupted: no new tasks; 2 hosts are at work and may end their tasks (h1, h2)")

	i.heed(syscall.SIGTERM)
	require.EqualError(t, context.Cause(ctx), "terminated")
	require.Contains(t, said.String(), "Terminated: ending what is at work")
	require.Empty(t, *left)

	i.heed(syscall.SIGHUP)
	require.Equal(t, []int{exitInterrupted}, *left)
}

func TestWithoutARunTheFirstSignalEnds(t *testing.T) {
	i, ctx, said, left := hearing(t)
	_, over := i.gently(func() []string { return nil })
	over()
	i.heed(syscall.SIGHUP)
	require.EqualError(t, context.Cause(ctx), "hangup")
	require.Empty(t, said.String())
	i.heed(syscall.SIGHUP)
	require.Equal(t, []int{exitInterrupted}, *left)
}

func TestSignalsAreHeardUntilTheCommandIsOver(t *testing.T) {
	i, ctx, _, _ := hearing(t)
	signals, over, ended := make(chan os.Signal), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		i.listen(signals, over)
	}()
	signals <- os.Interrupt
	<-ctx.Done()
	close(over)
	<-ended
}

func TestWhoIsAtWorkIsSaidInOneLine(t *testing.T) {
	for want, hosts := range map[string][]string{
		"nothing is being changed right now":                                       nil,
		"h1 is at work and may end its task":                                       {"h1"},
		"9 hosts are at work and may end their tasks (a, b, c, d, e, f, g, h ...)": {"a", "b", "c", "d", "e", "f", "g", "h", "i"},
	} {
		require.Equal(t, want, working(hosts))
	}
}
